"""Swaps backwards: which prices before a swap explain what it moved and where it ended.

The price after an exact-input swap never falls when the price before it rises, so the prices that end in a given
interval are an interval too. A swap that crosses a tick forgets where it began, to within one unit of its input;
going backwards such an interval widens there and nowhere else by much.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from msgspec.structs import replace

from mevflow.operators.amm.concentrated import tick_math_x64, whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, Quote, position_amounts
from mevflow.operators.amm.concentrated.tick_map import TickMap


def first_true(holds: Callable[[int], bool], guess: int, low: int, high: int) -> int | None:
    """The smallest integer in [low, high] for which ``holds``, a condition that stays true once it is.

    Gallops away from ``guess``, then halves: few calls when the guess is good. None if it never holds.
    """
    guess = min(max(guess, low), high)
    stride = 1
    if holds(guess):
        yes, no = guess, guess
        while yes == no:
            if yes == low:
                return low
            no = max(guess - stride, low)
            if holds(no):
                yes = no
            stride *= 2
    else:
        yes, no = guess, guess
        while yes == no:
            if no == high:
                return None
            yes = min(guess + stride, high)
            if not holds(yes):
                no = yes
            stride *= 2
    while yes - no > 1:
        middle = (yes + no) // 2
        if holds(middle):
            yes = middle
        else:
            no = middle
    return yes


class Pricing:
    """A Whirlpool's tick map, read at any price.

    ``surplus`` is how much active liquidity differs from the sum of the ticks at or below the price: zero by the
    program's design, but two pools of April 2022 carry a constant deficit from an older program.
    """

    def __init__(self, ticks: TickMap, fee_pips: int, tick_spacing: int, surplus: int) -> None:
        self.ticks, self.nets = ticks.arrays()
        self.active = [surplus + total for total in accumulate(self.nets, initial=0)]
        self.fee_pips = fee_pips
        self.tick_spacing = tick_spacing

    def at(self, sqrt_price: int) -> ConcentratedState:
        """The pool's state when its price is ``sqrt_price`` (Q64.64)."""
        tick = tick_math_x64.tick_at(sqrt_price)
        return ConcentratedState(
            sqrt_price=sqrt_price,
            liquidity=self.active[bisect_right(self.ticks, tick)],
            tick=tick,
            fee_pips=self.fee_pips,
            tick_spacing=self.tick_spacing,
            ticks=self.ticks,
            liquidity_net=self.nets,
        )

    def swap_from(self, sqrt_price: int, a_to_b: bool, amount_in: int) -> Quote:
        """An exact-input swap that begins at ``sqrt_price``."""
        return whirlpool.swap(self.at(sqrt_price), a_to_b, amount_in)


def prices_before(
    pricing: Pricing, after: tuple[int, int], a_to_b: bool, amount_in: int, amount_out: int
) -> tuple[int, int] | None:
    """The prices from which swapping ``amount_in`` gives ``amount_out`` and ends within ``after`` (inclusive).

    Returns an inclusive interval; None when no price explains the swap.
    """
    low, high = tick_math_x64.MIN_SQRT_PRICE + 1, tick_math_x64.MAX_SQRT_PRICE - 1
    guess = _undo(pricing, sum(after) // 2, a_to_b, amount_in)
    first = first_true(lambda p: pricing.swap_from(p, a_to_b, amount_in).sqrt_price_after >= after[0], guess, low, high)
    beyond = first_true(lambda p: pricing.swap_from(p, a_to_b, amount_in).sqrt_price_after > after[1], guess, low, high)
    if first is None:
        return None
    return _giving(pricing, (first, high if beyond is None else beyond - 1), a_to_b, amount_in, amount_out)


def _giving(
    pricing: Pricing, within: tuple[int, int], a_to_b: bool, amount_in: int, amount_out: int
) -> tuple[int, int] | None:
    """The part of ``within`` from which the swap gives exactly ``amount_out``.

    A better price before gives more out (a to b) or less (b to a); over an interval that one input unit explains,
    rounding does not disturb that order.
    """
    low, high = within
    if low > high:
        return None
    sign = 1 if a_to_b else -1

    def out(price: int) -> int:
        return sign * pricing.swap_from(price, a_to_b, amount_in).amount_out

    wanted = sign * amount_out
    if out(low) == wanted == out(high):
        return within
    middle = (low + high) // 2
    first = first_true(lambda price: out(price) >= wanted, middle, low, high)
    beyond = first_true(lambda price: out(price) > wanted, middle, low, high)
    last = high if beyond is None else beyond - 1
    return None if first is None or first > last else (first, last)


def price_explaining(
    pricing: Pricing, near: int, a_to_b: bool, amount_in: int, amount_out: int, reach: int
) -> int | None:
    """A price within ``near`` ± ``reach`` from which ``amount_in`` buys exactly ``amount_out``, or None."""
    low = max(near - reach, tick_math_x64.MIN_SQRT_PRICE + 1)
    high = min(near + reach, tick_math_x64.MAX_SQRT_PRICE - 1)
    sign = 1 if a_to_b else -1
    wanted = sign * amount_out

    def out(price: int) -> int:
        return sign * pricing.swap_from(price, a_to_b, amount_in).amount_out

    first = first_true(lambda price: out(price) >= wanted, near, low, high)
    if first is None or out(first) != wanted:
        return None
    beyond = first_true(lambda price: out(price) > wanted, first, low, high)
    middle = (first + (high if beyond is None else beyond - 1)) // 2
    return middle if out(middle) == wanted else first


def prices_moving(
    within: tuple[int, int], lower: int, upper: int, liquidity: int, round_up: bool, moved: tuple[int, int]
) -> tuple[int, int] | None:
    """The part of ``within`` (Q64.64, inclusive) at which ``liquidity`` in [lower, upper) is worth ``moved`` = (A, B).

    A higher price means no more A and no less B, so the answer is an interval; None when it is empty.
    """

    def worth(price: int) -> tuple[int, int]:
        tick = tick_math_x64.tick_at(price)
        return position_amounts(whirlpool.RULES, price, tick, lower, upper, liquidity, round_up)

    def high_enough(price: int) -> bool:
        a, b = worth(price)
        return a <= moved[0] and b >= moved[1]

    def too_high(price: int) -> bool:
        a, b = worth(price)
        return a < moved[0] or b > moved[1]

    low, high = within
    (most_a, least_b), (least_a, most_b) = worth(low), worth(high)
    if not (least_a <= moved[0] <= most_a and least_b <= moved[1] <= most_b):
        return None
    first = first_true(high_enough, (low + high) // 2, low, high)
    if first is None or worth(first) != moved:
        return None
    beyond = first_true(too_high, first, first, high)
    return first, high if beyond is None else beyond - 1


def _undo(pricing: Pricing, after: int, a_to_b: bool, amount_in: int) -> int:
    """About where a swap that ended at ``after`` began: the input, net of fee, taken out again."""
    state = replace(pricing.at(after), fee_pips=0)
    net = amount_in * (1_000_000 - pricing.fee_pips) // 1_000_000
    try:
        return whirlpool.swap(state, not a_to_b, max(net, 1), exact_in=False).sqrt_price_after
    except AmmError:
        return after
