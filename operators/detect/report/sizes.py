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
        ticks = np.full((len(found), MAX_LEGS), NO_TICK, np.int32)
        for each in found:
            for leg, (number, a_to_b) in enumerate(each.cycle):
                if book.info[number].ticks:
                    ticks[each.hit, leg] = _next_tick(book, states[each.hit, each.turn[leg]], number, a_to_b)
        amounts = np.empty((len(found), MAX_LEGS + 1, 2), np.uint64)
        verdict = np.empty(len(found), np.int8)
        size_within(states, ways, ticks, legs, amounts, verdict, limbs.registers())
        self._verdict, self._amounts = verdict.tolist(), amounts.tolist()

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


def _next_tick(book: Book, pool: np.void, number: int, a_to_b: bool) -> int:
    """The next initialized tick on a leg's way, where it lies within what is known."""
    ticks = book.info[number].ticks
    assert ticks is not None
    tick = int(pool["tick"])
    low, high = known_range(tick, int(pool["tick_spacing"]), int(pool["known_lower"]), int(pool["known_upper"]))
    known, _ = ticks.arrays()
    at = bisect_right(known, tick) - a_to_b
    if not 0 <= at < len(known):
        return int(NO_TICK)
    return known[at] if (known[at] > low if a_to_b else known[at] < high) else int(NO_TICK)
