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


@njit(cache=True, nogil=True)
def _either(x64, x96, length_x64, length_x96, price, width):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(len(price)):
        if length_x64[i] > 0:
            price[i, 0], price[i, 1], price[i, 2] = x64[i, 0], x64[i, 1], 0
            width[i] = 16
        else:
            price[i, 0], price[i, 1], price[i, 2] = x96[i, 0], x96[i, 1], x96[i, 2]
            width[i] = length_x96[i]


def prices(
    x64: Words, x96: Words, length_x64: NDArray[np.int32], length_x96: NDArray[np.int32]
) -> tuple[Words, NDArray[np.int32]]:
    """A row's price ``(rows, 3)`` in whichever of the two it is stated, and its width in bytes: 16, 20 or 0."""
    price = np.empty((len(x64), 3), np.uint64)
    width = np.empty(len(x64), np.int32)
    _either(x64, x96, length_x64, length_x96, price, width)
    return price, width


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
        if offsets[0] == offsets[-1]:
            return out, length
        np.subtract(offsets[1:], offsets[:-1], out=length)
        if offsets[0] % 4 == 0 and ((length == width) | (length == 0)).all():
            _copy(length, data[offsets[0] : offsets[-1]].view(np.uint32), out.view(np.uint32))
        else:
            _spread(offsets, data, width, out, length, wrong)
    return out, length
