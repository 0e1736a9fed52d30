"""Orca Whirlpool, bit for bit: amounts, prices and swaps in Q64.64.

Formulas and rounding follow orca-so/whirlpools, ``programs/whirlpool/src/math/{token_math,swap_math}.rs`` and
``manager/swap_manager.rs``. Token A is the base: price = B per A, so a swap a to b moves the price down.
"""

from __future__ import annotations

from mevflow.operators.amm.concentrated import tick_math_x64 as ticks
from mevflow.operators.amm.concentrated.curve import (
    AmmError,
    ConcentratedState,
    Quote,
    Rules,
    next_initialized,
    run_swap,
)

#: Ticks (of the pool's spacing) in one tick-array account; a swap names at most three of them.
TICKS_PER_ARRAY = 88
ARRAYS_PER_SWAP = 3


def delta_a(price_0: int, price_1: int, liquidity: int, round_up: bool) -> int:
    """Token A between two square-root prices: L * |p1 - p0| * 2**64 / (p0 * p1), rounded once."""
    numerator = liquidity * abs(price_1 - price_0) << 64
    denominator = price_0 * price_1
    return -(-numerator // denominator) if round_up else numerator // denominator


def delta_b(price_0: int, price_1: int, liquidity: int, round_up: bool) -> int:
    """Token B between two square-root prices: L * |p1 - p0| / 2**64."""
    product = liquidity * abs(price_1 - price_0)
    return -(-product >> 64) if round_up else product >> 64


def next_price_a(sqrt_price: int, liquidity: int, amount: int, is_input: bool) -> int:
    """The price after ``amount`` of A went in (or came out), rounded up. Raises AmmError when A runs out."""
    if amount == 0:
        return sqrt_price
    product = sqrt_price * amount
    shifted = liquidity << 64
    denominator = shifted + product if is_input else shifted - product
    if denominator <= 0:
        raise AmmError(f"liquidity {liquidity} cannot give {amount} of token A")
    return -(-(liquidity * sqrt_price << 64) // denominator)


def next_price_b(sqrt_price: int, liquidity: int, amount: int, is_input: bool) -> int:
    """The price after ``amount`` of B went in (or came out), rounded down. Raises AmmError when B runs out."""
    if liquidity == 0:
        raise AmmError("no liquidity to trade against")
    if is_input:
        return sqrt_price + (amount << 64) // liquidity
    after = sqrt_price + (-amount << 64) // liquidity
    if after <= 0:
        raise AmmError(f"liquidity {liquidity} cannot give {amount} of token B")
    return after


def array_start(tick: int, tick_spacing: int) -> int:
    """The first tick of the tick array that holds ``tick``."""
    width = TICKS_PER_ARRAY * tick_spacing
    return tick // width * width


def _next_target(state: ConcentratedState, tick: int, a_to_b: bool) -> int:
    found = next_initialized(state.ticks, tick, a_to_b)
    last = _last_tick(state, a_to_b)
    if found is None:
        return last
    return max(found, last) if a_to_b else min(found, last)


def _last_tick(state: ConcentratedState, a_to_b: bool) -> int:
    """The furthest tick that the three arrays of one swap reach from the state's tick."""
    width = TICKS_PER_ARRAY * state.tick_spacing
    if a_to_b:
        return max(array_start(state.tick, state.tick_spacing) - (ARRAYS_PER_SWAP - 1) * width, ticks.MIN_TICK)
    # A search to the right never looks at the current tick, so the first array is that of the next one.
    start = array_start(state.tick + state.tick_spacing, state.tick_spacing)
    return min(start + ARRAYS_PER_SWAP * width - 1, ticks.MAX_TICK)


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
)


def swap(
    state: ConcentratedState,
    a_to_b: bool,
    amount: int,
    exact_in: bool = True,
    sqrt_price_limit: int | None = None,
    rules: Rules = RULES,
) -> Quote:
    """Swap ``amount`` (of the input if ``exact_in``, else of the output) as the program does.

    Stops at ``sqrt_price_limit``, at the edge of the known ticks and at the end of the third tick array.
    Raises AmmError for an amount that is not positive. ``rules`` may bound the amounts as the program's 64 bits do.
    """
    edge = ticks.price_at(_last_tick(state, a_to_b))
    if sqrt_price_limit is not None:
        edge = max(edge, sqrt_price_limit) if a_to_b else min(edge, sqrt_price_limit)
    return run_swap(rules, state, amount, a_to_b, exact_in, edge)


def quote_exact_in(
    state: ConcentratedState, a_to_b: bool, amount_in: int, sqrt_price_limit: int | None = None
) -> Quote:
    """What ``amount_in`` buys now; see :func:`swap`. ``filled`` is False when not all of it could be used."""
    return swap(state, a_to_b, amount_in, True, sqrt_price_limit)
