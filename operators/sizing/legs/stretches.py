"""Curves made of stretches, in the one coordinate in which all of them are straight lines.

Let ``s`` be one over the square root of the marginal price (raw output a raw input, net of fee). Within constant
liquidity L and a fee 1 - g an input moves it by ``dx = (L / sqrt(g)) ds`` and gives ``dy = dx / s**2``, whichever way
the swap goes and whether the pool has ticks or not; at a constant price (a bin) ``s`` stays. A stretch is
``(s_from, s_to, depth, width)``: ``depth`` is L / sqrt(g), ``width`` the input it takes; ``s_from == s_to`` is a
constant price, whose depth is infinite.

Pools side by side at one marginal price stand at one ``s``: their depths add up. A split over parallel pools is thus
such a curve again (:mod:`mevflow.operators.sizing.parallel`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from mevflow.operators.sizing.legs.leg import Stretch

INF = math.inf


class StretchCurve:
    """The curve that ``stretches`` make; they are read as far as they are asked for, to the end where ``uneven``."""

    def __init__(self, stretches: Iterator[Stretch], uneven: bool = False) -> None:
        self._more = stretches
        self._uneven = uneven
        self._parts: list[Stretch] = []
        #: Input and output at the end of each part, and ``s`` there.
        self._x, self._y, self._s = [0.0], [0.0], [0.0]
        self._done = False

    def _extend(self) -> bool:
        part = next(self._more, None)
        if part is None:
            self._done = True
            return False
        s_from, s_to, _, width = part
        self._parts.append(part)
        self._x.append(self._x[-1] + width)
        self._y.append(self._y[-1] + (width / (s_from * s_to) if width < INF else INF))
        self._s.append(s_to)
        return True

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price after ``amount_in``; the price is 0 beyond the last stretch."""
        while self._x[-1] <= amount_in and not self._done:
            self._extend()
        part = bisect_right(self._x, amount_in) - 1
        if part >= len(self._parts):
            return self._y[-1], 0.0
        s_from, _, depth, _ = self._parts[part]
        inside = amount_in - self._x[part]
        s = s_from + inside / depth
        return self._y[part] + inside / (s_from * s), 1.0 / (s * s)

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price``."""
        wanted = 1.0 / math.sqrt(price)
        while self._s[-1] <= wanted and not self._done:
            self._extend()
        part = bisect_right(self._s, wanted) - 1
        if part >= len(self._parts):
            return self._x[-1]
        s_from, _, depth, _ = self._parts[part]
        # A bin that is not reached takes nothing; one that is has been counted whole.
        return self._x[part] + (wanted - s_from) * depth if wanted > s_from else self._x[part]

    @property
    def rises(self) -> list[float]:
        """Where a stretch has a better price than the one before it."""
        if not self._uneven:
            return []
        while not self._done:
            self._extend()
        return [
            x for x, (before, after) in zip(self._x[1:], pairwise(self._parts), strict=False) if after[0] < before[1]
        ]

    @property
    def scale(self) -> float:
        """A thousandth of the depth at the start, or the width of the first stretch."""
        if not self._parts:
            self._extend()
        if not self._parts:
            return 1.0
        s_from, _, depth, width = self._parts[0]
        return min(width, depth * s_from * 1e-3)


def falling(stretches: Iterator[Stretch]) -> Iterator[Stretch]:
    """The same, but no price is better than one before it: a curve where a fee falls on the way, made concave."""
    worst = 0.0
    for s_from, s_to, depth, width in stretches:
        if s_from >= worst:
            yield s_from, s_to, depth, width
            worst = s_to
        else:
            yield worst, worst, INF, width
