"""What every venue of concentrated liquidity needs beside a quote: a price to screen by, and state from an event."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from operators.amm.concentrated import PIPS, AmmError, ConcentratedState


def price_net_of_fee(state: ConcentratedState, a_to_b: bool, bits: int) -> float:
    """Raw output units per raw input unit at the state's price (a square root with ``bits`` fractional bits).

    0.0 when there is no active liquidity: the next tick may have some, but not at this price.
    """
    if state.liquidity <= 0:
        return 0.0
    price = (state.sqrt_price / (1 << bits)) ** 2
    net = 1 - state.fee_pips / PIPS
    return price * net if a_to_b else net / price


def check_after(
    state: ConcentratedState, sqrt_price: int, liquidity: int | None, tick: int | None, tick_at: Callable[[int], int]
) -> ConcentratedState:
    """``state`` moved to ``sqrt_price``; what the event does not state follows from the ticks in between.

    Raises AmmError when the event's liquidity is not what the known ticks give: ticks are then missing.
    """
    reached = tick_at(sqrt_price) if tick is None else tick
    before, after = bisect_right(state.ticks, state.tick), bisect_right(state.ticks, reached)
    low, high = min(before, after), max(before, after)
    crossed = sum(state.liquidity_net[low:high])
    expected = state.liquidity + (crossed if after > before else -crossed)
    known = state.known_tick_lower <= reached < state.known_tick_upper
    if known and (expected < 0 or liquidity not in (None, expected)):
        raise AmmError(f"liquidity {liquidity} at tick {reached}, where the known ticks give {expected}")
    return replace(state, sqrt_price=sqrt_price, tick=reached, liquidity=expected if liquidity is None else liquidity)
