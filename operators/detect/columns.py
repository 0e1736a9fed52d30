"""The columns of a batch as the kernel reads them: raw integers as 64-bit words, checked for their width."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.uint64]


@njit(cache=True, nogil=True)
def _copy(length, data, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Values of one width, or empty, that lie one after another: whole halves of words are moved."""
    at, width = 0, 0
    for i in range(len(out)):
        width = length[i] >> 2
        for half in range(width):
            out[i, half] = data[at + half]
        at += width


@njit(cache=True, nogil=True)
def _spread(offsets, data, width, out, length, wrong):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Values of any width."""
    for i in range(len(out)):
        begin = offsets[i]
        size = offsets[i + 1] - begin
        length[i] = size
        if size == 0:
            continue
        if size != width:
            wrong[i] = True
            continue
        for byte in range(width):
            out[i, byte >> 3] |= np.uint64(data[begin + byte]) << np.uint64(8 * (byte & 7))


def words(column: pa.BinaryArray, width: int, wrong: NDArray[np.bool_]) -> tuple[Words, NDArray[np.int32]]:
    """Little-endian integers of ``width`` bytes as words ``(rows, ceil(width / 8))``, and each value's length.

    An empty value is zero. Rows of any other width are marked in ``wrong``.
    """
    out = np.zeros((len(column), -(-width // 8)), np.uint64)
    length = np.zeros(len(column), np.int32)
    if len(column):
        _, offset_buffer, data_buffer = column.buffers()
        offsets = np.frombuffer(offset_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
        data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
        np.subtract(offsets[1:], offsets[:-1], out=length)
        if offsets[0] % 4 == 0 and ((length == width) | (length == 0)).all():
            _copy(length, data[offsets[0] : offsets[-1]].view(np.uint32), out.view(np.uint32))
        else:
            _spread(offsets, data, width, out, length, wrong)
    return out, length
