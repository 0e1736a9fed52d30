"""From nearly the best input to the best in whole units.

Every leg floors, so many inputs buy the same: the least of them is the best. Where one token on the way is coarse (a
unit of WBTC is 10**11 of WETH), that is much more than a float's error. Around the coarsest token's amount the others
are therefore tried, each with the least input that brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mevflow.operators.amm.inverse import first_true
from mevflow.operators.sizing.legs.leg import Leg

#: A profit of so many of the coarsest units is not changed by a unit in its eighth digit.
_ENOUGH = 10**8
_NEIGHBOURS = 48
_ROUNDS = 3
#: Up to such an input every other is tried: where a pool holds a few thousand units, each bin or tick on the way may
#: cost one, and what remains is no curve.
_DUST = 8_192


def polish(legs: Sequence[Leg], amounts: list[int], quote: Callable[[int], list[int] | None]) -> list[int]:
    """The best of the amounts near ``amounts`` (as ``quote`` gives them); never worse than they are."""
    stage = min(range(len(amounts)), key=lambda number: amounts[number])
    # What rounding can cost, in the start token: a unit of each stage.
    grain = sum(amounts[0] // max(amount, 1) + 1 for amount in amounts)
    if amounts[-1] - amounts[0] >= grain * _ENOUGH:
        return amounts
    best = trimmed(legs, amounts, quote)
    if 0 < best[0] <= _DUST:
        every = (quote(amount) for amount in range(1, 2 * best[0] + 1))
        return max([best, *filter(None, every)], key=lambda found: found[-1] - found[0])
    seen = {best[stage]}
    for _ in range(_ROUNDS):
        centre, found = best[stage], best
        for away in range(1, _NEIGHBOURS + 1):
            for wanted in (centre - away, centre + away):
                if wanted <= 0 or wanted in seen:
                    continue
                seen.add(wanted)
                tried = _with(legs, stage, wanted, best, quote)
                if tried is not None and tried[-1] - tried[0] > found[-1] - found[0]:
                    found = tried
        if found is best:
            break
        best = found
    return best


def trimmed(legs: Sequence[Leg], amounts: list[int], quote: Callable[[int], list[int] | None]) -> list[int]:
    """The least input that brings out as much as ``amounts[-1]``."""
    least = least_input_for(legs, len(legs), amounts[-1], amounts)
    return amounts if least is None else quote(least) or amounts


def least_input_for(legs: Sequence[Leg], stage: int, wanted: int, near: Sequence[int]) -> int | None:
    """The least input for which the first ``stage`` legs give at least ``wanted``; None if no input does.

    ``near`` are amounts along the cycle that are not far off.
    """
    for number in range(stage - 1, -1, -1):
        if wanted <= 0:
            return None
        found = _least(legs[number], wanted, near[number])
        if found is None:
            return None
        wanted = found
    return wanted


def _least(leg: Leg, wanted: int, near: int) -> int | None:
    """The least input of one leg. What the venue's own rule asks is near it, if not it."""

    def enough(amount: int) -> bool:
        out = leg.quote(amount)
        return out is None or out >= wanted

    found = first_true(enough, leg.cost(wanted) or near, 1, 1 << 127)
    return found if found is not None and leg.quote(found) is not None else None


def _with(
    legs: Sequence[Leg], stage: int, wanted: int, near: Sequence[int], quote: Callable[[int], list[int] | None]
) -> list[int] | None:
    """The cycle with ``wanted`` at ``stage``."""
    if stage == 0:
        return quote(wanted)
    least = least_input_for(legs, stage, wanted, near)
    found = None if least is None else quote(least)
    if found is None or stage == len(legs):
        return found
    # More may come out of the later legs than the least input for this stage needs; the last output decides.
    return trimmed(legs, found, quote)
