"""How far a chain has come, and what that makes of a row: in order, late, or astray.

A *late* row is before the mark in time and in its coordinates: another partition has overtaken it. A row that is before
the mark in its coordinates alone is not late: the mark's own slot or time was wrong, and the row that contradicts it
sets it right. A row is *astray* when its slot is further ahead of the mark than any chain can have come in the time
between the two. It does not move the mark; it is a dead letter (``slot_ahead``). Where a row of a later slot
goes on from there, the chain has leapt indeed (a gap in what is read, whose times do not show it), and is followed: the
probation of RFC 3550, appendix A.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOT_AHEAD = "slot_ahead"
#: 11 hours of Solana's slots of 400 ms. The fastest chains make a block every 10 ms.
_SLACK_SLOTS, _SLOTS_A_SECOND = 100_000, 100
SLOT_AHEAD_DETAIL = (
    f"its slot is more than {_SLACK_SLOTS} slots and {_SLOTS_A_SECOND} a second ahead of the row before it"
)
_MICROS = 1_000_000
_NO_CANDIDATE = -1

Place = tuple[int, int, int]


class ChainMark:
    """The newest row of one chain that was in order: its time (0: not known) and its (slot, tx_index, ix_index).

    ``candidate`` is the slot of the last row that was astray.
    """

    def __init__(self, time_us: int = 0, place: Place | None = None, candidate: int = _NO_CANDIDATE) -> None:
        self.time_us, self.place, self.candidate = time_us, place, candidate

    @classmethod
    def of(cls, kept: tuple[int, ...]) -> ChainMark:
        """From a snapshot; one of version 1 has the place alone, and what is before it is late whatever its time."""
        if len(kept) == 3:
            return cls(np.iinfo(np.int64).max, (kept[0], kept[1], kept[2]))
        return cls(kept[0], (kept[1], kept[2], kept[3]), kept[4])

    def as_tuple(self) -> tuple[int, ...]:
        """For a snapshot."""
        return (self.time_us, *(self.place or (0, 0, 0)), self.candidate)

    def by_time(self, times_us: NDArray[np.int64]) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
        """Rows in the order of their coordinates -> (how to order them by time, their times in that order).

        None where they are in that order, as the rows of a chain are. A time of 0 is taken from the row before.
        """
        at_us, unknown = times_us, times_us <= 0
        if unknown.any():
            at_us = np.where(unknown, np.maximum.accumulate(np.maximum(times_us, self._known_us)), times_us)
        if (at_us[1:] >= at_us[:-1]).all():
            return None, at_us
        order = np.argsort(at_us, kind="stable")
        return order, at_us[order]

    @property
    def _known_us(self) -> int:
        return 0 if self.time_us == np.iinfo(np.int64).max else self.time_us

    def judge(
        self, at_us: NDArray[np.int64], slot: NDArray[Any], tx: NDArray[Any], ix: NDArray[Any]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of these rows, in order, are late and which are astray; moves the mark on."""
        late = np.zeros(len(at_us), np.bool_)
        if self.place is not None:
            s, t, i = self.place
            late = (slot < s) | ((slot == s) & ((tx < t) | ((tx == t) & (ix < i))))
            late &= at_us <= self.time_us
        astray = self._astray(at_us, slot, late)
        in_order = np.flatnonzero(~(late | astray))
        if len(in_order):
            last = in_order[-1]
            self.time_us, self.place = int(at_us[last]), (int(slot[last]), int(tx[last]), int(ix[last]))
        return late, astray

    def _astray(self, at_us: NDArray[np.int64], slot: NDArray[Any], late: NDArray[np.bool_]) -> NDArray[np.bool_]:
        astray = np.zeros(len(at_us), np.bool_)
        rows = np.flatnonzero(~late)
        slots, times = slot[rows].astype(np.int64), at_us[rows]
        if self.place is not None:
            slots, times = np.append(self.place[0], slots), np.append(self._known_us, times)
        if not (slots[1:] - slots[:-1] > _room(times[1:] - times[:-1])).any():  # as good as always
            if len(rows):
                self.candidate = _NO_CANDIDATE
            return astray
        time_us, reached = self._known_us, -1 if self.place is None else self.place[0]
        for row in rows.tolist():
            here, now_us = int(slot[row]), int(at_us[row])
            ahead = reached >= 0 and time_us > 0 and now_us > 0 and here - reached > _room(now_us - time_us)
            if ahead and not 0 < here - self.candidate <= _SLACK_SLOTS:
                astray[row], self.candidate = True, here
                continue
            time_us, reached, self.candidate = now_us, here, _NO_CANDIDATE
        return astray


def _room(passed_us: Any) -> Any:
    """Slots that a chain may have made in a time (an array or a number)."""
    return _SLACK_SLOTS + np.maximum(passed_us, 0) * _SLOTS_A_SECOND // _MICROS
