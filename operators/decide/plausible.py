"""Opportunities that are too good to be true: not decided on, and counted.

A pool that nobody trades any more keeps an old price, a token that cannot be sold keeps its last one: such a cycle
"pays" as long as the recording lasts. A policy that is taught by it learns about nothing else.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, Field

from mevflow.operators.chains import checked_name
from mevflow.operators.learn.kernels import Bools, Floats
from mevflow.operators.stage import Settings


class Plausible(Settings):
    """Bounds of an opportunity that a policy may decide on; null switches one off.

    ``max_rate_pct`` bounds 100 times the sum of log marginal prices net of fees: pools that trade stand closer.
    ``max_profit_usd`` bounds the net profit, ``max_age_slots`` (a chain) the slots since the cycle began to pay: one
    that nobody took for so long is one that nobody can take. ``max_impact_pct`` bounds how far the trade's own rate
    falls short of the marginal one, in points: a trade that moves its pools further is larger than they are.
    """

    max_rate_pct: float | None = Field(default=25.0, gt=0.0)
    max_profit_usd: float | None = Field(default=100_000.0, gt=0.0)
    max_impact_pct: float | None = Field(default=25.0, gt=0.0)
    max_age_slots: dict[Annotated[str, AfterValidator(checked_name)], Annotated[int, Field(ge=0)]] = Field(
        default={"solana": 9_000, "ethereum": 300, "bsc": 4_800, "polygon": 1_800, "base": 1_800, "arbitrum": 14_400},
        max_length=256,
    )


def implausible(batch: pa.RecordBatch, bounds: Plausible, age_limit: Floats) -> dict[str, Bools]:
    """What is too good about rows: reason -> mask. ``age_limit`` is each row's, in slots. Closing rows are none."""
    paying = ~batch.column("closed").to_numpy(zero_copy_only=False)
    rate_pct = 100.0 * batch.column("log_rate").to_numpy()
    usd = batch.column("net_profit_usd").to_numpy()
    slot = batch.column("slot").to_numpy().astype(np.float64)
    age = slot - batch.column("opened_slot").to_numpy()
    found = {}
    if bounds.max_rate_pct is not None:
        found[f"its rate is above {bounds.max_rate_pct:g} %"] = rate_pct > bounds.max_rate_pct
    if bounds.max_profit_usd is not None:
        found[f"its profit is above {bounds.max_profit_usd:,.0f} USD"] = usd > bounds.max_profit_usd
    if bounds.max_impact_pct is not None:
        # 0 where amounts are not given; a trade at the marginal price would have the whole rate.
        impact = rate_pct - _own_rate_pct(batch)
        found[f"its trade moves its pools by more than {bounds.max_impact_pct:g} %"] = impact > bounds.max_impact_pct
    found["it has paid for longer than anybody leaves it"] = age > age_limit
    return {reason: mask & paying for reason, mask in found.items()}


def _own_rate_pct(batch: pa.RecordBatch) -> Floats:
    """100 ln(amount out / amount in) of whole trades, the marginal rate where an amount is missing."""
    given, taken = (_as_float(batch.column(name)) for name in ("amount_in", "amount_out"))
    known = (given > 0.0) & (taken > 0.0)
    rate = 100.0 * batch.column("log_rate").to_numpy()
    rate[known] = 100.0 * np.log(taken[known] / given[known])
    return rate


def _as_float(column: pa.BinaryArray) -> Floats:
    """Unsigned 16-byte little-endian integers as floats, 0 for values of another width."""
    _, offsets, data = column.buffers()
    at = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    out = np.zeros(len(column))
    if data is None:
        return out
    wide = np.flatnonzero(np.diff(at) == 16)
    octets = np.frombuffer(data, np.uint8)[at[wide][:, None] + np.arange(16)]
    words = np.ascontiguousarray(octets).view(np.uint64).reshape(-1, 2)
    out[wide] = words[:, 0] + words[:, 1] * 2.0**64
    return out
