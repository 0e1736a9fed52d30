"""The amounts along the cycles of a run's hits: most in one compiled call, the others one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.pools import POOL_DTYPE
from mevflow.operators.detect.report.cycles import SizedCycle, States, known_range
from mevflow.operators.detect.screen.cycles import MAX_LEGS
from mevflow.operators.sizing import limbs
from mevflow.operators.sizing.size import size
from mevflow.operators.sizing.within import NO_TICK, NOTHING, SIZED, size_within


class Sizes:
    """Sizes of ``found``, whose legs' states are ``states`` ``(hits, MAX_LEGS)`` as the kernel recorded them."""

    def __init__(self, book: Book, found: Sequence[SizedCycle], states: NDArray[np.void]) -> None:
        self._book, self._states = book, states
        self._verdict: list[int] = []
        if not found:
            return
        ways = np.frombuffer(b"".join([each.packed for each in found]), np.uint8).reshape(-1, 2, MAX_LEGS)
        legs = np.array([len(each.cycle) for each in found], np.int8)
        ticks = self._next_ticks(found)
        amounts = np.empty((len(found), MAX_LEGS + 1, 2), np.uint64)
        verdict = np.empty(len(found), np.int8)
        size_within(states, ways, ticks, legs, amounts, verdict, limbs.registers())
        self._verdict, self._amounts = verdict.tolist(), amounts.tolist()

    def _next_ticks(self, found: Sequence[SizedCycle]) -> NDArray[np.int32]:
        """The next initialized tick on each leg's way, where it lies within what is known."""
        ticks = np.full((len(found), MAX_LEGS), NO_TICK, np.int32)
        ranges = [self._states[name].tolist() for name in ("tick", "tick_spacing", "known_lower", "known_upper")]
        for each in found:
            for leg, (number, a_to_b) in enumerate(each.cycle):
                maps = self._book.info[number].ticks
                if not maps:
                    continue
                tick, spacing, lower, upper = (column[each.hit][each.turn[leg]] for column in ranges)
                low, high = known_range(tick, spacing, lower, upper)
                known, _ = maps.arrays()
                at = bisect_right(known, tick) - a_to_b
                if 0 <= at < len(known) and (known[at] > low if a_to_b else known[at] < high):
                    ticks[each.hit, leg] = known[at]
        return ticks

    @cached_property
    def _exact(self) -> States:
        return States(self._book, self._states)

    def of(self, found: SizedCycle, time_us: int) -> list[int] | None:
        """The best input and each leg's output at chain time ``time_us``; None when nothing is gained."""
        verdict = self._verdict[found.hit]
        if verdict == SIZED:
            return [low | high << 64 for low, high in self._amounts[found.hit][: len(found.cycle) + 1]]
        return None if verdict == NOTHING else size(self._exact.legs(found, time_us))


def prepare() -> None:
    """Load the compiled code before data flows."""
    ways = np.frombuffer(b"", np.uint8).reshape(0, 2, MAX_LEGS)
    states, ticks = np.empty((0, MAX_LEGS), POOL_DTYPE), np.empty((0, MAX_LEGS), np.int32)
    amounts = np.empty((0, MAX_LEGS + 1, 2), np.uint64)
    size_within(states, ways, ticks, np.empty(0, np.int8), amounts, np.empty(0, np.int8), limbs.registers())
