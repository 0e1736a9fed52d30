"""Columns that are known -> a message's whole batch, every other field protobuf's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.operators.codec import codec


def batch(message: str, rows: int, columns: Mapping[str, Any]) -> pa.RecordBatch:
    """``columns`` are arrays of ``rows`` values or one value for all. Raises KeyError for an unknown field."""
    schema = codec(message).schema
    unknown = columns.keys() - set(schema.names)
    if unknown:
        raise KeyError(f"not a field of {message}: {', '.join(sorted(unknown))}")
    return pa.RecordBatch.from_arrays(
        [_column(columns.get(field.name), field.type, rows) for field in schema], schema=schema
    )


def _column(given: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(given, pa.Array):
        return given if given.type == kind else given.cast(kind)
    if isinstance(given, np.ndarray):
        return pa.array(given).cast(kind)
    if given is None and pa.types.is_struct(kind):
        return pa.nulls(rows, kind)
    value = given if given is not None else _default(kind)
    if pa.types.is_list(kind):
        return pa.array([value] * rows, kind)
    return pa.repeat(pa.scalar(value, kind), rows)


def _default(kind: pa.DataType) -> Any:
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_list(kind):
        return []
    return False if pa.types.is_boolean(kind) else 0
