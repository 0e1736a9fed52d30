"""numpy arrays as the Arrow columns of ``mevflow.v1`` messages, without a Python object a row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def fixed(data: NDArray[np.uint8], rows: int, width: int) -> pa.Array:
    """Binary column of ``rows`` values of ``width`` bytes each, end to end in ``data``."""
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    return pa.BinaryArray.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def words(low: NDArray[np.uint64], high: NDArray[np.uint64] | None = None) -> NDArray[np.uint64]:
    """``(rows, 2)`` little-endian words of u128."""
    both = np.zeros((len(low), 2), np.uint64)
    both[:, 0] = low
    if high is not None:
        both[:, 1] = high
    return both


def u128(both: NDArray[np.uint64], where: NDArray[np.bool_] | None = None) -> pa.Array:
    """``(rows, 2)`` words as 16 bytes a row; empty (not known) where ``where`` is False."""
    rows = len(both)
    if where is None:
        return fixed(np.ascontiguousarray(both).view(np.uint8).reshape(-1), rows, 16)
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(where, out=offsets[1:])
    data = np.ascontiguousarray(both[where]).view(np.uint8).reshape(-1)
    return pa.BinaryArray.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets * 16), pa.py_buffer(data)])


def q64(root: NDArray[np.float64]) -> NDArray[np.uint64]:
    """``(rows, 2)`` words of a Q64.64 number."""
    whole = np.floor(root)
    return words(((root - whole) * 2.0**64).astype(np.uint64), whole.astype(np.uint64))


def random_bytes(rng: np.random.Generator, rows: int, width: int) -> pa.Array:
    """Random values of ``width`` bytes."""
    return fixed(np.frombuffer(rng.bytes(rows * width), np.uint8), rows, width)


def complete(columns: dict[str, object], rows: int, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with every other column of ``schema`` at its protobuf default."""
    arrays = []
    for field in schema:
        if field.name in columns:
            given = columns[field.name]
            array = given if isinstance(given, pa.Array) else pa.array(given, field.type)
            arrays.append(array if array.type == field.type else array.cast(field.type))
        else:
            arrays.append(_default(field.type, rows))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _default(kind: pa.DataType, rows: int) -> pa.Array:
    if pa.types.is_list(kind):
        return pa.array([[]] * rows, kind)
    empty: object = b"" if pa.types.is_binary(kind) else "" if pa.types.is_string(kind) else 0
    if pa.types.is_struct(kind):
        return pa.nulls(rows, kind)
    return pa.repeat(pa.scalar(bool(empty) if pa.types.is_boolean(kind) else empty, kind), rows)
