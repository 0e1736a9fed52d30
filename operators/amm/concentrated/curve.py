"""A concentrated-liquidity pool's state, and the swap loop that Whirlpool and Uniswap v3 share.

The two programs differ in fixed-point resolution, in how they round, and in where a step may stop; a
:class:`Rules` object holds those differences, so that the loop is written once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from mevflow.operators.errors import MevflowError

#: Fees are in hundredths of a basis point.
PIPS = 1_000_000
#: A protocol fee is in basis points of the fee.
BPS = 10_000


class AmmError(MevflowError):
    """A price, a tick, an amount or a liquidity that the program itself would refuse."""


class ConcentratedState(msgspec.Struct, frozen=True):  # a dataclass that is frozen takes ten times as long to make
    """What a swap needs to know of a pool.

    ``sqrt_price`` is Q64.64 for Whirlpool and Q64.96 for Uniswap v3. ``ticks`` are the initialized ticks in
    ascending order and ``liquidity_net`` what entering each from below adds. ``tick`` is stored, not derived: after
    a swap ends exactly on a tick it may be one less than the price says. Ticks are known only from
    ``known_tick_lower`` to ``known_tick_upper``; a quote stops at those prices.
    """

    sqrt_price: int
    liquidity: int
    tick: int
    fee_pips: int
    tick_spacing: int
    ticks: tuple[int, ...] = ()
    liquidity_net: tuple[int, ...] = ()
    known_tick_lower: int = -887272
    known_tick_upper: int = 887272
    protocol_fee_bps: int = 0


class Quote(msgspec.Struct, frozen=True):
    """What a swap moves and where it leaves the pool.

    ``amount_in`` includes ``fee_amount``. ``filled`` is False when the swap stopped before its amount was used up:
    at the price limit, or at the edge of what is known.
    """

    amount_in: int
    amount_out: int
    sqrt_price_after: int
    liquidity_after: int
    tick_after: int
    fee_amount: int
    protocol_fee: int
    crossed: int
    filled: bool

    def applied_to(self, state: ConcentratedState) -> ConcentratedState:
        """``state`` after this swap."""
        return replace(
            state,
            sqrt_price=self.sqrt_price_after,
            liquidity=self.liquidity_after,
            tick=self.tick_after,
        )


#: (state, current tick, a_to_b) -> the tick where the next step ends at the latest.
NextTarget = Callable[[ConcentratedState, int, bool], int]


@dataclass(frozen=True, slots=True)
class Rules:
    """One program's arithmetic: resolution, rounding, ticks, and where a step stops."""

    delta_a: Callable[[int, int, int, bool], int]
    delta_b: Callable[[int, int, int, bool], int]
    next_price_a: Callable[[int, int, int, bool], int]
    next_price_b: Callable[[int, int, int, bool], int]
    price_at: Callable[[int], int]
    tick_at: Callable[[int], int]
    next_target: NextTarget
    min_tick: int
    max_tick: int
    #: The largest amount that the program can hold, where a quote is to fail as the program does.
    max_amount: int | None = None
    #: How far inside the prices of ``min_tick`` and ``max_tick`` a swap without a limit of its own ends.
    inside: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a swap, within constant liquidity."""

    sqrt_price: int
    amount_in: int
    amount_out: int
    fee_amount: int


def swap_step(
    rules: Rules,
    sqrt_price: int,
    target: int,
    liquidity: int,
    remaining: int,
    fee_pips: int,
    a_to_b: bool,
    exact_in: bool,
) -> Step:
    """Move from ``sqrt_price`` towards ``target`` with what is left; never past either.

    The given side (input if ``exact_in``) decides how far the price goes; the other follows. Amounts in round up,
    amounts out down, and what is left of the input in the last step is fee.
    """
    delta_in, delta_out = (rules.delta_a, rules.delta_b) if a_to_b else (rules.delta_b, rules.delta_a)
    usable = remaining * (PIPS - fee_pips) // PIPS if exact_in else remaining
    fixed = (delta_in if exact_in else delta_out)(sqrt_price, target, liquidity, exact_in)
    reached = fixed <= usable
    if reached:
        after = target
    elif exact_in == a_to_b:
        after = rules.next_price_a(sqrt_price, liquidity, usable, exact_in)
    else:
        after = rules.next_price_b(sqrt_price, liquidity, usable, exact_in)
    whole = after == target
    if not whole:
        fixed = (delta_in if exact_in else delta_out)(sqrt_price, after, liquidity, exact_in)
    other = (delta_out if exact_in else delta_in)(sqrt_price, after, liquidity, not exact_in)
    if rules.max_amount is not None and max(fixed, other) > rules.max_amount:
        raise AmmError(f"a step moves {max(fixed, other)}, which the program cannot hold")
    amount_in, amount_out = (fixed, other) if exact_in else (other, min(fixed, remaining))
    fee = remaining - amount_in if exact_in and not whole else -(-amount_in * fee_pips // (PIPS - fee_pips))
    return Step(after, amount_in, amount_out, fee)


def run_swap(
    rules: Rules,
    state: ConcentratedState,
    amount: int,
    a_to_b: bool,
    exact_in: bool,
    sqrt_price_limit: int | None,
) -> Quote:
    """Swap ``amount`` step by step until it is used up or the limit (or the edge of the known) is reached."""
    if amount <= 0:
        raise AmmError(f"an amount is positive, not {amount}")
    edge = rules.price_at(
        max(state.known_tick_lower, rules.min_tick) if a_to_b else min(state.known_tick_upper, rules.max_tick)
    )
    if sqrt_price_limit is None:
        sqrt_price_limit = (
            rules.price_at(rules.min_tick) + rules.inside if a_to_b else rules.price_at(rules.max_tick) - rules.inside
        )
    limit = max(edge, sqrt_price_limit) if a_to_b else min(edge, sqrt_price_limit)
    price, liquidity, tick = state.sqrt_price, state.liquidity, state.tick
    remaining, calculated, fees, protocol, crossed = amount, 0, 0, 0, 0
    while remaining and (price > limit if a_to_b else price < limit):
        target_tick = rules.next_target(state, tick, a_to_b)
        tick_price = rules.price_at(target_tick)
        target = max(limit, tick_price) if a_to_b else min(limit, tick_price)
        step = swap_step(rules, price, target, liquidity, remaining, state.fee_pips, a_to_b, exact_in)
        if exact_in:
            remaining -= step.amount_in + step.fee_amount
            calculated += step.amount_out
        else:
            remaining -= step.amount_out
            calculated += step.amount_in + step.fee_amount
        if rules.max_amount is not None and calculated > rules.max_amount:
            raise AmmError(f"the swap moves {calculated}, which the program cannot hold")
        fees += step.fee_amount
        protocol += step.fee_amount * state.protocol_fee_bps // BPS
        if step.sqrt_price == tick_price:
            at = bisect_left(state.ticks, target_tick)
            if at < len(state.ticks) and state.ticks[at] == target_tick:
                net = state.liquidity_net[at]
                liquidity += -net if a_to_b else net
                crossed += 1
                if liquidity < 0:
                    raise AmmError(f"crossing tick {target_tick} would leave liquidity {liquidity}")
            tick = target_tick - 1 if a_to_b else target_tick
        elif step.sqrt_price != price:
            tick = rules.tick_at(step.sqrt_price)
        price = step.sqrt_price
    used = amount - remaining
    return Quote(
        amount_in=used if exact_in else calculated,
        amount_out=calculated if exact_in else used,
        sqrt_price_after=price,
        liquidity_after=liquidity,
        tick_after=tick,
        fee_amount=fees,
        protocol_fee=protocol,
        crossed=crossed,
        filled=remaining == 0,
    )


def position_amounts(
    rules: Rules, sqrt_price: int, tick: int, lower: int, upper: int, liquidity: int, round_up: bool
) -> tuple[int, int]:
    """(A, B) of ``liquidity`` in [lower, upper) at the given price and tick."""
    low, high = rules.price_at(lower), rules.price_at(upper)
    if tick < lower:
        return rules.delta_a(low, high, liquidity, round_up), 0
    if tick < upper:
        return rules.delta_a(sqrt_price, high, liquidity, round_up), rules.delta_b(low, sqrt_price, liquidity, round_up)
    return 0, rules.delta_b(low, high, liquidity, round_up)


def next_initialized(ticks: tuple[int, ...], tick: int, a_to_b: bool) -> int | None:
    """The nearest initialized tick at or below ``tick`` (a to b) or above it (b to a); None if there is none."""
    at = bisect_right(ticks, tick)
    if a_to_b:
        return ticks[at - 1] if at else None
    return ticks[at] if at < len(ticks) else None
