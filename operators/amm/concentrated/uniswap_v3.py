"""Uniswap v3, bit for bit: amounts, prices and swaps in Q64.96.

Formulas and rounding follow Uniswap/v3-core, ``contracts/libraries/{SqrtPriceMath,SwapMath}.sol`` and
``UniswapV3Pool.swap``. Token A is token0 and B is token1; "a to b" is the contract's ``zeroForOne``.
"""

from __future__ import annotations

from mevflow.operators.amm.concentrated import tick_math_x96 as ticks
from mevflow.operators.amm.concentrated.curve import (
    AmmError,
    ConcentratedState,
    Quote,
    Rules,
    next_initialized,
    run_swap,
)

_U256 = 1 << 256
_MAX_U160 = (1 << 160) - 1


def delta_a(price_0: int, price_1: int, liquidity: int, round_up: bool) -> int:
    """Token0 between two square-root prices: L * 2**96 * |p1 - p0| / p_high / p_low, rounded at both divisions."""
    low, high = (price_0, price_1) if price_0 < price_1 else (price_1, price_0)
    numerator = (liquidity << 96) * (high - low)
    if round_up:
        outer = -(-numerator // high)
        return -(-outer // low)
    return numerator // high // low


def delta_b(price_0: int, price_1: int, liquidity: int, round_up: bool) -> int:
    """Token1 between two square-root prices: L * |p1 - p0| / 2**96."""
    product = liquidity * abs(price_1 - price_0)
    return -(-product >> 96) if round_up else product >> 96


def next_price_a(sqrt_price: int, liquidity: int, amount: int, is_input: bool) -> int:
    """The price after ``amount`` of token0 went in (or came out), rounded up. Raises AmmError when it runs out."""
    if amount == 0:
        return sqrt_price
    shifted = liquidity << 96
    product = amount * sqrt_price
    if not is_input:
        if product >= _U256 or shifted <= product:
            raise AmmError(f"liquidity {liquidity} cannot give {amount} of token0")
        return -(-(shifted * sqrt_price) // (shifted - product))
    if product < _U256 and shifted + product < _U256:
        return -(-(shifted * sqrt_price) // (shifted + product))
    # The contract falls back to a form that cannot overflow, and rounds differently.
    return -(-shifted // (shifted // sqrt_price + amount))


def next_price_b(sqrt_price: int, liquidity: int, amount: int, is_input: bool) -> int:
    """The price after ``amount`` of token1 went in (or came out), rounded down. Raises AmmError when it runs out."""
    if liquidity == 0:
        raise AmmError("no liquidity to trade against")
    after = sqrt_price + ((amount if is_input else -amount) << 96) // liquidity
    if not 0 < after <= _MAX_U160:
        raise AmmError(f"liquidity {liquidity} cannot trade {amount} of token1")
    return after


def _next_target(state: ConcentratedState, tick: int, a_to_b: bool) -> int:
    """The next initialized tick within one word of the tick bitmap, or the word's edge."""
    spacing = state.tick_spacing
    slot = tick // spacing if a_to_b else tick // spacing + 1
    edge = (slot >> 8 << 8) if a_to_b else (slot >> 8 << 8) + 255
    found = next_initialized(state.ticks, tick, a_to_b)
    if a_to_b:
        target = edge * spacing if found is None else max(found, edge * spacing)
        return max(target, ticks.MIN_TICK)
    target = edge * spacing if found is None else min(found, edge * spacing)
    return min(target, ticks.MAX_TICK)


RULES = Rules(
    delta_a=delta_a,
    delta_b=delta_b,
    next_price_a=next_price_a,
    next_price_b=next_price_b,
    price_at=ticks.price_at,
    tick_at=ticks.tick_at,
    next_target=_next_target,
    min_tick=ticks.MIN_TICK,
    max_tick=ticks.MAX_TICK,
    inside=1,
)


def swap(
    state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool = True, sqrt_price_limit: int | None = None
) -> Quote:
    """Swap ``amount`` (of the input if ``exact_in``, else of the output) as the contract does.

    Stops at ``sqrt_price_limit`` and at the edge of the known ticks. Raises AmmError if ``amount`` is not positive.
    """
    # The contract refuses a limit at either end of what ticks can express: without one it ends a unit inside.
    return run_swap(RULES, state, amount, a_to_b, exact_in, sqrt_price_limit)


def quote_exact_in(
    state: ConcentratedState, a_to_b: bool, amount_in: int, sqrt_price_limit: int | None = None
) -> Quote:
    """What ``amount_in`` buys now; see :func:`swap`. ``filled`` is False when not all of it could be used."""
    return swap(state, a_to_b, amount_in, True, sqrt_price_limit)
