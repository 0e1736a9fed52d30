"""What mints are worth in dollars, by the pools that price them, for the compiled loop."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96

#: What is known of a mint's worth. ``usd`` is per raw unit; ``level`` 0 is a numeraire, 1 a hub, 2 anything else.
MINT_DTYPE = np.dtype(
    [("level", np.int8), ("usd", np.float64), ("depth", np.float64), ("pool", np.int32), ("said_us", np.int64)],
    align=True,
)
PRICE_DTYPE = np.dtype([("event", np.int64), ("mint", np.int32), ("pool", np.int32), ("usd", np.float64)], align=True)
_TWO_64 = 2.0**64


@njit(cache=True, nogil=True, forceinline=True)
def observe_price(pools, number, price, event, time_us, mints, every_us, prices, found):  # type: ignore[no-untyped-def]
    """Price the pool's mints from each other: a numeraire prices a hub, either prices the rest.

    A mint follows its deepest pool (by the worth of the anchor's side). A price is recorded in ``prices`` when the last
    one is ``every_us`` old. Gives the new number of records.
    """  # pragma: no cover - compiled
    if not price > 0.0:
        return found
    one = pools[number]
    for side in range(2):
        mint = one["mint_a"] if side == 0 else one["mint_b"]
        anchor = one["mint_b"] if side == 0 else one["mint_a"]
        if mints[anchor]["level"] >= mints[mint]["level"] or mints[anchor]["usd"] <= 0.0:
            continue
        in_anchor = price if side == 0 else 1.0 / price  # raw anchor per raw mint
        if one["kind"] == KIND_CONCENTRATED_X64 or one["kind"] == KIND_CONCENTRATED_X96:
            liquidity = one["liquidity"]
            anchor_side = (float(liquidity[1]) * _TWO_64 + float(liquidity[0])) * math.sqrt(in_anchor)
        else:
            reserve = one["reserve_b"] if side == 0 else one["reserve_a"]
            anchor_side = float(reserve[1]) * _TWO_64 + float(reserve[0])
        depth = anchor_side * mints[anchor]["usd"]
        of = mints[mint]
        if number != of["pool"] and depth <= of["depth"]:
            continue
        of["pool"] = number
        of["depth"] = depth
        of["usd"] = in_anchor * mints[anchor]["usd"]
        if time_us - of["said_us"] >= every_us:
            of["said_us"] = time_us
            record = prices[found]
            record["event"] = event
            record["mint"] = mint
            record["pool"] = number
            record["usd"] = of["usd"]
            found += 1
    return found
