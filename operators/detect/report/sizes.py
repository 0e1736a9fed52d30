"""The amounts along the cycles of a run's hits: most in one compiled call, the others one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.amounts import u128
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.pools import POOL_DTYPE
from mevflow.operators.detect.report.cycles import FoundCycles, States
from mevflow.operators.detect.screen.cycles import MAX_LEGS
from mevflow.operators.sizing import limbs
from mevflow.operators.sizing.size import size
from mevflow.operators.sizing.within import NO_TICK, NOTHING, OPEN, SIZED, gains, next_ticks, size_within

Amounts = NDArray[np.uint64]


def sized(
    book: Book, found: FoundCycles, states: NDArray[np.void], time_us: Callable[[int], int]
) -> tuple[Amounts, NDArray[np.float64]]:
    """The best input of each cycle and each leg's output, and what is gained as a float: 0 where nothing is.

    ``states`` ``(hits, MAX_LEGS)`` are the legs' as the kernel recorded them; ``time_us`` the chain time of an event.
    Amounts are ``(hits, MAX_LEGS + 1, 2)``, little-endian words; those of a cycle that gains nothing mean nothing.
    """
    ways = np.stack([found.turn, (found.cycle & 1).astype(np.uint8)], axis=1)
    amounts = np.empty((len(ways), MAX_LEGS + 1, 2), np.uint64)
    verdict, gained = np.empty(len(ways), np.int8), np.empty(len(ways))
    room = limbs.registers()
    size_within(states, ways, _ticks(book, found, states), found.legs, amounts, verdict, room)
    left = np.flatnonzero(verdict == OPEN).tolist()
    if left:
        exact = States(book, states)
    for hit in left:
        made = size(exact.legs(found, hit, time_us(int(found.event[hit]))))
        verdict[hit] = NOTHING if made is None else SIZED
        if made is not None:
            words = np.frombuffer(b"".join([u128(amount) for amount in made]), np.uint64)
            amounts[hit, : len(made)] = words.reshape(-1, 2)
    gains(amounts, found.legs, verdict, gained, room)
    return amounts, gained


def _ticks(book: Book, found: FoundCycles, states: NDArray[np.void]) -> NDArray[np.int32]:
    """The next initialized tick on each leg's way, where it lies within what is known."""
    ticks = np.full(found.cycle.shape, NO_TICK, np.int32)
    maps = {number: book.info[number].ticks for number in set((found.cycle[found.cycle >= 0] >> 1).tolist())}
    told = [(number, known.ticks) for number, known in sorted(maps.items()) if known]
    if told:
        pools, of_pools = zip(*told, strict=True)
        starts = np.cumsum([0, *map(len, of_pools)])
        next_ticks(states, found.cycle, found.turn, np.array(pools), starts, np.concatenate(of_pools), ticks)
    return ticks


def prepare() -> None:
    """Load the compiled code before data flows."""
    ways, ticks = np.zeros((0, 2, MAX_LEGS), np.uint8), np.zeros((0, MAX_LEGS), np.int32)
    states, legs, verdict = np.zeros((0, MAX_LEGS), POOL_DTYPE), np.zeros(0, np.int64), np.zeros(0, np.int8)
    amounts, room = np.zeros((0, MAX_LEGS + 1, 2), np.uint64), limbs.registers()
    size_within(states, ways, ticks, legs, amounts, verdict, room)
    gains(amounts, legs, verdict, np.zeros(0), room)
    next_ticks(states, ticks, ways[:, 0].copy(), legs, np.zeros(1, np.int64), np.zeros(0, np.int32), ticks)
