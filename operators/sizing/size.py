"""How much to put into a cycle, and what exactly comes out.

A leg's curve is made of stretches, each ``x -> p x / (1 + r x)`` from where it stands
(:mod:`mevflow.operators.sizing.legs`); a chain of such functions is one again, ``a x / (1 + c x)``, whose gain ``- x``
peaks at ``(sqrt(a) - 1) / c`` (Angeris, Chitra: Improved Price Oracles, 2020, for one pool). :func:`best_input` walks
the legs together: it goes to the peak, or to where the first leg comes to the end of its stretch, and from there on,
until the peak lies before the next end. With a stable-swap leg there are no stretches: the input at which the chain's
marginal price is 1 is bracketed (:mod:`mevflow.operators.sizing.peaks`).

Both are in floats and only propose an input; :func:`quote` then runs the venues' own integer arithmetic.
:func:`size` is that; :func:`size_to_the_unit` goes on to the best whole units (:mod:`mevflow.operators.sizing.refine`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from mevflow.operators.sizing.legs.concentrated import ConcentratedLeg
from mevflow.operators.sizing.legs.leg import Leg, Stretches, StretchLeg
from mevflow.operators.sizing.legs.reserves import ReservesLeg
from mevflow.operators.sizing.peaks import best_on
from mevflow.operators.sizing.refine import polish

__all__ = [
    "ConcentratedLeg",
    "Leg",
    "ReservesLeg",
    "best_input",
    "best_walk",
    "known_stretch",
    "quote",
    "size",
    "size_to_the_unit",
]

_MAX_STEPS = 4096
#: A profit is a signed number of 128 bits.
_MAX_AMOUNT = (1 << 127) - 1
_INF = math.inf


def best_input(legs: Sequence[Leg]) -> float:
    """The input that gains most, in raw units as a float; 0 when no input gains."""
    for leg in legs:
        if not hasattr(leg, "stretches"):
            return best_on([leg.curve() for leg in legs])
    return best_walk(cast("Sequence[StretchLeg]", legs))


def best_walk(legs: Sequence[Stretches]) -> float:
    """The best input of a chain whose legs are all made of stretches."""
    ahead, places, depths, rooms = [], [], [], []
    a, past_peaks = 1.0, False
    for leg in legs:
        stretches = leg.stretches()
        first = next(stretches, None)
        if first is None:
            return 0.0
        s, _, depth, room = first
        ahead.append(stretches)
        places.append(s)
        depths.append(depth)
        rooms.append(room)
        a /= s * s
        past_peaks = past_peaks or leg.uneven
    if a <= 1.0 and not past_peaks:
        return 0.0
    count = len(legs)
    total = gained = best = most = 0.0
    for _ in range(_MAX_STEPS):
        a, c = 1.0, 0.0
        limit, first_out = _INF, -1
        for number in range(count):
            room = rooms[number]
            if room < _INF:
                # The input of the whole chain at which this leg's room is used up.
                left = a - c * room
                reach = room / left if left > 0.0 else _INF
                if reach < limit:
                    limit, first_out = reach, number
            s = places[number]
            c += a / (depths[number] * s)
            a /= s * s
        if a > 1.0:
            step = (math.sqrt(a) - 1.0) / c if c > 0.0 else _INF
            if step <= limit:
                if not past_peaks:
                    return total + step
                if gained + a * step / (1.0 + c * step) - step > most:
                    most, best = gained + a * step / (1.0 + c * step) - step, total + step
        elif not past_peaks:
            return total
        if limit == _INF:
            return best
        amount = limit
        for number in range(count):
            s, depth = places[number], depths[number]
            after = s + amount / depth
            rooms[number] -= amount
            places[number] = after
            amount /= s * after
        total += limit
        gained += amount - limit
        if gained > most:
            most, best = gained, total
        following = next(ahead[first_out], None)
        if following is None:
            return best if past_peaks else total
        places[first_out], _, depths[first_out], rooms[first_out] = following
    return best if past_peaks else total


def quote(legs: Sequence[Leg], amount_in: int) -> list[int] | None:
    """Exact amounts along the cycle, ``[in, out of leg 1, ...]``; None when a leg cannot take all that comes.

    Too little to bring a unit out of a leg is 0 from there on.
    """
    amounts = [amount_in]
    amount: int | None = amount_in
    for leg in legs:
        if amount:
            amount = leg.quote(amount)
            if amount is None or amount > _MAX_AMOUNT:
                return None
        amounts.append(amount or 0)
    return amounts


def size(legs: Sequence[Leg]) -> list[int] | None:
    """The best input quoted exactly; None when nothing is gained in whole units."""
    amounts = _proposed(legs)
    return amounts if amounts is not None and amounts[-1] > amounts[0] else None


def size_to_the_unit(legs: Sequence[Leg]) -> list[int] | None:
    """The same with the input moved to the whole unit that gains most, where units matter; slower.

    Of 10**8 units and more in profit a unit is nothing; a unit of a coarse token on the way may still be much.
    """
    amounts = _proposed(legs)
    if amounts is None:
        return None
    amounts = polish(legs, amounts, lambda amount: quote(legs, amount))
    return amounts if amounts[-1] > amounts[0] else None


def _proposed(legs: Sequence[Leg]) -> list[int] | None:
    proposed = best_input(legs)
    if not proposed > 0.0 or proposed > 1e38:
        return None
    whole = int(proposed) or 1
    return quote(legs, whole) or _largest(legs, whole)


def _largest(legs: Sequence[Leg], too_much: int) -> list[int]:
    """The largest input that every leg can take, quoted; at least all but a 2**-30 of it.

    The walk knows neither a venue's rounding at the edge of the known nor that a Whirlpool swap ends with its third
    tick array. A gain rises up to the best input, so below it more is better.
    """
    low, high = 0, too_much
    best = [0] * (len(legs) + 1)
    while high - low > 1 + (low >> 30):
        middle = (low + high) // 2
        amounts = quote(legs, middle)
        if amounts is None:
            high = middle
        else:
            low, best = middle, amounts
    return best


def known_stretch(tick: int, spacing: int) -> tuple[int, int]:
    """The ticks between which liquidity is constant whatever the map: the tick's own multiple of the spacing."""
    low = tick // spacing * spacing
    return low, low + spacing
