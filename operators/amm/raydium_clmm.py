"""Raydium CLMM: Uniswap v3's loop in Q64.64, stopping at initialized ticks only.

Rule and rounding: raydium-io/raydium-clmm, ``programs/amm/src/libraries/{swap_math,sqrt_price_math,liquidity_math}.rs``
and ``instructions/swap.rs``. Covered is the fee on the input at the configured rate; a pool with a dynamic fee, with
fees on one token only, or with limit orders on its ticks follows further rules that are not.
"""

from __future__ import annotations

from operators.amm import tick_math_raydium as ticks
from operators.amm import whirlpool
from operators.amm.concentrated import AmmError, ConcentratedState, Quote, Rules, next_initialized, run_swap
from operators.amm.concentrated_venue import check_after, price_net_of_fee

MAX_AMOUNT = (1 << 64) - 1


def _next_target(state: ConcentratedState, tick: int, a_to_b: bool) -> int:
    """The next initialized tick, however far; the last price where there is none, and no liquidity on the way."""
    found = next_initialized(state.ticks, tick, a_to_b)
    if found is None:
        return ticks.MIN_TICK if a_to_b else ticks.MAX_TICK
    return found


#: Amounts and prices round as Whirlpool's do: one exact quotient, up where the pool receives.
RULES = Rules(
    delta_a=whirlpool.delta_a,
    delta_b=whirlpool.delta_b,
    next_price_a=whirlpool.next_price_a,
    next_price_b=whirlpool.next_price_b,
    price_at=ticks.price_at,
    tick_at=ticks.tick_at,
    next_target=_next_target,
    min_tick=ticks.MIN_TICK,
    max_tick=ticks.MAX_TICK,
    max_amount=MAX_AMOUNT,
)


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


def after_swap(state: ConcentratedState, sqrt_price: int, liquidity: int, tick: int) -> ConcentratedState:
    """``state`` after a ``SwapEvent``, which states price, liquidity and tick. Raises AmmError if ticks are missing."""
    return check_after(state, sqrt_price, liquidity, tick, ticks.tick_at)


def _swap(state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool, limit: int | None) -> Quote:
    if amount > MAX_AMOUNT:
        raise AmmError(f"{amount} does not fit 64 bits")
    return run_swap(RULES, state, amount, a_to_b, exact_in, limit)
