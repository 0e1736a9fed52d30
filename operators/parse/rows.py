"""Rows gathered column by column into a message's Arrow batch."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mevflow.operators.codec import codec


class RowBuilder:
    """Rows of one message; a field that no row sets is protobuf's default."""

    def __init__(self, message: str) -> None:
        self._schema = codec(message).schema
        self._columns: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._defaults = {field.name: _default(field.type) for field in self._schema}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, **values: Any) -> None:
        """Append a row. Raises KeyError for a field that the message does not have."""
        unknown = values.keys() - self._columns.keys()
        if unknown:
            raise KeyError(f"not a field: {', '.join(sorted(unknown))}")
        for name, column in self._columns.items():
            column.append(values.get(name, self._defaults[name]))
        self._count += 1

    def take(self) -> pa.RecordBatch:
        """All rows since the last call, as one batch."""
        arrays = [pa.array(self._columns[field.name], type=field.type) for field in self._schema]
        for column in self._columns.values():
            column.clear()
        self._count = 0
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _default(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return False
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_list(kind):
        return []
    if pa.types.is_struct(kind):
        return None
    return 0
