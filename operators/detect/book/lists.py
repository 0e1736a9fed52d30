"""Many lists that grow, in flat arrays that a compiled loop can read.

List ``i`` is ``data[start[i] : start[i] + count[i]]``. One that is full moves to the end with twice the room, so adding
costs the same however many lists there are: nothing is built anew when a pool appears.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_FIRST_ROOM = 4
_T = TypeVar("_T", bound=np.generic)


class Lists:
    """Lists of rows of ``width`` 32-bit numbers."""

    def __init__(self, width: int) -> None:
        self.start: NDArray[np.int64] = np.zeros(64, np.int64)
        self.count: NDArray[np.int32] = np.zeros(64, np.int32)
        self.data: NDArray[np.int32] = np.zeros((256, width), np.int32)
        self._room: NDArray[np.int32] = np.zeros(64, np.int32)
        self._used = 0

    def make(self, lists: int) -> None:
        """Make sure that lists 0 to ``lists - 1`` exist."""
        if lists > len(self.start):
            self.start = grown(self.start, lists)
            self.count, self._room = grown(self.count, lists), grown(self._room, lists)

    def append(self, number: int, *row: int) -> int:
        """Add a row to a list; gives its place in the list."""
        place = int(self.count[number])
        if place == self._room[number]:
            self._move(number, max(_FIRST_ROOM, 2 * place))
        self.data[self.start[number] + place] = row
        self.count[number] = place + 1
        return place

    def _move(self, number: int, room: int) -> None:
        count, start = int(self.count[number]), int(self.start[number])
        if self._used + room > len(self.data):
            self.data = grown(self.data, self._used + room)
        self.data[self._used : self._used + count] = self.data[start : start + count]
        self.start[number], self._room[number] = self._used, room
        self._used += room

    def rows(self, number: int) -> NDArray[np.int32]:
        """A list's rows ``(count, width)``."""
        start = self.start[number]
        return self.data[start : start + self.count[number]]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.start.nbytes + self.count.nbytes + self.data.nbytes + self._room.nbytes


def grown(array: NDArray[_T], least: int) -> NDArray[_T]:
    """The array with at least ``least`` rows, doubled; new rows are zero."""
    more = np.zeros((max(least, 2 * len(array)), *array.shape[1:]), array.dtype)
    more[: len(array)] = array
    return more
