"""What is known of a Uniswap v3 pool's liquidity when its tick map was never recorded.

Between two adjacent initializable ticks liquidity is constant, so knowledge is kept by such segments: segment k
spans [k * spacing, (k + 1) * spacing). A swap that ends in a segment states its liquidity; a Mint or a Burn changes
it in every segment that it covers; a swap that passes through segments explains them if it can be reproduced to
the unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from mevflow.operators.amm.concentrated.tick_math_x96 import MAX_TICK, MIN_TICK

#: More ways than this to place unknown changes are not tried,
_MOST_GUESSES = 128
#: and none over more segments than this: nobody trades that far, and trying would take long.
_LONGEST_ROUTE = 256


class Segments:
    """Liquidity by segment, where it is known."""

    def __init__(self, spacing: int) -> None:
        self.spacing = spacing
        self._known: dict[int, int] = {}

    def of(self, tick: int) -> int:
        """The segment that holds ``tick``."""
        return tick // self.spacing

    def at(self, tick: int) -> int | None:
        """The liquidity at ``tick``, if known."""
        return self._known.get(self.of(tick))

    def knows(self, first: int, last: int) -> bool:
        """Whether every segment from ``first`` to ``last``, both included, is known."""
        return all(segment in self._known for segment in range(first, last + 1))

    def learn(self, liquidity: dict[int, int]) -> None:
        """Take (segment -> liquidity) as known."""
        self._known.update(liquidity)

    def forget(self, first: int, last: int) -> None:
        """Unknow the segments from ``first`` to ``last``, both included."""
        for segment in [k for k in self._known if first <= k <= last]:
            del self._known[segment]

    def change(self, lower: int, upper: int, delta: int) -> None:
        """A position in [lower, upper) changes by ``delta``. A segment that would turn negative is forgotten."""
        first, last = self.of(lower), self.of(upper - 1)
        for segment in [k for k in self._known if first <= k <= last]:
            self._known[segment] += delta
            if self._known[segment] < 0:
                del self._known[segment]

    def around(self, tick: int) -> tuple[int, int, dict[int, int]]:
        """(lower tick, upper tick, net by tick strictly between) of the known stretch that holds ``tick``."""
        first = last = self.of(tick)
        nets: dict[int, int] = {}
        while first - 1 in self._known:
            if net := self._known[first] - self._known[first - 1]:
                nets[first * self.spacing] = net
            first -= 1
        while last + 1 in self._known:
            if net := self._known[last + 1] - self._known[last]:
                nets[(last + 1) * self.spacing] = net
            last += 1
        lower, upper = max(first * self.spacing, MIN_TICK), min((last + 1) * self.spacing, MAX_TICK)
        return lower, upper, dict(sorted(nets.items()))

    def paths(self, begin: int, end: int, begins_with: int, ends_with: int) -> Iterator[dict[int, int]]:
        """Ways to fill the segments from tick ``begin`` to tick ``end``, the simplest first.

        Each is a liquidity by segment that agrees with what is known and in which every unknown stretch
        changes at most once. ``begins_with`` and ``ends_with`` are the liquidity at both ends.
        """
        step = 1 if end >= begin else -1
        route = range(self.of(begin), self.of(end) + step, step)
        if len(route) > _LONGEST_ROUTE:
            return
        values: list[int | None] = [self._known.get(segment) for segment in route]
        values[0], values[-1] = begins_with, ends_with
        gaps: list[list[list[int]]] = []
        places: list[range] = []
        at = 0
        while at < len(values):
            if values[at] is not None:
                at += 1
                continue
            stop = at
            while values[stop] is None:
                stop += 1
            before, after = values[at - 1], values[stop]
            assert before is not None
            assert after is not None
            length = stop - at
            changes = range(length + 1) if before != after else range(1)
            gaps.append([[before] * place + [after] * (length - place) for place in changes])
            places.append(range(at, stop))
            at = stop
        for tried, filling in enumerate(product(*gaps)):
            if tried == _MOST_GUESSES:
                return
            filled = list(values)
            for place, stretch in zip(places, filling, strict=True):
                filled[place.start : place.stop] = stretch
            yield {segment: value for segment, value in zip(route, filled, strict=True) if value is not None}

    def unknown_between(self, begin: int, end: int) -> list[int]:
        """The unknown segments strictly between those of two ticks, if they are one stretch; else none."""
        first, last = sorted((self.of(begin), self.of(end)))
        if last - first > _LONGEST_ROUTE:
            return []
        unknown = [segment for segment in range(first + 1, last) if segment not in self._known]
        return unknown if unknown and unknown[-1] - unknown[0] + 1 == len(unknown) else []

    def paths_with_a_middle(
        self, begin: int, end: int, begins_with: int, ends_with: int, stretch: list[int]
    ) -> Iterator[tuple[dict[int, int], list[int]]]:
        """Ways to change twice within ``stretch``: (a path, the segments of it whose liquidity is still free)."""
        first, last = sorted((self.of(begin), self.of(end)))
        path = {segment: self._known[segment] for segment in range(first, last + 1) if segment in self._known}
        path |= {self.of(begin): begins_with, self.of(end): ends_with}
        below, above = path[stretch[0] - 1], path[stretch[-1] + 1]
        for low in range(len(stretch)):
            for high in range(low + 1, len(stretch) + 1):
                sides = dict.fromkeys(stretch[:low], below) | dict.fromkeys(stretch[high:], above)
                yield path | sides | dict.fromkeys(stretch[low:high], 0), stretch[low:high]
