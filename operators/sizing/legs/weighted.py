"""Weighted pools of Balancer v2 as legs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.v1 import market_pb2 as market

_MOST_SHARE = 0.3


@dataclass(slots=True)
class WeightedLeg:
    """A swap of token ``i`` for ``j``."""

    state: WeightedState
    i: int
    j: int
    venue: int = market.VENUE_BALANCER_WEIGHTED

    def quote(self, amount_in: int) -> int | None:
        """The exact output; None for more than the pool takes at once."""
        try:
            return weighted.quote_exact_in(self.state, self.i, self.j, amount_in).amount_out
        except AmmError:
            return None

    def cost(self, amount_out: int) -> int | None:
        """What the pool asks for ``amount_out``."""
        try:
            return weighted.quote_exact_out(self.state, self.i, self.j, amount_out).amount_in
        except AmmError:
            return None

    def curve(self) -> WeightedCurve:
        """The curve in floats."""
        return WeightedCurve(self.state, self.i, self.j)


class WeightedCurve:
    """y (1 - (x / (x + dx)) ** (w_i / w_j)), up to three tenths of x."""

    def __init__(self, state: WeightedState, i: int, j: int) -> None:
        self._x, self._y = float(state.balances[i]), float(state.balances[j])
        self._ratio = state.weights[i] / state.weights[j]
        self._keep = 1.0 - state.fee / ONE
        self._most = self._x * _MOST_SHARE / self._keep

    rises: Sequence[float] = ()

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price after ``amount_in``."""
        left = self._x / (self._x + min(amount_in, self._most) * self._keep)
        power = left**self._ratio
        price = self._y * self._ratio / self._x * self._keep * power * left
        return self._y * (1.0 - power), price if amount_in <= self._most else 0.0

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price``."""
        first = self._y * self._ratio / self._x * self._keep
        if price >= first:
            return 0.0
        grown = (first / price) ** (1.0 / (self._ratio + 1.0))
        return min(self._x * (grown - 1.0) / self._keep, self._most)

    @property
    def scale(self) -> float:
        """A thousandth of the balance."""
        return self._x * 1e-3
