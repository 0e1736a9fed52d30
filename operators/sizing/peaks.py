"""The best input of a chain of any curves, stable-swap ones among them: its marginal price there is 1.

Where every curve is concave there is one such input. A fee that falls on the way makes a price rise between two bins:
between any two such places the chain is concave again, each part is searched, and the gain decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from mevflow.operators.sizing.legs.leg import Curve
from mevflow.operators.sizing.legs.solve import rising_root

_INF = math.inf


def best_on(curves: Sequence[Curve]) -> float:
    """The best input of a chain of curves, in raw units; 0 when no input gains."""
    places = {0.0, _INF}
    for number, curve in enumerate(curves):
        places.update(_input_for(curves[:number], wanted) for wanted in curve.rises)
    peaks = [_peak(curves, start, end) for start, end in pairwise(sorted(places))]
    return max(peaks, key=lambda amount_in: _through(curves, amount_in)[0] - amount_in) if len(peaks) > 1 else peaks[0]


def _through(curves: Sequence[Curve], amount_in: float) -> tuple[float, float]:
    """Output and marginal price of the chain; the price is 0 where a curve takes no more."""
    price, amount = 1.0, amount_in
    for curve in curves:
        amount, slope = curve.at(amount)
        price *= slope
    return amount, price


def _peak(curves: Sequence[Curve], start: float, end: float) -> float:
    """Where the marginal price falls to 1 between ``start`` and ``end``, within which it does not rise.

    One over the price's square root is straight for constant products, and nearly so for others.
    """

    def missing(beyond: float) -> float:
        if beyond <= 0.0 < start:
            # A float's error before a rise the price is still the lower one.
            return -1.0
        price = _through(curves, start + beyond)[1]
        return 1.0 / math.sqrt(price) - 1.0 if price > 0.0 and start + beyond < end else _INF

    return start + rising_root(missing, min(curves[0].scale, (end - start) / 2.0))


def _input_for(curves: Sequence[Curve], wanted: float) -> float:
    """The input of which the chain makes ``wanted``; inf where it cannot."""
    if not curves:
        return wanted
    if _through(curves, 2.0**128)[0] < wanted:
        return _INF
    return rising_root(lambda amount_in: _through(curves, amount_in)[0] / wanted - 1.0, curves[0].scale)
