"""How far a chain has come, and what that makes of a row: in order, late, or astray.

A *late* row is before the mark in time and in its coordinates: another partition has overtaken it. One that is before
the mark in its coordinates alone contradicts it, and time decides: it is in order, and the mark goes on from there.

Unless it leaps: no chain comes further in the time between two rows than a bound, and none goes back by more. A mark
that a second row has confirmed is believed against one that leaps: ahead of it that row is *astray*, a dead letter
(``slot_ahead``), and behind it late. Where a row of another transaction goes on from there, the chain has leapt indeed
(a gap in what is read, whose times do not show it), and is followed: the probation of RFC 3550, appendix A.1. A mark of
one row alone gives way to any other.
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
_ANY_TIME = (1 << 63) - 1
_NO_CANDIDATE = (-1, -1)

Place = tuple[int, int, int]


class ChainMark:
    """The newest row of one chain that was in order: its time (0: not known) and its (slot, tx_index, ix_index).

    ``confirmed``: the row before it was near. ``candidate``: slot and tx_index of the last row that leapt.
    """

    def __init__(
        self,
        time_us: int = 0,
        place: Place | None = None,
        confirmed: bool = False,
        candidate: tuple[int, int] = _NO_CANDIDATE,
    ) -> None:
        self.time_us, self.place, self.confirmed, self.candidate = time_us, place, confirmed, candidate

    @classmethod
    def of(cls, kept: tuple[int, ...]) -> ChainMark:
        """From a snapshot; one of version 1 has the place alone, and what is before it is late whatever its time."""
        if len(kept) == 3:
            return cls(_ANY_TIME, (kept[0], kept[1], kept[2]), confirmed=True)
        return cls(kept[0], (kept[1], kept[2], kept[3]) if kept[1] >= 0 else None, bool(kept[4]), (kept[5], kept[6]))

    def as_tuple(self) -> tuple[int, ...]:
        """For a snapshot."""
        return (self.time_us, *(self.place or (-1, 0, 0)), int(self.confirmed), *self.candidate)

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
        return 0 if self.time_us == _ANY_TIME else self.time_us

    def judge(
        self, at_us: NDArray[np.int64], slot: NDArray[Any], tx: NDArray[Any], ix: NDArray[Any]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of these rows, in order, are late and which are astray; moves the mark on."""
        late = np.zeros(len(at_us), np.bool_)
        if self.place is not None:
            s, t, i = self.place
            late = (slot < s) | ((slot == s) & ((tx < t) | ((tx == t) & (ix < i))))
            late &= at_us <= self.time_us
        astray = np.zeros(len(at_us), np.bool_)
        rows = np.flatnonzero(~late)
        slots, times = slot[rows].astype(np.int64), at_us[rows]
        if self.place is not None:
            slots, times = np.append(self.place[0], slots), np.append(self._known_us, times)
        steps = slots[1:] - slots[:-1]
        if ((steps > _room(times[1:] - times[:-1])) | (steps < -_SLACK_SLOTS)).any():
            self._follow(at_us, slot, tx, late, astray)
        elif len(steps):  # as good as always
            self.confirmed, self.candidate = True, _NO_CANDIDATE
        in_order = np.flatnonzero(~(late | astray))
        if len(in_order):
            last = in_order[-1]
            self.time_us, self.place = int(at_us[last]), (int(slot[last]), int(tx[last]), int(ix[last]))
        return late, astray

    def _follow(
        self,
        at_us: NDArray[np.int64],
        slot: NDArray[Any],
        tx: NDArray[Any],
        late: NDArray[np.bool_],
        astray: NDArray[np.bool_],
    ) -> None:
        """Row by row, where some leap: add them to ``late`` or ``astray``."""
        time_us, reached = self._known_us, -1 if self.place is None else self.place[0]
        for row in np.flatnonzero(~late).tolist():
            here, now_us, near = int(slot[row]), int(at_us[row]), True
            if reached >= 0 and time_us > 0 and now_us > 0:
                near = -_SLACK_SLOTS <= here - reached <= _room(now_us - time_us)
            if not near and self.confirmed:
                this, last = (here, int(tx[row])), self.candidate
                if this == last or last[0] < 0 or not 0 <= here - last[0] <= _SLACK_SLOTS:
                    (astray if here > reached else late)[row], self.candidate = True, this
                    continue
            self.confirmed = near and reached >= 0
            time_us, reached, self.candidate = now_us, here, _NO_CANDIDATE


def _room(passed_us: Any) -> Any:
    """Slots that a chain may have made in a time (an array or a number)."""
    return _SLACK_SLOTS + np.maximum(passed_us, 0) * _SLOTS_A_SECOND // _MICROS
