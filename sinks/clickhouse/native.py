"""ClickHouse's Native format from Arrow and numpy columns, without a Python object per row.

A block is: number of columns, number of rows (LEB128), and for every column its name, its type's name and its
values. Native is what the engine keeps in memory, so an INSERT of it costs 2 to 3 times less than one of Arrow.
https://clickhouse.com/docs/interfaces/formats/Native (revision 0: no block info, no custom serialization)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

#: LowCardinality: the only version of its serialization, and "keys and their dictionary follow" (bits 9 and 10).
_LOW_CARDINALITY_VERSION = (1).to_bytes(8, "little")
#: Pieces shorter than this are joined, for each one sent costs a call.
_PIECE_BYTES = 1 << 15
_OWN_DICTIONARY = (1 << 9) | (1 << 10)
#: The numbers that LEB128 writes as one byte.
_SHORT = [bytes([number]) for number in range(0x80)]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One column ready to send: its type's name, what precedes the values, and the values, in pieces.

    ``unset``: every value is its type's zero, which a table takes for a column that is not sent.
    """

    type: str
    pieces: tuple[bytes | memoryview, ...]
    prefix: bytes = b""
    unset: bool = False


def block(columns: Sequence[tuple[str, Encoded]], rows: int) -> list[bytes | memoryview]:
    """One Native block of ``rows`` rows, in pieces that follow each other: large ones are the columns' own memory."""
    pieces: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = [varint(len(columns)), varint(rows)]
    for name, column in columns:
        small += (_text(name), _text(column.type), column.prefix)
        for piece in column.pieces:
            if len(piece) < _PIECE_BYTES:
                small.append(piece)
                continue
            pieces += (b"".join(small), piece)
            small = []
    return [*pieces, b"".join(small)] if small else pieces


def varint(number: int) -> bytes:
    """LEB128, unsigned.

    >>> varint(300).hex()
    'ac02'
    """
    if number < len(_SHORT):
        return _SHORT[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def fixed(kind: str, values: np.ndarray, *, unset: bool = False) -> Encoded:
    """A column of fixed-width values: numbers, times, or rows of bytes (little-endian 128 and 256-bit integers)."""
    return Encoded(kind, _bytes_of(values), unset=unset)


def nullable(unknown: np.ndarray, values: Encoded) -> Encoded:
    """A Nullable column: which rows are NULL, shape (n,), then the values, of which those rows' do not count."""
    return Encoded(f"Nullable({values.type})", (*_bytes_of(unknown.astype(np.uint8)), *values.pieces), values.prefix)


def strings(lengths: np.ndarray, data: np.ndarray) -> Encoded:
    """A String column from each value's length and all bytes in a row.

    Parameters
    ----------
    lengths : int, shape (n,)
    data : uint8, shape (sum(lengths),)
    """
    return Encoded("String", (prefixed(lengths, data),))


def prefixed(lengths: np.ndarray, data: np.ndarray) -> memoryview:
    """Every value behind its length in LEB128."""
    count = len(lengths)
    if count == 0:
        return memoryview(b"")
    longest = int(lengths.max())
    if longest == int(lengths.min()) and longest < 0x80:
        rows = np.empty((count, longest + 1), np.uint8)
        rows[:, 0] = longest
        rows[:, 1:] = data.reshape(count, longest)
        return rows.reshape(-1).data
    lengths = lengths.astype(np.int64)
    header = np.ones(count, np.int64)
    for bits in (7, 14, 21, 28):
        header += lengths >> bits > 0
    ends = np.cumsum(header + lengths)
    starts = ends - lengths - header
    out = np.empty(int(ends[-1]), np.uint8)
    is_data = np.ones(len(out), bool)
    for position in range(int(header.max())):
        has = header > position
        more = header[has] > position + 1
        at = starts[has] + position
        out[at] = (lengths[has] >> (7 * position)) & 0x7F | more.astype(np.int64) << 7
        is_data[at] = False
    out[is_data] = data
    return out.data


def low_cardinality(values: Sequence[bytes], keys: np.ndarray) -> Encoded:
    """A LowCardinality(String) column: distinct ``values`` and each row's index into them."""
    pieces: tuple[bytes | memoryview, ...] = ()
    if len(keys):
        width = 0 if len(values) <= 1 << 8 else 1 if len(values) <= 1 << 16 else 2
        packed = np.ascontiguousarray(keys, np.dtype(f"<u{1 << width}"))
        head = (_OWN_DICTIONARY | width).to_bytes(8, "little") + len(values).to_bytes(8, "little")
        entries = b"".join([varint(len(value)) + value for value in values])
        pieces = (head + entries + len(keys).to_bytes(8, "little"), *_bytes_of(packed))
    return Encoded("LowCardinality(String)", pieces, _LOW_CARDINALITY_VERSION)


def constant(value: str, rows: int) -> Encoded:
    """A LowCardinality(String) column that is the same in every row."""
    return low_cardinality([value.encode()], np.zeros(rows, np.uint8))


def arrays(offsets: np.ndarray, elements: Encoded) -> Encoded:
    """An Array column: ``offsets`` are the ends of the rows in ``elements``, counted from its start."""
    ends = np.ascontiguousarray(offsets, np.dtype("<u8"))
    pieces = (*_bytes_of(ends), *elements.pieces)
    return Encoded(f"Array({elements.type})", pieces, elements.prefix)


def raw_bytes(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(lengths, bytes) of a binary or utf8 array; nulls are empty.

    Returns int32 lengths of shape (n,) and uint8 bytes of shape (sum(lengths),), which share the array's memory.
    """
    if array.null_count:
        array = array.fill_null(b"" if pa.types.is_binary(array.type) else "")
    _, offset_buffer, data_buffer = array.buffers()
    if offset_buffer is None or len(array) == 0:
        return np.zeros(len(array), np.int32), np.empty(0, np.uint8)
    offsets = np.frombuffer(offset_buffer, np.int32)[array.offset : array.offset + len(array) + 1]
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return np.diff(offsets), data[offsets[0] : offsets[-1]]


def _bytes_of(values: np.ndarray) -> tuple[memoryview, ...]:
    """The array's memory, without a copy; nothing when it is empty."""
    return (np.ascontiguousarray(values).view(np.uint8).reshape(-1).data,) if values.size else ()


def _text(value: str) -> bytes:
    raw = value.encode()
    return varint(len(raw)) + raw
