"""Legs through pools with ticks: Whirlpool, Raydium CLMM, Uniswap v3."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import PIPS, AmmError, ConcentratedState
from mevflow.operators.sizing.legs.leg import Stretch
from mevflow.operators.sizing.legs.stretches import StretchCurve
from mevflow.operators.sizing.venues import concentrated_cost, concentrated_out, concentrated_rules

_LOG_TICK = math.log(1.0001) / 2
#: From here on Uniswap's next price is computed by a less exact formula; it is left to the venue's own loop.
_WIDE = 1 << 255


@dataclass(slots=True)
class ConcentratedLeg:
    """A swap through a concentrated pool; ``one`` is the fixed-point one of its square-root price.

    ``through_empty``: a search may cross a stretch without liquidity, as the program does. Off in detection, where a
    pool that stands beside its liquidity is not trusted (ADR 41).
    """

    state: ConcentratedState
    a_to_b: bool
    one: int
    venue: int = 0
    through_empty: bool = False

    uneven = False

    def quote(self, amount_in: int) -> int | None:
        """The exact output, or None when the pool cannot take all of it within what is known."""
        try:
            within = self._within_stretch(amount_in)
        except AmmError:
            within = None
        if within is not None:
            return within
        return concentrated_out(self.venue, self.one == 1 << 64, self.state, self.a_to_b, amount_in)

    def cost(self, amount_out: int) -> int | None:
        """The input that the venue asks for ``amount_out``."""
        return concentrated_cost(self.venue, self.one == 1 << 64, self.state, self.a_to_b, amount_out)

    def _within_stretch(self, amount_in: int) -> int | None:
        """The output of a swap that ends before the next tick, which is one step of the venue's loop; else None.

        A price strictly before the tick is reached only by an input that does not reach it, because prices round
        against the trader and the input that reaches it rounds up.
        """
        state, a_to_b = self.state, self.a_to_b
        liquidity, price = state.liquidity, state.sqrt_price
        rules, slots = concentrated_rules(self.venue, self.one == 1 << 64)
        width = slots * state.tick_spacing
        most = rules.max_amount
        if liquidity <= 0 or amount_in * price >= _WIDE or (most is not None and amount_in > most):
            return None
        at = bisect_right(state.ticks, state.tick)
        usable = amount_in * (PIPS - state.fee_pips) // PIPS
        if a_to_b:
            bound = max(state.known_tick_lower, rules.min_tick)
            if at and state.ticks[at - 1] > bound:
                bound = state.ticks[at - 1]
            if width:
                bound = max(bound, state.tick // width * width)
            after = rules.next_price_a(price, liquidity, usable, True)
            if after <= rules.price_at(bound):
                return None
            out = rules.delta_b(price, after, liquidity, False)
        else:
            bound = min(state.known_tick_upper, rules.max_tick)
            if at < len(state.ticks) and state.ticks[at] < bound:
                bound = state.ticks[at]
            if width:
                bound = min(bound, state.tick // width * width + width - state.tick_spacing)
            after = rules.next_price_b(price, liquidity, usable, True)
            if after >= rules.price_at(bound):
                return None
            out = rules.delta_a(price, after, liquidity, False)
        return out if most is None or out <= most else None

    def stretches(self) -> Iterator[Stretch]:
        """One from tick to tick, to the edge of the known or of the liquidity."""
        state, a_to_b = self.state, self.a_to_b
        ticks, nets = state.ticks, state.liquidity_net
        keep = math.sqrt(1.0 - state.fee_pips / 1e6)
        at = bisect_right(ticks, state.tick)
        liquidity = state.liquidity
        # s is sqrt(B per A) turned to the swap's direction, and the fee on top.
        s = (self.one / state.sqrt_price if a_to_b else state.sqrt_price / self.one) / keep
        edge = state.known_tick_lower if a_to_b else state.known_tick_upper
        step = -1 if a_to_b else 1
        if a_to_b:
            at -= 1
        while True:
            inside = 0 <= at < len(ticks)
            last = not inside or (ticks[at] <= edge if a_to_b else ticks[at] >= edge)
            tick = edge if last else ticks[at]
            target = math.exp(_LOG_TICK * (-tick if a_to_b else tick)) / keep
            if liquidity > 0:
                depth = liquidity / keep
                yield s, max(target, s), depth, max(target - s, 0.0) * depth
            elif not self.through_empty:
                return
            if last:
                return
            liquidity += -nets[at] if a_to_b else nets[at]
            s = max(target, s)
            at += step

    def curve(self) -> StretchCurve:
        """The curve in floats."""
        return StretchCurve(self.stretches())
