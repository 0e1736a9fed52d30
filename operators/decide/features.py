"""Opportunity rows as contexts: the numbers that a policy sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from mevflow.operators.learn.kernels import Floats
from mevflow.v1 import market_pb2 as market

#: The features in order; their values are logged with every decision.
FEATURES = (
    "bias",  # 1
    "log_profit",  # ln(1 + expected net profit in USD)
    "log_rate_pct",  # 100 * sum of log marginal prices net of fees
    "extra_legs",  # legs beyond two
    "concentrated",  # share of legs in concentrated-liquidity pools
    "log_age",  # ln(1 + slots since the cycle began to pay)
    "ethereum",  # 1 on Ethereum
    "continued",  # 1 when the cycle paid before this event
)

_MAX_MODEL_FEATURES = 64
_CONCENTRATED = (
    market.VENUE_ORCA_WHIRLPOOL,
    market.VENUE_UNISWAP_V3,
    market.VENUE_RAYDIUM_CLMM,
)


def named_features(values: Sequence[float], said: Mapping[str, float] | None = None) -> dict[str, float]:
    """A decision's features by name; beyond FEATURES come those of its models, a pair each (see scores.py).

    ``said``: model -> the score that is stored of it for the opportunity. A pair bears the name of the one model that
    said just this, or its number where none or several did. A decision of other logic may have had other features:
    they go without names.
    """
    names, of_models = list(FEATURES), values[len(FEATURES) :][:_MAX_MODEL_FEATURES]
    pairs = list(zip(of_models[0::2], of_models[1::2], strict=False))
    heard = [score for scored, score in pairs if scored]
    for number, (scored, score) in enumerate(pairs, start=1):
        models = [model for model, stored in (said or {}).items() if stored == score]
        known = scored and len(models) == 1 and heard.count(score) == 1
        names += [f"{what}_{models[0] if known else number}" for what in ("scored", "score")]
    if len(values) < len(FEATURES) or (len(values) - len(FEATURES)) % 2 or len(names) < len(values):
        names = [f"feature_{place}" for place in range(len(values))]
    return dict(zip(names, values, strict=True))


def contexts(batch: pa.RecordBatch) -> Floats:
    """``x[features, rows]`` of a batch of opportunities. Every value is finite for rows that passed the checks."""
    rows = batch.num_rows
    legs = batch.column("legs")
    lengths = legs.value_lengths().to_numpy()
    venues = legs.flatten().field("venue").to_numpy()
    starts = np.concatenate(([0], np.cumsum(lengths)))
    # Counts by prefix sums of whole numbers, so exact however the rows are grouped.
    concentrated = np.concatenate(([0], np.cumsum(np.isin(venues, _CONCENTRATED))))
    slot = batch.column("slot").to_numpy().astype(np.float64)
    opened = batch.column("opened_slot").to_numpy().astype(np.float64)
    x = np.zeros((len(FEATURES), rows))
    x[0] = 1.0
    x[1] = np.log1p(np.maximum(batch.column("net_profit_usd").to_numpy(), 0.0))
    x[2] = 100.0 * batch.column("log_rate").to_numpy()
    x[3] = lengths - 2.0
    x[4] = (concentrated[starts[1:]] - concentrated[starts[:-1]]) / np.maximum(lengths, 1)
    x[5] = np.log1p(np.maximum(slot - opened, 0.0))
    x[6] = batch.column("chain").to_numpy() == market.CHAIN_ETHEREUM
    x[7] = ~batch.column("new_episode").to_numpy(zero_copy_only=False)
    return x
