"""A program or contract of concentrated liquidity as a venue: exact quotes, a price to screen by, state from events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from mevflow.operators.amm.concentrated.curve import PIPS, AmmError, ConcentratedState, Quote, Rules


@dataclass(frozen=True, slots=True)
class Venue:
    """``swap`` takes (state, amount, a to b, of the input, price limit); ``bits`` are those of its price's fraction.

    ``rules`` state the largest amount, and the tick at a price.
    """

    swap: Callable[[ConcentratedState, int, bool, bool, int | None], Quote]
    rules: Rules
    bits: int

    def quote_exact_in(
        self, state: ConcentratedState, a_to_b: bool, amount_in: int, sqrt_price_limit: int | None = None
    ) -> Quote:
        """What ``amount_in`` buys. Raises AmmError where the program fails; ``filled`` is False at a limit."""
        return self._swap(state, a_to_b, amount_in, True, sqrt_price_limit)

    def quote_exact_out(
        self, state: ConcentratedState, a_to_b: bool, amount_out: int, sqrt_price_limit: int | None = None
    ) -> Quote:
        """What ``amount_out`` costs. Raises AmmError where the program fails; ``filled`` is False at a limit."""
        return self._swap(state, a_to_b, amount_out, False, sqrt_price_limit)

    def marginal_price(self, state: ConcentratedState, a_to_b: bool) -> float:
        """Raw output units per raw input unit for a tiny swap, net of fee; 0.0 without liquidity."""
        return price_net_of_fee(state, a_to_b, self.bits)

    def after_swap(
        self, state: ConcentratedState, sqrt_price: int, liquidity: int | None = None, tick: int | None = None
    ) -> ConcentratedState:
        """``state`` after a swap that ended at ``sqrt_price``; what its event does not state follows from the ticks.

        Raises AmmError if ticks are missing.
        """
        return check_after(state, sqrt_price, liquidity, tick, self.rules.tick_at)

    def _swap(self, state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool, limit: int | None) -> Quote:
        most = self.rules.max_amount
        if most is not None and amount > most:
            raise AmmError(f"{amount} does not fit {most.bit_length()} bits")
        return self.swap(state, amount, a_to_b, exact_in, limit)


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
