"""Stable-swap legs: Curve pools of two coins or more, and Saber.

In floats the curve is that of the invariant (:mod:`mevflow.operators.amm.stable.invariant`): D is computed once, in
integers; the output's balance is the root of a quadratic-like equation, which Newton's method finds in a few steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import saber
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.invariant import invariant
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, PRECISION, StableState
from mevflow.operators.sizing.legs.solve import rising_root
from mevflow.v1 import market_pb2 as market

_NEWTON_ROUNDS = 64


@dataclass(slots=True)
class StableLeg:
    """A swap of coin ``i`` for ``j`` through a Curve pool."""

    state: StableState
    i: int
    j: int
    venue: int = market.VENUE_CURVE_STABLE

    def quote(self, amount_in: int) -> int | None:
        """The exact output; 0 for an input that is too little to exchange."""
        return _refused_is_zero(lambda: stable_swap.quote_exact_in(self.state, self.i, self.j, amount_in).amount_out)

    def cost(self, amount_out: int) -> int | None:
        """The least input that gives ``amount_out``."""
        try:
            return stable_swap.quote_exact_out(self.state, self.i, self.j, amount_out).amount_in
        except AmmError:
            return None

    def curve(self) -> StableCurve:
        """The curve in floats. A pool with an empty side gives nothing."""
        state = self.state
        fee = state.fee / FEE_DENOMINATOR
        growth = max(state.offpeg_fee_multiplier / FEE_DENOMINATOR - 1.0, 0.0)
        unit_in, unit_out = state.rates[self.i] / PRECISION, PRECISION / state.rates[self.j]
        return StableCurve(
            state.scaled(), self.i, self.j, state.amp, state.amp_precision, unit_in, unit_out, fee, growth
        )


@dataclass(slots=True)
class SaberLeg:
    """A swap through a Saber pool."""

    state: SaberState
    a_to_b: bool
    venue: int = market.VENUE_SABER

    def quote(self, amount_in: int) -> int | None:
        """The exact output; None beyond what the program computes with, 0 where it is too little to swap."""
        if max(self.state.reserve_a, self.state.reserve_b) + amount_in >= 1 << 64:
            return None
        return _refused_is_zero(lambda: saber.quote_exact_in(self.state, self.a_to_b, amount_in).amount_out)

    def cost(self, amount_out: int) -> int | None:
        """The least input that gives ``amount_out``."""
        try:
            return saber.quote_exact_out(self.state, self.a_to_b, amount_out).amount_in
        except AmmError:
            return None

    def curve(self) -> StableCurve:
        """The curve in floats."""
        state = self.state
        i, j = (0, 1) if self.a_to_b else (1, 0)
        fee = state.fee_numerator / state.fee_denominator
        return StableCurve([state.reserve_a, state.reserve_b], i, j, state.amp, 1, 1.0, 1.0, fee)


class StableCurve:
    """The invariant's curve from coin ``i`` to ``j``.

    ``xp`` are balances in the common unit, ``unit_in`` takes raw input to it and ``unit_out`` takes it to raw output.
    ``fee`` is a share of the output, which grows by ``growth`` times itself at most, far off the peg.
    """

    def __init__(
        self,
        xp: Sequence[int],
        i: int,
        j: int,
        amp: int,
        precision: int,
        unit_in: float,
        unit_out: float,
        fee: float,
        growth: float = 0.0,
    ) -> None:
        self._empty = not all(balance > 0 for balance in xp)
        self._x, self._y = float(xp[i]), float(xp[j])
        self._others = [float(balance) for k, balance in enumerate(xp) if k not in (i, j)]
        self._coins = len(xp)
        self._ann = amp * self._coins / precision
        self._d = 0.0 if self._empty else float(invariant(xp, amp, precision))
        self._in, self._out = unit_in, unit_out
        self._fee, self._growth = fee, growth

    rises: Sequence[float] = ()

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price after ``amount_in``."""
        if self._empty:
            return 0.0, 0.0
        x = self._x + amount_in * self._in
        y = self._balance(x)
        product = self._d
        for balance in (x, y, *self._others):
            product *= self._d / (balance * self._coins)
        slope = (self._ann + product / x) / (self._ann + product / y)
        out = max(self._y - y, 0.0)
        fee, rises = self._fee_at((self._x + x) / 2.0, (self._y + y) / 2.0, slope)
        return out * (1.0 - fee) * self._out, (slope * (1.0 - fee) - out * rises) * self._in * self._out

    def _fee_at(self, x: float, y: float, slope: float) -> tuple[float, float]:
        """The fee where the balances halfway are ``x`` and ``y``, and how it rises with the input."""
        if not self._growth:
            return self._fee, 0.0
        both = x + y
        spread = 1.0 + self._growth * 4.0 * x * y / (both * both)
        fee = (1.0 + self._growth) * self._fee / spread
        # Halfway, the balances move at half the pace of the ends.
        parts = 2.0 * (y - x) * (y + slope * x) / (both * both * both)
        return fee, -fee * self._growth * parts / spread

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price``."""
        return rising_root(lambda x: _relative(self.at(x)[1], price), self.scale)

    @property
    def scale(self) -> float:
        """A thousandth of the balance."""
        return self._x / self._in * 1e-3

    def _balance(self, x: float) -> float:
        """The balance of ``j`` when that of ``i`` is ``x``: y**2 + (b - D) y = c."""
        c = self._d
        for balance in (x, *self._others):
            c *= self._d / (balance * self._coins)
        c *= self._d / (self._ann * self._coins)
        b = x + sum(self._others) + self._d / self._ann - self._d
        # The positive root, by the form that does not cancel.
        root = math.hypot(b, 2.0 * math.sqrt(c))
        return 2.0 * c / (b + root) if b > 0 else (root - b) / 2.0


def _relative(price: float, wanted: float) -> float:
    return math.sqrt(wanted / price) - 1.0 if price > 0.0 else math.inf


def _refused_is_zero(out: Callable[[], int]) -> int:
    try:
        return out()
    except AmmError:
        return 0
