"""Orca Whirlpool as a venue: quotes that fail where the program fails, a price to screen by, and state from events.

:mod:`operators.amm.whirlpool` has the arithmetic, in unbounded integers; here amounts are the program's 64 bits. A pool
with an adaptive fee needs its oracle account for the fee of the moment: ``fee_pips`` of the state must then be that.
"""

from __future__ import annotations

from dataclasses import replace

from operators.amm import tick_math_x64, whirlpool
from operators.amm.concentrated import AmmError, ConcentratedState, Quote
from operators.amm.concentrated_venue import check_after, price_net_of_fee

MAX_AMOUNT = (1 << 64) - 1
RULES = replace(whirlpool.RULES, max_amount=MAX_AMOUNT)


def quote_exact_in(
    state: ConcentratedState, a_to_b: bool, amount_in: int, sqrt_price_limit: int | None = None
) -> Quote:
    """What ``amount_in`` buys. Raises AmmError where the program does; ``filled`` is False at a limit."""
    return _swap(state, a_to_b, amount_in, True, sqrt_price_limit)


def quote_exact_out(
    state: ConcentratedState, a_to_b: bool, amount_out: int, sqrt_price_limit: int | None = None
) -> Quote:
    """What ``amount_out`` costs. Raises AmmError where the program does; ``filled`` is False at a limit."""
    return _swap(state, a_to_b, amount_out, False, sqrt_price_limit)


def marginal_price(state: ConcentratedState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee; 0.0 without liquidity."""
    return price_net_of_fee(state, a_to_b, 64)


def after_swap(
    state: ConcentratedState, sqrt_price: int, liquidity: int | None = None, tick: int | None = None
) -> ConcentratedState:
    """``state`` after a swap that ended at ``sqrt_price`` (Q64.64).

    The program's event states the price only: liquidity and tick then follow from the ticks in between.
    """
    return check_after(state, sqrt_price, liquidity, tick, tick_math_x64.tick_at)


def _swap(state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool, limit: int | None) -> Quote:
    if amount > MAX_AMOUNT:
        raise AmmError(f"{amount} does not fit 64 bits")
    return whirlpool.swap(state, a_to_b, amount, exact_in, limit, RULES)
