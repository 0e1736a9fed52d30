"""What the compiled loop finds: the room for hits, their legs' states and prices, which grows as it is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal
from mevflow.operators.detect.book.lists import grown
from mevflow.operators.detect.book.mints import Mints
from mevflow.operators.detect.book.pools import POOL_DTYPE
from mevflow.operators.detect.book.usd_price import PRICE_DTYPE
from mevflow.operators.detect.screen import kernel
from mevflow.operators.detect.screen.cycles import HIT_DTYPE, MAX_LEGS, ScreenHits
from mevflow.operators.detect.screen.events import Events

Hits = NDArray[np.void]


class Screening:
    """Runs events through the compiled loop.

    Hits are (HIT_DTYPE ``(hits,)``, POOL_DTYPE ``(hits, MAX_LEGS)``): cycles that screen above zero, and the states of
    their legs at that moment. They hold until the next events are run.
    """

    def __init__(self, book: Book, mints: Mints, journal: Journal, price_every_us: int) -> None:
        self._book, self._mints, self._journal, self._price_every_us = book, mints, journal, price_every_us
        self._hits = np.zeros(256, HIT_DTYPE)
        self._states = np.zeros((256, MAX_LEGS), POOL_DTYPE)
        self._prices = np.zeros(0, PRICE_DTYPE)
        self._priced = 0

    def swaps(self, events: Events, begin: int, end: int, again: bool) -> tuple[int, Hits, Hits]:
        """Apply the swaps from ``begin`` on: (where it stopped, hits, their states).

        ``again``: ``begin`` is where the last call stopped.
        """
        columns, view, journal = events.swap_columns, self._book.view(), self._journal
        while True:
            done, found, self._priced, journal.noted = kernel.run_swaps(
                view, self._found(), columns, begin, end, self._price_every_us, self._room(events),
                self._priced, events.touched, again, journal.room(end - begin), journal.noted,
            )  # fmt: skip
            if done > begin:
                return done, *self._apart(self._hits[:found], self._states[:found])
            self._double()
            again = True

    def faces(self, events: Events, event: int, number: int, time_us: int) -> tuple[Hits, Hits]:
        """Price and screen all that an event changed: the faces of a pool."""
        faces = self._book.info[number].faces
        if len(faces) == 1:
            return self._apart(*self._pool(events, event, number, time_us))
        for face in faces:
            kernel.rerate(self._book.view(), face)
        found = []
        for face in faces:
            hits, states = self._pool(events, event, face, time_us)
            if len(hits):
                found.append((hits.copy(), states.copy()))
        if not found:
            return self.nothing()
        return self._apart(np.concatenate([hits for hits, _ in found]), np.concatenate([each for _, each in found]))

    def nothing(self) -> tuple[Hits, Hits]:
        """No hits."""
        return self._hits[:0], self._states[:0]

    def _pool(self, events: Events, event: int, number: int, time_us: int) -> tuple[Hits, Hits]:
        """Derive, price and screen a pool whose state was changed."""
        again = False
        while True:
            found, self._priced = kernel.run_update(
                self._book.view(), self._found(), number, event, time_us,
                self._price_every_us, self._room(events), self._priced, again,
            )  # fmt: skip
            if found <= len(self._hits):
                return self._hits[:found], self._states[:found]
            self._double()
            again = True

    def _apart(self, hits: Hits, states: Hits) -> tuple[Hits, Hits]:
        """Hits without those that go twice through one pool: its first swap would change what the second finds."""
        if not self._book.has_faces or not len(hits):
            return hits, states
        pools = hits["pool"]
        group = np.where(pools >= 0, self._book.group[pools], -1 - np.arange(pools.shape[1], dtype=np.int32))
        group.sort(axis=1)
        apart = (group[:, 1:] != group[:, :-1]).all(axis=1)
        return hits[apart], states[apart]

    def _found(self) -> ScreenHits:
        return ScreenHits(self._hits, self._states, self._mints.worth, self._mints.native)

    def _double(self) -> None:
        """More cycles pay at one event than there is room for."""
        self._hits = np.zeros(2 * len(self._hits), HIT_DTYPE)
        self._states = np.zeros((2 * len(self._states), MAX_LEGS), POOL_DTYPE)

    def _room(self, events: Events) -> NDArray[np.void]:
        """Space for two prices an event."""
        least = 2 * len(events) + self._priced
        if len(self._prices) < least:
            self._prices = grown(self._prices, least)
        return self._prices

    def take_prices(self) -> NDArray[np.void]:
        """The prices (PRICE_DTYPE) recorded since the last call."""
        taken = self._prices[: self._priced].copy()
        self._priced = 0
        return taken
