"""Columns of the rows that the detector emits, built a column at a time."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from operators.codec import codec

OPPORTUNITY = codec("mevflow.v1.Opportunity").located
PRICE = codec("mevflow.v1.PriceTick").located


class Columns:
    """Lists by column name; what is not given is the column's protobuf default."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows: list[dict[str, Any]] = []

    def add(self, **values: Any) -> None:
        """One row."""
        self.rows.append(values)

    def batch(self) -> pa.RecordBatch:
        """All rows, in order."""
        arrays = []
        for field in self.schema:
            default = _default(field.type)
            arrays.append(pa.array([row.get(field.name, default) for row in self.rows], field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _default(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return []
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return ""
    return False if pa.types.is_boolean(kind) else 0


def u128(value: int) -> bytes:
    """16 little-endian bytes."""
    return value.to_bytes(16, "little")


def i128(value: int) -> bytes:
    """16 little-endian bytes, two's complement."""
    return value.to_bytes(16, "little", signed=True)
