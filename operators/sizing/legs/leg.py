"""What every leg can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

#: A part of a curve, ``(s_from, s_to, depth, width)``; see :mod:`mevflow.operators.sizing.legs.stretches`.
Stretch = tuple[float, float, float, float]


class Curve(Protocol):
    """A curve in floats: raw units in, raw units out, net of fees; concave but for ``rises``."""

    @property
    def rises(self) -> Sequence[float]:
        """The inputs at which the marginal price becomes better than it was before, which a fee that falls does."""
        ...

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price there. Beyond what the pool takes the price is 0."""
        ...

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price`` (above 0); asked of concave curves."""
        ...

    @property
    def scale(self) -> float:
        """An input that is not negligible to the pool: where a search begins."""
        ...


class _Quoted(Protocol):
    @property
    def venue(self) -> int: ...

    def quote(self, amount_in: int) -> int | None:
        """The exact output of ``amount_in`` > 0; None when the pool cannot take all of it within what is known."""
        ...

    def cost(self, amount_out: int) -> int | None:
        """The input that ``amount_out`` takes by the venue's own rule; None where it refuses. A unit more than the
        least may be asked."""
        ...

    def curve(self) -> Curve:
        """The same in floats."""
        ...


class SmoothLeg(_Quoted, Protocol):
    """A leg whose curve is no sequence of constant products."""


class Stretches(Protocol):
    """A curve made of stretches of constant liquidity or constant price.

    ``uneven``: the price net of the fee may rise on the way (a fee that falls), so that the curve is not concave.
    """

    @property
    def uneven(self) -> bool: ...

    def stretches(self) -> Iterator[Stretch]:
        """The stretches in the order in which a swap meets them."""
        ...


class StretchLeg(_Quoted, Stretches, Protocol):
    """A leg whose curve is made of stretches."""


Leg = SmoothLeg | StretchLeg
