"""Rows that were scored and wait for their labels, by the stream alone.

``survives``: the cycle still pays ``delay_slots`` after its row (1) or has stopped by then (0). ``decay``: what is left
of the row's profit by then, from 0 to 1. Both are known before the first row of a later slot, and not earlier, so a
model is judged and taught with the delay that it will have in production. ``landed``: a bid on the row landed (1) or
missed (0), as the port ``outcomes`` says; rows on which nobody bid have no label.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

SURVIVES, DECAY, LANDED = "survives", "decay", "landed"
#: Target -> what a score of it is.
PREDICTS = {
    SURVIVES: "chance that the cycle still pays delay_slots later",
    DECAY: "part of its profit that is left delay_slots later",
    LANDED: "chance that a bid on it lands",
}


class Waiting(msgspec.Struct, gc=False):
    """A scored row. ``said`` are the candidates' scores by serial; ``open`` is False once its cycle has closed."""

    opportunity_id: bytes
    cycle: bytes
    slot: int
    timestamp_us: int
    source: tuple[str, int, int]
    values: bytes  # float64, one a feature
    said: dict[int, float]
    usd: float
    left_usd: float
    due: int = 0
    open: bool = True


class WaitingState(msgspec.Struct):
    """A snapshot of :class:`WaitingRows`."""

    rows: list[Waiting]
    due: list[tuple[int, int, bytes]]
    clock: int
    sequence: int
    expired: int


class WaitingRows:
    """Waiting rows of one chain, at most ``limit``: the oldest is given up for a new one, and counted."""

    def __init__(self, target: str, delay_slots: int, limit: int) -> None:
        self.target, self.delay_slots, self.limit = target, delay_slots, limit
        self.expired = 0
        self._clock = 0
        self._sequence = 0
        self._rows: dict[bytes, Waiting] = {}
        self._by_cycle: dict[bytes, dict[bytes, None]] = {}
        self._due: list[tuple[int, int, bytes]] = []

    def add(self, row: Waiting) -> None:
        """Wait for a row's label; a row that waits already stays as it is."""
        if row.opportunity_id in self._rows:
            return
        row.due = max(row.slot + self.delay_slots, self._clock)
        heapq.heappush(self._due, (row.due, self._sequence, row.opportunity_id))
        self._sequence += 1
        self._rows[row.opportunity_id] = row
        self._by_cycle.setdefault(row.cycle, {})[row.opportunity_id] = None
        if len(self._rows) > self.limit:
            self._expire()

    def follow(self, cycle: bytes, slot: int, usd: float, closed: bool) -> None:
        """What a cycle is worth in ``slot``: rows of it that are due later, or in that slot, go by it."""
        for identifier in self._by_cycle.get(cycle, ()):
            row = self._rows[identifier]
            if slot <= row.due:
                row.open = not closed
                row.left_usd = 0.0 if closed else usd

    def labelled(self, before: int) -> Iterator[tuple[Waiting, float]]:
        """Rows that are due before slot ``before``, in order, with their labels; time has come so far."""
        self._clock = max(self._clock, before)
        while self._due and self._due[0][0] < before:
            row = self._take(heapq.heappop(self._due)[2])
            if row is None:
                continue  # its label came by the port
            if self.target == LANDED:
                self.expired += 1
            elif self.target == SURVIVES:
                yield row, float(row.open)
            elif row.usd > 0.0:
                yield row, min(max(row.left_usd / row.usd, 0.0), 1.0)

    def told(self, identifier: bytes) -> Waiting | None:
        """The row that an outcome is of, which waits no longer."""
        return self._take(identifier)

    def finish(self) -> Iterator[tuple[Waiting, float]]:
        """The stream has ended: labels of what is due, and the end of all others."""
        yield from self.labelled(self._clock)
        self.expired += len(self._rows)
        self._rows, self._by_cycle, self._due = {}, {}, []

    def snapshot(self) -> WaitingState:
        """All of it."""
        rows = [msgspec.structs.replace(row) for row in self._rows.values()]
        return WaitingState(rows, list(self._due), self._clock, self._sequence, self.expired)

    def restore(self, state: WaitingState) -> None:
        """Take a snapshot."""
        self._rows = {row.opportunity_id: row for row in state.rows}
        self._by_cycle = {}
        for row in state.rows:
            self._by_cycle.setdefault(row.cycle, {})[row.opportunity_id] = None
        self._due, self._clock, self._sequence = list(state.due), state.clock, state.sequence
        self.expired = state.expired

    def _take(self, identifier: bytes) -> Waiting | None:
        row = self._rows.pop(identifier, None)
        if row is not None:
            others = self._by_cycle[row.cycle]
            del others[identifier]
            if not others:
                del self._by_cycle[row.cycle]
        return row

    def _expire(self) -> None:
        while self._due:
            if self._take(heapq.heappop(self._due)[2]) is not None:
                self.expired += 1
                return
