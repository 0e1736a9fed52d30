"""Uniswap v3 as a venue: exact quotes both ways, a price to screen by, and state from a ``Swap`` log.

:mod:`operators.amm.uniswap_v3` has the arithmetic.
"""

from __future__ import annotations

from dataclasses import replace

from operators.amm import tick_math_x96, uniswap_v3
from operators.amm.concentrated import AmmError, ConcentratedState, Quote, run_swap
from operators.amm.concentrated_venue import check_after, price_net_of_fee

MAX_AMOUNT = (1 << 255) - 1
RULES = replace(uniswap_v3.RULES, max_amount=MAX_AMOUNT)


def quote_exact_in(
    state: ConcentratedState, a_to_b: bool, amount_in: int, sqrt_price_limit: int | None = None
) -> Quote:
    """What ``amount_in`` buys. Raises AmmError where the contract reverts; ``filled`` is False at a limit."""
    return _swap(state, a_to_b, amount_in, True, sqrt_price_limit)


def quote_exact_out(
    state: ConcentratedState, a_to_b: bool, amount_out: int, sqrt_price_limit: int | None = None
) -> Quote:
    """What ``amount_out`` costs. Raises AmmError where the contract reverts; ``filled`` is False at a limit."""
    return _swap(state, a_to_b, amount_out, False, sqrt_price_limit)


def marginal_price(state: ConcentratedState, a_to_b: bool) -> float:
    """Raw output units per raw input unit for a tiny swap, net of fee; 0.0 without liquidity."""
    return price_net_of_fee(state, a_to_b, 96)


def after_swap(state: ConcentratedState, sqrt_price: int, liquidity: int, tick: int) -> ConcentratedState:
    """``state`` after a ``Swap`` log, which states price, liquidity and tick. Raises AmmError if ticks are missing."""
    return check_after(state, sqrt_price, liquidity, tick, tick_math_x96.tick_at)


def _swap(state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool, limit: int | None) -> Quote:
    if amount > MAX_AMOUNT:
        raise AmmError(f"{amount} does not fit the contract's int256")
    return run_swap(RULES, state, amount, a_to_b, exact_in, limit)
