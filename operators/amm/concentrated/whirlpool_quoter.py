"""Orca's off-chain Whirlpool quoter (the wasm module of @orca-so/whirlpools-core), bit for bit.

It differs from the program (:mod:`mevflow.operators.amm.concentrated.whirlpool`) in three ways, after
orca-so/whirlpools, ``rust-sdk/core/src/{quote/swap,math/token,math/tick_array}.rs``: it is given five tick arrays, two
on each side of the price's own; a swap that would leave them is an error, not a partial fill; and active liquidity is
a wrapping 128-bit number. The last matters for the few old pools whose active liquidity is below what their ticks take
away: there the program refuses, and the quoter goes on with nearly 2**128 of liquidity.
"""

from __future__ import annotations

from bisect import bisect_left

from mevflow.operators.amm.concentrated import tick_math_x64 as ticks
from mevflow.operators.amm.concentrated import whirlpool
from mevflow.operators.amm.concentrated.curve import PIPS, AmmError, ConcentratedState, Quote, Step, next_initialized
from mevflow.operators.amm.concentrated.whirlpool import TICKS_PER_ARRAY, array_start

ARRAYS_EACH_SIDE = 2

_MAX_U64 = (1 << 64) - 1
_U128 = 1 << 128
_U256 = 1 << 256


def quote_exact_in(state: ConcentratedState, a_to_b: bool, amount_in: int) -> Quote:
    """What the quoter says ``amount_in`` buys; ``fee_amount`` is its trade fee. Raises AmmError where it fails."""
    return _quote(state, a_to_b, amount_in, exact_in=True)


def quote_exact_out(state: ConcentratedState, a_to_b: bool, amount_out: int) -> Quote:
    """What the quoter says ``amount_out`` costs. Raises AmmError where it fails."""
    return _quote(state, a_to_b, amount_out, exact_in=False)


def _quote(state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool) -> Quote:
    if not 0 < amount <= _MAX_U64:
        raise AmmError(f"an amount is from 1 to 2**64 - 1, not {amount}")
    first, last = _window(state)
    limit = ticks.MIN_SQRT_PRICE if a_to_b else ticks.MAX_SQRT_PRICE
    price, liquidity, tick = state.sqrt_price, state.liquidity, state.tick
    remaining, calculated, fees, crossed = amount, 0, 0, 0
    while remaining and price != limit:
        if tick < first if a_to_b else tick >= last:
            raise AmmError("the swap leaves the five tick arrays around the price")
        next_tick, initialized = _next_tick(state, tick, a_to_b, first, last)
        next_price = ticks.price_at(next_tick)
        target = max(next_price, limit) if a_to_b else min(next_price, limit)
        step = _step(price, target, liquidity, remaining, state.fee_pips, a_to_b, exact_in)
        fees += step.fee_amount
        remaining -= step.amount_in + step.fee_amount if exact_in else step.amount_out
        calculated += step.amount_out if exact_in else step.amount_in + step.fee_amount
        if remaining < 0 or calculated > _MAX_U64:
            raise AmmError("the swap's amounts overflow 64 bits")
        if step.sqrt_price == next_price:
            if initialized:
                net = state.liquidity_net[bisect_left(state.ticks, next_tick)]
                liquidity = (liquidity + (-net if a_to_b else net)) % _U128
                crossed += 1
            tick = next_tick - 1 if a_to_b else next_tick
        elif step.sqrt_price != price:
            tick = ticks.tick_at(step.sqrt_price)
        price = step.sqrt_price
    used = amount - remaining
    return Quote(
        amount_in=used if exact_in else calculated,
        amount_out=calculated if exact_in else used,
        sqrt_price_after=price,
        liquidity_after=liquidity,
        tick_after=tick,
        fee_amount=fees,
        protocol_fee=0,
        crossed=crossed,
        filled=remaining == 0,
    )


def _window(state: ConcentratedState) -> tuple[int, int]:
    """The first and the last tick of the five arrays."""
    width = TICKS_PER_ARRAY * state.tick_spacing
    start = array_start(state.tick, state.tick_spacing)
    first = start - ARRAYS_EACH_SIDE * width
    last = start + (ARRAYS_EACH_SIDE + 1) * width - 1
    return max(first, ticks.MIN_TICK), min(last, ticks.MAX_TICK)


def _next_tick(state: ConcentratedState, tick: int, a_to_b: bool, first: int, last: int) -> tuple[int, bool]:
    """Where the next step ends at the latest, and whether an initialized tick is there."""
    found = next_initialized(state.ticks, tick, a_to_b)
    if found is None or not first <= found <= last:
        return (first if a_to_b else last), False
    return found, True


def _step(price: int, target: int, liquidity: int, remaining: int, fee_pips: int, a_to_b: bool, exact_in: bool) -> Step:
    fixed_is_a = a_to_b == exact_in
    usable = remaining * (PIPS - fee_pips) // PIPS if exact_in else remaining
    to_target = _delta(fixed_is_a, price, target, liquidity, exact_in)
    reached = to_target <= min(usable, _MAX_U64)
    if reached:
        after = target
    elif fixed_is_a:
        after = _next_price_a(price, liquidity, usable, exact_in)
    else:
        after = whirlpool.next_price_b(price, liquidity, usable, exact_in)
    whole = after == target
    fixed = to_target
    if not whole or to_target > _MAX_U64:
        fixed = _delta(fixed_is_a, price, after, liquidity, exact_in)
    other = _delta(not fixed_is_a, price, after, liquidity, not exact_in)
    if max(fixed, other) > _MAX_U64:
        raise AmmError("a step's amounts overflow 64 bits")
    amount_in, amount_out = (fixed, other) if exact_in else (other, min(fixed, remaining))
    fee = remaining - amount_in if exact_in and not whole else -(-amount_in * fee_pips // (PIPS - fee_pips))
    return Step(after, amount_in, amount_out, fee)


def _delta(of_a: bool, price_0: int, price_1: int, liquidity: int, round_up: bool) -> int:
    if not of_a:
        return whirlpool.delta_b(price_0, price_1, liquidity, round_up)
    # The quoter shifts within 256 bits and loses what does not fit.
    numerator = (liquidity * abs(price_1 - price_0) << 64) % _U256
    denominator = price_0 * price_1
    return -(-numerator // denominator) if round_up else numerator // denominator


def _next_price_a(price: int, liquidity: int, amount: int, is_input: bool) -> int:
    if amount == 0:
        return price
    product = price * amount
    denominator = (liquidity << 64) + (product if is_input else -product)
    if denominator <= 0:
        raise AmmError(f"liquidity {liquidity} cannot give {amount} of token A")
    after = -(-((liquidity * price << 64) % _U256) // denominator)
    if not ticks.MIN_SQRT_PRICE <= after <= ticks.MAX_SQRT_PRICE:
        raise AmmError(f"sqrt price {after} is out of bounds")
    return after
