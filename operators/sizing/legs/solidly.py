"""Stable pools of Aerodrome and Velodrome as legs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import PIPS, AmmError
from mevflow.operators.amm.stable import solidly
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.sizing.legs.solve import rising_root
from mevflow.v1 import market_pb2 as market

_ROUNDS = 64
_NEAR = 1e-15


@dataclass(slots=True)
class SolidlyLeg:
    """A swap through such a pool."""

    state: SolidlyState
    a_to_b: bool
    venue: int = market.VENUE_AERODROME_STABLE

    def quote(self, amount_in: int) -> int | None:
        """The exact output of the pool itself; 0 for an input that it refuses."""
        try:
            return solidly.quote_direct(self.state, self.a_to_b, amount_in).amount_out
        except AmmError:
            return 0

    def cost(self, amount_out: int) -> int | None:
        """The least input that gives ``amount_out``, of those that the contract's quote does not refuse."""
        try:
            return solidly.quote_exact_out(self.state, self.a_to_b, amount_out).amount_in
        except AmmError:
            return None

    def curve(self) -> SolidlyCurve:
        """The curve in floats."""
        return SolidlyCurve(self.state, self.a_to_b)


class SolidlyCurve:
    """x³y + xy³ in whole tokens."""

    def __init__(self, state: SolidlyState, a_to_b: bool) -> None:
        held = [(state.reserve_a, state.unit_a), (state.reserve_b, state.unit_b)]
        (x, self._unit_in), (y, self._unit_out) = held if a_to_b else held[::-1]
        self._x, self._y = x / self._unit_in, y / self._unit_out
        self._keep = 1.0 - state.fee_pips / PIPS
        self._k = self._x * self._y * (self._x**2 + self._y**2)

    rises: Sequence[float] = ()

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price after ``amount_in``."""
        if self._k <= 0.0:
            return 0.0, 0.0
        x = self._x + amount_in * self._keep / self._unit_in
        y = self._balance(x)
        slope = y * (3.0 * x * x + y * y) / (x * (x * x + 3.0 * y * y))
        return max(self._y - y, 0.0) * self._unit_out, slope * self._keep * self._unit_out / self._unit_in

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price``."""

        def missing(amount_in: float) -> float:
            found = self.at(amount_in)[1]
            return math.sqrt(price / found) - 1.0 if found > 0.0 else math.inf

        return rising_root(missing, self.scale)

    @property
    def scale(self) -> float:
        """A thousandth of the balance."""
        return self._x * self._unit_in * 1e-3

    def _balance(self, x: float) -> float:
        """The other balance where this one is ``x``: the curve is convex in it, so Newton's steps fall onto it."""
        y = min(self._y, self._k / x**3)
        for _ in range(_ROUNDS):
            step = (x * y * (x * x + y * y) - self._k) / (x * (x * x + 3.0 * y * y))
            y -= step
            if abs(step) <= _NEAR * y:
                break
        return y
