"""What a pool's state says of its price: log rates net of fee, both ways, for the compiled loop."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_NOT_TRADED, KIND_STABLE

_TWO_64 = 2.0**64
_PER_X64, _PER_X96 = 2.0**-64, 2.0**-96


@njit(cache=True, nogil=True, forceinline=True)
def log_of_keep(pool):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The logarithm of what a pool's fee leaves; -inf where it leaves nothing, or the pool is in doubt."""
    if pool["doubt"] != 0:
        return -np.inf
    keep = 1.0 - pool["fee_pips"] / 1e6
    return math.log(keep) if keep > 0.0 else -np.inf


@njit(cache=True, nogil=True, forceinline=True)
def log_rates(pool, log_keep):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A pool's log rates net of fee along its pair and against it, and its price, raw token B per raw token A.

    The rates are -inf and the price is 0 where nothing can be traded.
    """
    price = 0.0
    if pool["kind"] == KIND_CONCENTRATED_X64 or pool["kind"] == KIND_CONCENTRATED_X96:
        words, liquidity = pool["price"], pool["liquidity"]
        root = (float(words[2]) * _TWO_64 + float(words[1])) * _TWO_64 + float(words[0])
        if liquidity[0] != 0 or liquidity[1] != 0:
            root *= _PER_X64 if pool["kind"] == KIND_CONCENTRATED_X64 else _PER_X96
            price = root * root
    elif pool["kind"] >= KIND_STABLE:
        told = pool["price"].view(np.float64)
        if not told[2] > 0.0 or pool["denied"]:
            return -np.inf, -np.inf, 0.0
        if pool["flipped"]:
            return told[1], told[0], told[2]
        return told[0], told[1], told[2]
    else:
        a, b = pool["reserve_a"], pool["reserve_b"]
        reserve_a = float(a[1]) * _TWO_64 + float(a[0])
        reserve_b = float(b[1]) * _TWO_64 + float(b[0])
        if reserve_a > 0.0:
            price = reserve_b / reserve_a
    if not price > 0.0 or pool["denied"] or log_keep == -np.inf or pool["kind"] == KIND_NOT_TRADED:
        return -np.inf, -np.inf, 0.0
    log_price = -math.log(price) if pool["flipped"] else math.log(price)
    return log_price + log_keep, log_keep - log_price, price
