"""Which arms of a row may be chosen: those that would leave something after tip and fee, and skip."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, Ints

_jit: Any = numba.njit(cache=True, nogil=True)


@_jit
def eligible_arms(pays: Bools, usd: Floats, row_cost: Floats, at: Ints, shares: Floats, attempt_usd: float) -> Bools:
    """``[arms, rows]`` for rows ``at``; the last arm is skip.

    ``usd`` is a row's net profit, ``row_cost`` what it has paid for an attempt already; where that is nothing, an
    attempt costs ``attempt_usd`` (NaN: unknown, and no bid is eligible). ``pays``: the exact profit is above 0.
    """
    arms, n = shares.shape[0], at.shape[0]
    out = np.empty((arms, n), np.bool_)
    for i in range(n):
        row = at[i]
        cost = 0.0 if row_cost[row] > 0.0 else attempt_usd
        for arm in range(arms - 1):
            out[arm, i] = pays[row] and usd[row] - usd[row] * shares[arm] > cost
        out[arms - 1, i] = True
    return out
