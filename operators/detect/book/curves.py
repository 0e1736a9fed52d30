"""The state of pools whose curve is not in their row of the book: stable-swap (Curve, Saber), x³y + xy³
(Aerodrome), weighted products (Balancer) and bins (Meteora DLMM).

A state is a frozen value of :mod:`mevflow.operators.amm`; None where it is not known: such a pool is kept and not
traded (ADR 48). Here is what a state says, its prices and holdings, and what a swap makes of it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.bins.dlmm_math import price_of
from mevflow.operators.amm.concentrated.curve import PIPS, AmmError
from mevflow.operators.amm.stable import saber, solidly
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, StableState
from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState

#: Of numbered coins, two or more.
CoinCurve = StableState | WeightedState
Curve = CoinCurve | SaberState | SolidlyState | DlmmState
#: Between a rate in floats and what exact quotes can reach: the screen is a bound.
_GUARD = 1e-9


class Rates(NamedTuple):
    """Log marginal prices net of the least fee from token A to B and back (-inf: nothing that way), and B per A."""

    there: float = -math.inf
    back: float = -math.inf
    price: float = 0.0


class SwapRow(NamedTuple):
    """What a swap says: coins by number, raw amounts, the coins' balances after it (0: not told), the active bin."""

    i: int
    j: int
    amount_in: int
    amount_out: int
    balance_i: int
    balance_j: int
    tick: int
    time_us: int


def rates(curve: Curve | None, i: int, j: int) -> Rates:
    """What a pool's first units cost between coins ``i`` (A) and ``j`` (B)."""
    try:
        if isinstance(curve, DlmmState):
            return _bin_rates(curve)
        if isinstance(curve, SaberState):
            keep = 1 - curve.fee_numerator / curve.fee_denominator
            there, back = saber.marginal_price(curve, i == 0), saber.marginal_price(curve, i != 0)
        elif isinstance(curve, SolidlyState):
            keep = 1 - curve.fee_pips / PIPS
            there, back = solidly.marginal_price(curve, i == 0), solidly.marginal_price(curve, i != 0)
        elif isinstance(curve, WeightedState):
            keep = 1 - curve.fee / ONE
            there, back = weighted.marginal_price(curve, i, j), weighted.marginal_price(curve, j, i)
        elif curve is not None:
            # Towards the peg an off-peg fee falls: no trade pays less than the plain one.
            curve = replace(curve, offpeg_fee_multiplier=0)
            keep = 1 - curve.fee / FEE_DENOMINATOR
            there, back = stable_swap.marginal_price(curve, i, j), stable_swap.marginal_price(curve, j, i)
        else:
            return Rates()
        if 0.0 < there < math.inf and 0.0 < back < math.inf:
            return Rates(math.log(there) + _GUARD, math.log(back) + _GUARD, there / keep)
    except (AmmError, ArithmeticError):
        pass
    return Rates()


def _bin_rates(state: DlmmState) -> Rates:
    """With the base fee alone: what volatility adds decays with time, so no moment is better than that."""
    calm = replace(state, fees=replace(state.fees, variable_fee_control=0))
    there, back = (
        math.log(price) + _GUARD if (price := dlmm.marginal_price(calm, a_to_b, 0)) > 0.0 else -math.inf
        for a_to_b in (True, False)
    )
    return Rates(there, back, price_of(state.active_id, state.bin_step_bps) / 2**64)


def holdings(curve: Curve | None, i: int, j: int) -> tuple[int, int]:
    """Raw units of coins ``i`` and ``j`` in the pool."""
    if curve is None:
        return 0, 0
    if isinstance(curve, SaberState | SolidlyState):
        return (curve.reserve_a, curve.reserve_b) if i == 0 else (curve.reserve_b, curve.reserve_a)
    if isinstance(curve, CoinCurve):
        return curve.balances[i], curve.balances[j]
    return sum(each.amount_a for each in curve.bins.values()), sum(each.amount_b for each in curve.bins.values())


def after_swap(curve: Curve | None, row: SwapRow) -> Curve | None:
    """The state after a swap; None where the rule gives other amounts than the row: it was stale then."""
    if curve is None:
        return None
    try:
        if isinstance(curve, DlmmState):
            after = dlmm.after_swap(curve, row.i == 0, row.amount_in, row.amount_out, row.time_us // 10**6)
            return after if after.active_id == row.tick else None
        if row.balance_i and row.balance_j:
            return with_balances(curve, row)
        if isinstance(curve, SaberState):
            return saber.after_swap(curve, row.i == 0, row.amount_in, row.amount_out)
        if isinstance(curve, SolidlyState):
            return None  # its event tells both reserves
        if isinstance(curve, WeightedState):
            return weighted.after_swap(curve, row.i, row.j, row.amount_in, row.amount_out)
        return stable_swap.after_swap(curve, row.i, row.j, row.amount_in, row.amount_out)
    except AmmError:
        return None


def with_balances(curve: CoinCurve | SaberState | SolidlyState, row: SwapRow) -> Curve:
    """The state with the two coins' balances that a row tells."""
    if isinstance(curve, SaberState | SolidlyState):
        a, b = (row.balance_i, row.balance_j) if row.i == 0 else (row.balance_j, row.balance_i)
        return replace(curve, reserve_a=a, reserve_b=b)
    balances = list(curve.balances)
    balances[row.i], balances[row.j] = row.balance_i, row.balance_j
    return replace(curve, balances=tuple(balances))


def told_whole(curve: Curve | None) -> bool:
    """Whether a later row may have said all that a swap changes: two balances are, bins and other coins are not."""
    return isinstance(curve, SaberState | SolidlyState) or (isinstance(curve, StableState) and len(curve.balances) == 2)
