"""Saber stable-swap: Curve's two-coin curve on Solana, with a fee on the output.

Rule and rounding: saber-hq/stable-swap, ``stable-swap-math/src/{curve,math}.rs`` (``swap_to``). Both mints have the
same decimals (Saber wraps a mint that has not), so balances are used as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.least_input import least_input
from mevflow.operators.amm.stable.invariant import balance_for, invariant, slope

#: The program refuses larger amounts and balances.
_MAX_U64 = (1 << 64) - 1
_FITS_TWICE = _MAX_U64 // 2


@dataclass(frozen=True, slots=True)
class SaberState:
    """A pool. ``amp`` is that of the swap's time."""

    reserve_a: int
    reserve_b: int
    amp: int
    fee_numerator: int
    fee_denominator: int
    admin_fee_numerator: int = 0
    admin_fee_denominator: int = 1


@dataclass(frozen=True, slots=True)
class SaberQuote:
    """What a swap moves. The fee is of the output; the admin's part of it leaves the reserves."""

    amount_in: int
    amount_out: int
    fee_amount: int
    admin_fee_amount: int
    reserve_a_after: int
    reserve_b_after: int


def quote_exact_in(state: SaberState, a_to_b: bool, amount_in: int) -> SaberQuote:
    """What ``amount_in`` buys. Raises AmmError where the program fails."""
    if amount_in <= 0:
        raise AmmError(f"an amount is positive, not {amount_in}")
    x, y = (state.reserve_a, state.reserve_b) if a_to_b else (state.reserve_b, state.reserve_a)
    if max(x + amount_in, y) > _FITS_TWICE or x + y > _MAX_U64:
        raise AmmError(f"{amount_in} does not fit what the program computes with")
    d = invariant((x, y), state.amp)
    dy = y - balance_for([x + amount_in], d, state.amp) - 1
    if dy < 0:
        raise AmmError(f"{amount_in} is too little to swap")
    fee = dy * state.fee_numerator // state.fee_denominator
    admin = fee * state.admin_fee_numerator // state.admin_fee_denominator
    x_after, y_after = x + amount_in, y - (dy - fee) - admin
    after = (x_after, y_after) if a_to_b else (y_after, x_after)
    return SaberQuote(amount_in, dy - fee, fee, admin, *after)


def quote_exact_out(state: SaberState, a_to_b: bool, amount_out: int) -> SaberQuote:
    """The least input that pays at least ``amount_out``; the program has no exact output of its own."""
    y = state.reserve_b if a_to_b else state.reserve_a
    if not 0 < amount_out < y:
        raise AmmError(f"the pool holds {y}, not more than {amount_out}")
    most = _FITS_TWICE - max(state.reserve_a, state.reserve_b)
    guess = int(amount_out / marginal_price(state, a_to_b)) + 1

    def out(amount: int) -> int:
        try:
            return quote_exact_in(state, a_to_b, amount).amount_out
        except AmmError:
            return 0

    return quote_exact_in(state, a_to_b, least_input(out, amount_out, guess, most))


def marginal_price(state: SaberState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee."""
    i, j = (0, 1) if a_to_b else (1, 0)
    on_curve = slope((state.reserve_a, state.reserve_b), i, j, state.amp)
    return on_curve * (1 - state.fee_numerator / state.fee_denominator)


def after_swap(state: SaberState, a_to_b: bool, amount_in: int, amount_out: int) -> SaberState:
    """``state`` after a recorded swap. Raises AmmError when the rule gives another output."""
    moved = quote_exact_in(state, a_to_b, amount_in)
    if moved.amount_out != amount_out:
        raise AmmError(f"{amount_in} in gives {moved.amount_out}, the chain gave {amount_out}")
    return replace(state, reserve_a=moved.reserve_a_after, reserve_b=moved.reserve_b_after)
