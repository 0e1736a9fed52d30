"""Legs that can only be quoted: Curve's metapools over their underlying coins, and tricrypto.

Their curve in floats is read off exact quotes; its price is a difference of two quotes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import metapool as stable_meta
from mevflow.operators.amm.stable import tricrypto
from mevflow.operators.amm.stable.metapool import MetaState
from mevflow.operators.amm.stable.tricrypto import CryptoState
from mevflow.operators.sizing.legs.solve import rising_root
from mevflow.v1 import market_pb2 as market

#: Half the width of a difference, as a share of the input: wide enough to drown rounding, narrow enough to be local.
_HALF = 1e-4
_LEAST = 1_000


@dataclass(slots=True)
class MetaLeg:
    """A swap of underlying coin ``i`` for ``j`` of a metapool (``exchange_underlying``)."""

    state: MetaState
    i: int
    j: int
    venue: int = market.VENUE_CURVE_STABLE

    def quote(self, amount_in: int) -> int | None:
        """The exact output; 0 where the contract refuses."""
        try:
            return stable_meta.get_dy_underlying(self.state, self.i, self.j, amount_in)
        except AmmError:
            return 0

    def cost(self, amount_out: int) -> int | None:
        """The least input that gives ``amount_out``."""
        try:
            return stable_meta.least_in_underlying(self.state, self.i, self.j, amount_out)
        except AmmError:
            return None

    def curve(self) -> QuotedCurve:
        """The curve in floats."""
        side = self.state.pool.balances[0] if self.i == 0 else self.state.base.balances[self.i - 1]
        return QuotedCurve(self.quote, side / 1e3, stable_meta.marginal_price(self.state, self.i, self.j))


@dataclass(slots=True)
class TricryptoLeg:
    """A swap of coin ``i`` for ``j`` of a tricrypto pool."""

    state: CryptoState
    i: int
    j: int
    venue: int = market.VENUE_UNSPECIFIED

    def quote(self, amount_in: int) -> int | None:
        """The exact output; None where the contract reverts, 0 for less than it exchanges."""
        try:
            return tricrypto.get_dy(self.state, self.i, self.j, amount_in)
        except AmmError:
            return 0 if amount_in <= self.state.balances[self.i] // 10**6 else None

    def cost(self, amount_out: int) -> int | None:
        """The least input that gives ``amount_out``."""
        try:
            return tricrypto.quote_exact_out(self.state, self.i, self.j, amount_out).amount_in
        except AmmError:
            return None

    def curve(self) -> QuotedCurve:
        """The curve in floats."""
        price = tricrypto.marginal_price(self.state, self.i, self.j)
        return QuotedCurve(self.quote, self.state.balances[self.i] / 1e3, price)


class QuotedCurve:
    """A curve by its quotes; below a thousand raw units it is a straight line of the price at the start."""

    def __init__(self, quote: Callable[[int], int | None], scale: float, price: float) -> None:
        self._quote, self.scale, self._price = quote, scale, price

    rises: Sequence[float] = ()

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price after ``amount_in``."""
        if amount_in < _LEAST:
            return amount_in * self._price, self._price
        half = max(int(amount_in * _HALF), 1)
        middle = int(amount_in)
        below, above = self._quote(middle - half), self._quote(middle + half)
        if below is None or above is None:
            return 0.0, 0.0
        price = (above - below) / (2 * half)
        return below + price * (amount_in - middle + half), price

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price``."""
        return rising_root(lambda x: self._missing(x, price), self.scale)

    def _missing(self, amount_in: float, wanted: float) -> float:
        price = self.at(amount_in)[1]
        return math.sqrt(wanted / price) - 1.0 if price > 0.0 else math.inf
