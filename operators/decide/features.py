"""Opportunity rows as contexts: the numbers that a policy sees."""

from __future__ import annotations

from collections.abc import Sequence

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

_CONCENTRATED = (
    market.VENUE_ORCA_WHIRLPOOL,
    market.VENUE_UNISWAP_V3,
    market.VENUE_RAYDIUM_CLMM,
)


def named_features(values: Sequence[float]) -> dict[str, float]:
    """A decision's features by name; beyond FEATURES come those of its models, a pair each (see scores.py).

    A decision of other logic may have had others: they go without names.
    """
    names = [*FEATURES, *(f"{what}_{model}" for model in range(1, 33) for what in ("scored", "score"))][: len(values)]
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
