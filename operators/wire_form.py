"""Values that are no protobuf at all, found in one pass over a column: what of the wire format needs no schema."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_LONGEST_VARINT = 10


def malformed(values: pa.BinaryArray) -> NDArray[np.bool_]:
    """Rows that no reader of protobuf takes: empty, cut off, or with a field's head that there cannot be.

    A row that passes may still be refused for what its fields hold.
    """
    _, offsets, data = values.buffers()
    count = len(values)
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + count + 1].astype(np.int64)
    octets = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    bad = np.zeros(count, np.bool_)
    _scan(octets, ends, bad)
    return bad


@njit(cache=True, nogil=True)
def _scan(octets, ends, bad):  # type: ignore[no-untyped-def]
    """A row is walked field by field; ``at`` only grows, and never passes the row's end."""
    for row in range(len(bad)):
        at, end = ends[row], ends[row + 1]
        fine, groups = at < end, 0
        while fine and at < end:
            head, at = _varint(octets, at, end)
            kind = head & 7
            if at < 0 or head >> 3 == 0 or head >> 32 != 0:
                fine = False
            elif kind == _VARINT:
                _, at = _varint(octets, at, end)
                fine = at >= 0
            elif kind == _BYTES:
                length, at = _varint(octets, at, end)
                fine = at >= 0 and length <= np.uint64(end - at)
                at += np.int64(length) if fine else 0
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
                fine = at <= end
            elif kind == _GROUP:
                groups += 1
            elif kind == _GROUP_END:
                groups -= 1
                fine = groups >= 0
            else:
                fine = False
        bad[row] = not fine or groups != 0


@njit(cache=True, nogil=True)
def _varint(octets, at, end):  # type: ignore[no-untyped-def]
    """The number at ``at`` and where it ends; -1 when it does not."""
    number = np.uint64(0)
    for place in range(_LONGEST_VARINT):
        if at >= end:
            return number, -1
        octet = np.uint64(octets[at])
        at += 1
        number |= (octet & np.uint64(127)) << np.uint64(7 * place)
        if octet < 128:
            return number, at
    return number, -1
