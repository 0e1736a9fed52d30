"""Constant-product legs: Uniswap v2, Raydium v4 and CPMM."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mevflow.operators.sizing.legs.leg import Stretch
from mevflow.operators.sizing.legs.stretches import INF, StretchCurve
from mevflow.operators.sizing.venues import reserves_cost, reserves_out


@dataclass(slots=True)
class ReservesLeg:
    """A swap through a constant-product pool; ``reserves`` are raw units of tokens A and B."""

    reserves: tuple[int, int]
    fee_pips: int
    a_to_b: bool
    venue: int = 0

    uneven = False

    def quote(self, amount_in: int) -> int | None:
        """The exact output."""
        return reserves_out(self.venue, self.reserves, self.fee_pips, self.a_to_b, amount_in)

    def cost(self, amount_out: int) -> int | None:
        """The input that the venue asks for ``amount_out``."""
        return reserves_cost(self.venue, self.reserves, self.fee_pips, self.a_to_b, amount_out)

    def stretches(self) -> Iterator[Stretch]:
        """One without end."""
        a, b = self.reserves
        if a <= 0 or b <= 0:
            return
        x, y = (a, b) if self.a_to_b else (b, a)
        keep = 1.0 - self.fee_pips / 1e6
        yield math.sqrt(x / y / keep), INF, math.sqrt(x) * math.sqrt(y) / math.sqrt(keep), INF

    def curve(self) -> StretchCurve:
        """The curve in floats."""
        return StretchCurve(self.stretches())
