"""Words of the EVM's ABI, (rows, 32) big-endian bytes, as the raw columns that messages carry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def nowhere(values: NDArray[Any]) -> Mask:
    """Which rows are all zero."""
    none: Mask = np.logical_not(np.any(values, axis=1))
    return none


def unsigned(words: Bytes, width: int) -> tuple[Bytes, Mask]:
    """Little-endian bytes of ``width``, and which words fit."""
    low = np.ascontiguousarray(words[:, : 31 - width : -1] if width < 32 else words[:, ::-1])
    fits = nowhere(words[:, : 32 - width])
    return low, fits


def magnitude(words: Bytes, width: int) -> tuple[Bytes, Mask, Mask]:
    """Of signed words: the absolute value as little-endian bytes of ``width``, which are negative, which fit."""
    negative: Mask = words[:, 0] >= 0x80
    low = np.ascontiguousarray(words[:, ::-1])
    if negative.any():
        low[negative] = _negated(low[negative])
    fits = nowhere(low[:, width:])
    return np.ascontiguousarray(low[:, :width]), negative, fits


def signed(words: Bytes, width: int) -> tuple[Bytes, Mask]:
    """Two's complement little-endian bytes of ``width``, and which words fit."""
    low = np.ascontiguousarray(words[:, ::-1])
    fill = np.where(low[:, width - 1] >= 0x80, 0xFF, 0).astype(np.uint8)
    fits: Mask = (low[:, width:] == fill[:, None]).all(axis=1)
    return np.ascontiguousarray(low[:, :width]), fits


def negated(low: Bytes) -> Bytes:
    """Minus each little-endian two's complement number."""
    return _negated(low)


def integers(words: Bytes, bits: int) -> tuple[NDArray[np.int64], Mask]:
    """Signed words as int64, and which of them fit ``bits`` (at most 64)."""
    low, fits = signed(words, 8)
    values = low.view("<i8")[:, 0].astype(np.int64)
    if bits < 64:
        fits &= (values >= -(1 << bits - 1)) & (values < 1 << bits - 1)
    return values, fits


def binary(rows: Bytes) -> pa.BinaryArray:
    """A column of values of one width."""
    count, width = rows.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    data = np.ascontiguousarray(rows)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _negated(low: Bytes) -> Bytes:
    """Invert and add one, the carry running up as long as bytes are zero."""
    inverted = ~low
    carried = np.logical_and.accumulate(inverted == 0xFF, axis=1)
    carry = np.concatenate([np.ones((len(low), 1), np.bool_), carried[:, :-1]], axis=1)
    return (inverted + carry).astype(np.uint8)
