"""PumpSwap legs: a constant product whose fees are of the quote token, whichever way a swap goes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import BPS, AmmError
from mevflow.operators.amm.pairs import pump_swap
from mevflow.operators.amm.pairs.pump_swap import PumpSwapState
from mevflow.operators.sizing.legs.leg import Stretch
from mevflow.operators.sizing.legs.stretches import INF, StretchCurve
from mevflow.v1 import market_pb2 as market

_BITS = 64


@dataclass(slots=True)
class PumpSwapLeg:
    """A sale of the base token (``a_to_b``), or a purchase."""

    state: PumpSwapState
    a_to_b: bool
    venue: int = market.VENUE_UNSPECIFIED

    uneven = False

    def quote(self, amount_in: int) -> int | None:
        """The exact output, 0 for too little to swap, None for more than the program's 64 bits hold."""
        if amount_in + (self.state.reserve_a if self.a_to_b else self.state.reserve_b) >> _BITS:
            return None
        try:
            return pump_swap.quote_exact_in(self.state, self.a_to_b, amount_in).amount_out
        except AmmError:
            return 0

    def cost(self, amount_out: int) -> int | None:
        """The input that the program asks for ``amount_out``, or the least that gives as much."""
        try:
            paid = pump_swap.quote_exact_out(self.state, self.a_to_b, amount_out).amount_in
        except AmmError:
            return None
        return None if paid + (self.state.reserve_a if self.a_to_b else self.state.reserve_b) >> _BITS else paid

    def stretches(self) -> Iterator[Stretch]:
        """One without end: of a sale less of B comes out, of a purchase more of it has to go in."""
        share = sum(self.state.fees_bps) / BPS
        if self.a_to_b:
            x, y = float(self.state.reserve_a), self.state.reserve_b * (1.0 - share)
        else:
            x, y = self.state.reserve_b * (1.0 + share), float(self.state.reserve_a)
        yield math.sqrt(x / y), INF, math.sqrt(x) * math.sqrt(y), INF

    def curve(self) -> StretchCurve:
        """The curve in floats."""
        return StretchCurve(self.stretches())
