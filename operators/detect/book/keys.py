"""Byte strings by number, one after another in flat arrays that Arrow and compiled code read where they lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.detect.book.lists import grown


class Keys:
    """Addresses in order of appearance: key ``i`` is ``data[starts[i] : starts[i + 1]]``."""

    def __init__(self) -> None:
        self.count = 0
        self.starts: NDArray[np.int32] = np.zeros(64, np.int32)
        self.data: NDArray[np.uint8] = np.zeros(64 * 32, np.uint8)

    def append(self, key: bytes) -> None:
        """The next number is this key."""
        begin = int(self.starts[self.count])
        end = begin + len(key)
        if end > len(self.data):
            self.data = grown(self.data, end)
        self.data[begin:end] = np.frombuffer(key, np.uint8)
        self.count += 1
        if self.count == len(self.starts):
            self.starts = grown(self.starts, self.count + 1)
        self.starts[self.count] = end

    @property
    def array(self) -> pa.BinaryArray:
        """All keys, without a copy."""
        starts, data = (pa.py_buffer(each) for each in (self.starts, self.data))
        return pa.Array.from_buffers(pa.binary(), self.count, [None, starts, data])
