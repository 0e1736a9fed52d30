"""Serialized messages of numbers and bytes -> columns, in one compiled pass that leaves the interpreter free.

A value is *plain* when it is as a serializer writes it: known fields in ascending order, each once, of its declared
wire type and within its declared width. Of a batch that has any other value (a field of a newer schema, a damaged
value) nothing is read here: the general reader decides what it is worth, so that no rule of protobuf stands twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from numba import njit, types
from numpy.typing import NDArray

_UNKNOWN, _BYTES, _WORD, _UNSIGNED, _SIGNED, _ZIGZAG, _BOOL = range(7)
_FORM = {
    FieldDescriptor.TYPE_BYTES: _BYTES,
    FieldDescriptor.TYPE_UINT64: _WORD,
    FieldDescriptor.TYPE_INT64: _WORD,
    FieldDescriptor.TYPE_UINT32: _UNSIGNED,
    FieldDescriptor.TYPE_INT32: _SIGNED,
    FieldDescriptor.TYPE_ENUM: _SIGNED,
    FieldDescriptor.TYPE_SINT32: _ZIGZAG,
    FieldDescriptor.TYPE_BOOL: _BOOL,
}
#: Field numbers up to this are looked up in a table.
_MOST_FIELDS = 1_024


class PlainWire:
    """Reads plain values of one message into the columns of ``schema``, one a field of the message."""

    def __init__(self, message: type[Message], schema: pa.Schema) -> None:
        """Raises KeyError for a message that :meth:`fits` does not let pass."""
        fields = message.DESCRIPTOR.fields
        self._form = np.zeros(max(field.number for field in fields) + 1, np.int8)
        self._place = np.zeros(len(self._form), np.int64)
        self._columns: list[tuple[pa.DataType, bool, int]] = []
        self._counts = [0, 0]  # numbers, bytes
        for column in schema:
            field = message.DESCRIPTOR.fields_by_name[column.name]
            form = _FORM[field.type]
            place = self._counts[form == _BYTES]
            self._counts[form == _BYTES] += 1
            self._form[field.number], self._place[field.number] = form, place
            self._columns.append((column.type, form == _BYTES, place))

    @staticmethod
    def fits(message: type[Message]) -> bool:
        """Whether every field is a single number, enum, bool or bytes that is there or zero."""
        fields = message.DESCRIPTOR.fields
        return bool(fields) and all(
            field.type in _FORM and not field.is_repeated and not field.has_presence and field.number <= _MOST_FIELDS
            for field in fields
        )

    def decode(self, values: pa.BinaryArray) -> Iterator[pa.Array] | None:
        """The columns; None where a value is not plain, or there is none."""
        rows = len(values)
        _, offsets, data = values.buffers()
        if not rows or data is None or not data.size or values.null_count:
            return None
        ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + rows + 1]
        numbers = _room(rows * self._counts[0], np.uint64).reshape(-1, rows)
        begins, lengths = (_room(rows * self._counts[1], np.int32).reshape(rows, -1) for _ in range(2))
        octets = np.frombuffer(data, np.uint8)
        if not _read(octets, ends, self._form, self._place, numbers, begins, lengths):
            return None
        return self._arrays(octets, numbers, begins, lengths)

    def _arrays(
        self,
        octets: NDArray[np.uint8],
        numbers: NDArray[np.uint64],
        begins: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> Iterator[pa.Array]:
        rows = len(lengths)
        sizes = lengths.sum(axis=0, dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        ends = _room((rows + 1) * len(sizes), np.int32).reshape(len(sizes), rows + 1)
        data = _room(int(sizes.sum()), np.uint8)
        _gather(octets, begins, lengths, starts, ends, data)
        for kind, is_bytes, place in self._columns:
            if is_bytes:
                part = data[starts[place] : starts[place] + sizes[place]]
                yield pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(ends[place]), pa.py_buffer(part)], 0)
            else:
                # A number of fewer bits is the low ones of its word, whatever its sign.
                yield pa.array(numbers[place].astype(kind.to_pandas_dtype(), copy=False), kind)


def _room(count: int, kind: type[np.generic]) -> NDArray[Any]:
    """An array that is not zeroed, of Arrow's pool: it keeps the pages that fresh ones would have to be faulted in."""
    return np.frombuffer(pa.allocate_buffer(count * np.dtype(kind).itemsize), kind)


@njit(cache=True, nogil=True, inline="always")
def _varint(octets, at, end):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The number at ``at`` and where it ends; -1 where it does not, or is more than 64 bits."""
    if at >= end:
        return np.uint64(0), np.int64(-1)
    octet = np.uint64(octets[at])
    at += 1
    if octet < np.uint64(128):
        return octet, at
    number, shift = octet & np.uint64(127), np.uint64(7)
    while at < end:
        octet = np.uint64(octets[at])
        at += 1
        if shift == np.uint64(63) and octet > np.uint64(1):
            return number, np.int64(-1)
        number |= (octet & np.uint64(127)) << shift
        if octet < np.uint64(128):
            return number, at
        shift += np.uint64(7)
    return number, np.int64(-1)


#: Arrow's buffers may be written to or not; one signature takes both, and is loaded with this module, before a stream
#: waits for it.
_OCTETS, _ENDS = (types.Array(kind, 1, "C", readonly=True) for kind in (types.uint8, types.int32))
_SPANS = types.int32[:, ::1]


@njit(
    types.boolean(_OCTETS, _ENDS, types.int8[::1], types.int64[::1], types.uint64[:, ::1], _SPANS, _SPANS),
    cache=True,
    nogil=True,
)
def _read(octets, ends, form, place, numbers, begins, lengths):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Where each field of each row is, and the numbers column by column; False at the first row that is not plain.

    ``at`` only grows, and never passes the row's end.
    """
    numbers[:] = 0
    for row in range(len(ends) - 1):
        at, end, last = np.int64(ends[row]), np.int64(ends[row + 1]), np.uint64(0)
        lengths[row] = 0
        if at == end:
            return False
        while at < end:
            head, at = _varint(octets, at, end)
            number = head >> np.uint64(3)
            if at < 0 or number <= last or number >= len(form):
                return False
            last = number
            kind = form[number]
            if head & np.uint64(7) != (2 if kind == _BYTES else 0) or kind == _UNKNOWN:
                return False
            value, at = _varint(octets, at, end)
            if at < 0:
                return False
            column = place[number]
            if kind == _BYTES:
                if value > np.uint64(end - at):
                    return False
                begins[row, column] = at
                lengths[row, column] = value
                at += np.int64(value)
                continue
            if kind == _ZIGZAG:
                if value >> np.uint64(32) != 0:
                    return False
                value = (value >> np.uint64(1)) ^ (np.uint64(0) - (value & np.uint64(1)))
            elif kind == _UNSIGNED:
                if value >> np.uint64(32) != 0:
                    return False
            elif kind == _SIGNED:
                high = value >> np.uint64(31)
                if high != 0 and high != np.uint64((1 << 33) - 1):  # a negative number is extended to 64 bits
                    return False
            elif kind == _BOOL and value > np.uint64(1):
                return False
            numbers[column, row] = value
    return True


_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))


@njit(
    types.void(_OCTETS, _SPANS, _SPANS, types.int64[::1], types.int32[:, ::1], types.uint8[::1]), cache=True, nogil=True
)
def _gather(octets, begins, lengths, starts, ends, data):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Field after field, from ``starts`` on, the values of every row, and where each ends in its field's part.

    All fields in one call: a thread that decodes would otherwise wait for the interpreter between two of them. Row by
    row: a message lies together, and is read from the cache once.
    """
    source, target = octets.ctypes.data, data.ctypes.data
    end = np.zeros(len(starts), np.int64)
    ends[:, 0] = 0
    for row in range(len(lengths)):
        for place in range(len(starts)):
            length = lengths[row, place]
            if length > 0:
                _memcpy(target + starts[place] + end[place], source + begins[row, place], length)
                end[place] += length
            ends[place, row + 1] = end[place]
