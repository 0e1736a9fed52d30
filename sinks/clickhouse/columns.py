"""How a message's Arrow columns become a table's columns: one small class per way.

Each takes a batch and gives an encoded column. A value that does not fit raises ``ColumnError``, which names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import base58
import numpy as np
import pyarrow as pa

from mevflow.sinks.clickhouse import native
from mevflow.sinks.clickhouse.native import Encoded
from mevflow.v1 import market_pb2

_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)

_FIXED = {
    "Bool": (pa.bool_(), np.uint8),
    "Int32": (pa.int32(), np.int32),
    "Int64": (pa.int64(), np.int64),
    "UInt8": (pa.uint8(), np.uint8),
    "UInt32": (pa.uint32(), np.uint32),
    "UInt64": (pa.uint64(), np.uint64),
    "Float64": (pa.float64(), np.float64),
    "DateTime64(6, 'UTC')": (pa.int64(), np.int64),
}
_ETHEREUM = market_pb2.CHAIN_ETHEREUM
_WIDE = {"UInt128": 16, "Int128": 16, "UInt256": 32}


class ColumnError(ValueError):
    """A value of ``column`` that the table cannot take."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Rows:
    """What column makers may look at: the arrays by field name, and each row's chain (None where it has none)."""

    arrays: dict[str, pa.Array]
    chains: np.ndarray | None
    count: int


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column ``name`` made from the message's ``field``."""

    name: str
    field: str

    def encode(self, rows: Rows) -> Encoded:
        """The column's values. Raises ColumnError."""
        return self.of_array(rows.arrays[self.field], rows.chains)

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        raise NotImplementedError

    def values(self, rows: Rows) -> pa.Array:
        """The column as the table shows it, for comparison: integers, or text. Only identity columns need it."""
        array = rows.arrays.get(self.field)
        return pa.array([""] * rows.count) if array is None else self.shown(array, rows.chains)

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        return array


@dataclass(frozen=True, slots=True)
class Number(Column):
    """Integers, floats, flags, and times in microseconds."""

    kind: str

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        arrow_type, dtype = _FIXED[self.kind]
        try:
            filled = array.fill_null(False if pa.types.is_boolean(array.type) else 0) if array.null_count else array
            values = filled.cast(arrow_type).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise ColumnError(self.name, str(error)) from None
        return native.fixed(self.kind, values.astype(dtype, copy=False))

    def values(self, rows: Rows) -> pa.Array:
        array = rows.arrays.get(self.field)
        return pa.array(np.zeros(rows.count, np.int64)) if array is None else array.fill_null(0)


@dataclass(frozen=True, slots=True)
class Amount(Column):
    """Little-endian integers of 128 bits or more in ``binary``; empty is 0."""

    kind: str = "UInt128"

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        lengths, data = native.raw_bytes(array)
        width = _WIDE[self.kind]
        longest = int(lengths.max(initial=0))
        filled = lengths > 0
        if longest > width or (self.kind.startswith("Int") and longest not in (0, width)):
            raise ColumnError(self.name, f"an amount has {longest} bytes, not {width}")
        if longest and not bool((lengths[filled] == longest).all()):
            raise ColumnError(self.name, "amounts of different widths in one batch")
        if longest == width and bool(filled.all()):
            return native.fixed(self.kind, data)
        out = np.zeros((len(lengths), width), np.uint8)
        if longest:
            out[filled, :longest] = data.reshape(-1, longest)
        return native.fixed(self.kind, out)


@dataclass(frozen=True, slots=True)
class Text(Column):
    """Text or bytes with many distinct values."""

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        return native.strings(*native.raw_bytes(array))


@dataclass(frozen=True, slots=True)
class Word(Column):
    """Text with few distinct values."""

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        values, keys = distinct(array)
        return native.low_cardinality([str(value).encode() for value in values.to_pylist()], keys)


@dataclass(frozen=True, slots=True)
class Enumerated(Column):
    """An enum's number as its name."""

    names: tuple[str, ...]

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        codes = array.fill_null(0).to_numpy(zero_copy_only=False)
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(self.names):
            raise ColumnError(self.name, f"{codes.max()} is not one of {', '.join(self.names)}")
        return native.low_cardinality([name.encode() for name in self.names], codes)

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        return pa.DictionaryArray.from_arrays(array.fill_null(0).cast(pa.int32()), list(self.names))


@dataclass(frozen=True, slots=True)
class Identifier(Column):
    """A 16-byte id as 32 hexadecimal digits; empty stays empty."""

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        lengths, data = native.raw_bytes(array)
        return native.strings(lengths * 2, _HEX[data].reshape(-1))

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        return pa.array([(value or b"").hex() for value in array.to_pylist()], pa.utf8())


@dataclass(frozen=True, slots=True)
class Address(Column):
    """A pool or a mint as people write it: base58 on Solana, 0x-hex on EVM chains."""

    low_cardinality: bool = True

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        texts, keys = _address_texts(array, chains)
        if self.low_cardinality:
            return native.low_cardinality(texts, keys)
        return native.strings(*native.raw_bytes(pa.array(texts, pa.binary()).take(pa.array(keys))))

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        texts, keys = _address_texts(array, chains)
        return pa.DictionaryArray.from_arrays(pa.array(keys), pa.array(texts, pa.binary()))


@dataclass(frozen=True, slots=True)
class Many(Column):
    """An Array column; ``element`` makes its values. ``part`` picks a member when the elements are messages."""

    element: Column
    part: str = ""

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        if array.null_count:
            array = pa.array(array.fill_null([]))
        ends = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        lengths = np.diff(ends)
        elements = array.flatten()
        if self.part:
            elements = elements.field(self.part)
        repeated = None if chains is None else np.repeat(chains, lengths)
        return native.arrays(np.cumsum(lengths), self.element.of_array(elements, repeated))


def _address_texts(array: pa.Array, chains: np.ndarray | None) -> tuple[list[bytes], np.ndarray]:
    """(distinct addresses as text, each row's index into them). An address is read as its row's chain writes it."""
    values, keys = distinct(array)
    evm = np.zeros(len(values), bool)
    if chains is not None:
        evm[keys] = chains == _ETHEREUM
    return [address_text(value, bool(is_evm)) for value, is_evm in zip(values.to_pylist(), evm, strict=True)], keys


def distinct(array: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """(distinct values, each row's index into them); a null is its type's empty value."""
    if not pa.types.is_dictionary(array.type):
        if array.null_count:
            array = array.fill_null(b"" if pa.types.is_binary(array.type) else "")
        array = array.dictionary_encode()
    elif array.null_count:
        return distinct(array.cast(array.type.value_type))
    return array.dictionary, array.indices.to_numpy(zero_copy_only=False)


@lru_cache(maxsize=1 << 18)
def address_text(raw: bytes, evm: bool) -> bytes:
    """The text of an address. Pools and mints repeat, so the latest answers are kept."""
    if not raw:
        return b""
    return b"0x" + raw.hex().encode() if evm or len(raw) == 20 else base58.b58encode(raw)


def encode_all(columns: Sequence[Column], rows: Rows) -> list[tuple[str, Encoded]]:
    """All columns that ``rows`` has fields for."""
    return [(column.name, column.encode(rows)) for column in columns if column.field in rows.arrays]
