"""What the last slots changed, so that a fork or a skipped slot can be taken back.

The first time that a slot changes a pool, the pool's row as it was before is noted; a change of its ticks is noted with
how to take it back. Slots deeper than ``depth`` below the newest of their chain are forgotten.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from mevflow.operators.detect.book import curve_bytes
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.curves import Curve, told_whole
from mevflow.operators.detect.book.lists import grown
from mevflow.operators.detect.book.pools import POOL_DTYPE
from mevflow.operators.merge import distinct
from mevflow.operators.sizing.kinds import KIND_STABLE

_MANY = 1 << 15
#: ``slot`` changed ``pool``, which was ``before``.
NOTE_DTYPE = np.dtype([("slot", np.uint64), ("pool", np.int32), ("before", POOL_DTYPE)], align=True)


Ticks = list[tuple[int, bytes, bytes]]


class TickNote(msgspec.Struct):
    """``slot`` changed the ticks of ``pool``: by ``delta`` (signed) in a range, or whole, from ``before``."""

    slot: int
    pool: int
    lower: int = 0
    upper: int = 0
    delta: bytes = b""
    before: Ticks | None = None


class JournalState(msgspec.Struct):
    """The notes of a snapshot."""

    notes: bytes = b""
    ticks: list[TickNote] = []
    curves: list[tuple[int, int, bytes]] = []


class Journal:
    """Notes in the order in which things happened; a depth of 0 keeps none."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.notes: NDArray[np.void] = np.zeros(0, NOTE_DTYPE)
        self.noted = 0
        self._tidy_at = _MANY  # so many notes are looked through for what can go
        self._ticks: list[TickNote] = []
        #: By slot and pool: the state beside the book that a note of a row goes with.
        self._curves: dict[tuple[int, int], Curve | None] = {}

    def room(self, events: int) -> NDArray[np.void]:
        """The notes, with room for one more of every event; none where nothing is kept."""
        if self.depth and self.noted + events > len(self.notes):
            self.notes = grown(self.notes, self.noted + events)
        return self.notes

    def note(self, book: Book, number: int, slot: int) -> None:
        """A pool is about to change in ``slot``."""
        if self.depth and slot > int(book.pools[number]["slot"]):
            note = self.room(1)[self.noted]
            note["slot"], note["pool"], note["before"] = slot, number, book.pools[number]
            self.noted += 1
            if note["before"]["kind"] >= KIND_STABLE and book.info[number].first == number:
                self._curves[slot, number] = book.info[number].curve

    def forget_curves(self, number: int, slot: int) -> None:
        """What was noted of a pool after ``slot`` did not know what a late row of that slot has put in doubt."""
        for noted in [key for key in self._curves if key[1] == number and key[0] > slot]:
            self._curves[noted] = None

    def note_ticks(self, note: TickNote) -> None:
        """A pool's ticks are about to change."""
        if self.depth:
            self._ticks.append(note)

    def tidy(self, book: Book) -> None:
        """Forget from time to time: looking through the notes costs as much as there are."""
        if self.noted >= self._tidy_at:
            self.forget(book)
            self._tidy_at = max(_MANY, 2 * self.noted)

    def forget(self, book: Book) -> None:
        """Drop what is deeper than a fork can reach."""
        if not self.noted:
            return
        slot, chain = self.notes["slot"][: self.noted].copy(), book.pools["chain"][self.notes["pool"][: self.noted]]
        floor = {one: int(slot[chain == one].max()) - self.depth for one in distinct(chain)}
        stays = np.zeros(self.noted, np.bool_)
        for one, least in floor.items():
            stays |= (chain == one) & (slot > least)
        # Notes lie nearly in order: what comes before the first that stays goes.
        first = int(stays.argmax())
        self.noted -= first
        self.notes[: self.noted] = self.notes[first : first + self.noted]
        self._ticks = [note for note in self._ticks if note.slot > floor.get(int(book.pools[note.pool]["chain"]), -1)]
        self._curves = {
            key: curve
            for key, curve in self._curves.items()
            if key[0] > floor.get(int(book.pools[key[1]]["chain"]), -1)
        }

    def undo(self, book: Book, chain: int, first: int, last: int) -> tuple[list[int], list[TickNote]]:
        """Put back every pool of a chain that slots ``first`` to ``last`` changed.

        Gives their numbers, ascending, and the changes of ticks to take back, the last first. A pool that a later slot
        told of keeps that state; only its ticks lose what the undone slots did to them. Bins and balances that such a
        slot did not tell of itself are forgotten.
        """
        ticks = [note for note in reversed(self._ticks) if _undone(book, note.pool, note.slot, chain, first, last)]
        touched = {note.pool for note in ticks}
        stays = np.ones(self.noted, np.bool_)
        for at in range(self.noted - 1, -1, -1):
            number = int(self.notes[at]["pool"])
            if not _undone(book, number, int(self.notes[at]["slot"]), chain, first, last):
                continue
            stays[at] = False
            curve = self._curves.pop((int(self.notes[at]["slot"]), number), None)
            info = book.info[number]
            if info.first == number and book.pools[number]["kind"] >= KIND_STABLE:
                if int(book.pools[number]["slot"]) <= last:
                    info.curve = curve
                elif not told_whole(info.curve):
                    self.forget_curves(number, last)
                    info.curve = None
                    touched.add(number)
            if int(book.pools[number]["slot"]) <= last:
                warm = bool(book.pools[number]["warm"])
                book.pools[number] = self.notes[at]["before"]
                book.pools[number]["warm"] = warm
                touched.add(number)
        kept = self.notes[: self.noted][stays]
        self.noted = len(kept)
        self.notes[: self.noted] = kept
        self._ticks = [note for note in self._ticks if not _undone(book, note.pool, note.slot, chain, first, last)]
        return sorted(touched), ticks

    def snapshot(self, book: Book) -> JournalState:
        """The notes that a fork can reach."""
        self.forget(book)
        states = [(slot, number, curve_bytes.saved(curve)) for (slot, number), curve in self._curves.items()]
        return JournalState(self.notes[: self.noted].tobytes(), self._ticks, states)

    def restore(self, saved: JournalState) -> None:
        """Take a snapshot's notes."""
        self.notes = np.frombuffer(bytearray(saved.notes), NOTE_DTYPE)
        self.noted, self._ticks = len(self.notes), list(saved.ticks)
        self._curves = {(slot, number): curve_bytes.loaded(raw) for slot, number, raw in saved.curves}


def _undone(book: Book, number: int, slot: int, chain: int, first: int, last: int) -> bool:
    return first <= slot <= last and int(book.pools[number]["chain"]) == chain
