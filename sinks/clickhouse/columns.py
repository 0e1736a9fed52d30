"""How a message's Arrow columns become a table's columns: one small class per way.

Each takes a batch and gives an encoded column. ``misfits`` tells the rows whose value the table cannot hold exactly;
``encode`` raises ``ColumnError`` when there are any, and so encodes all of a batch or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import base58
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.chains import MAX_NUMBER, are_evm, name_of
from mevflow.sinks.clickhouse import native
from mevflow.sinks.clickhouse.native import Encoded

_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)

_FIXED = {
    "Bool": (pa.bool_(), np.uint8),
    "Int32": (pa.int32(), np.int32),
    "Int64": (pa.int64(), np.int64),
    "UInt8": (pa.uint8(), np.uint8),
    "UInt32": (pa.uint32(), np.uint32),
    "UInt64": (pa.uint64(), np.uint64),
    "Float64": (pa.float64(), np.float64),
    "DateTime64(6, 'UTC')": (pa.int64(), np.int64),  # TIME
}
TIME = "DateTime64(6, 'UTC')"
#: Chain times that the tables and the sums by minute (a 32-bit DateTime) hold: 1970-01-01 to 2106-02-07.
LAST_US = (1 << 32) * 1_000_000 - 1
_BOUNDS = {
    "Int32": (-(1 << 31), (1 << 31) - 1),
    "Int64": (-(1 << 63), (1 << 63) - 1),
    "UInt8": (0, (1 << 8) - 1),
    "UInt32": (0, (1 << 32) - 1),
    "UInt64": (0, (1 << 64) - 1),
    TIME: (0, LAST_US),
}
#: How wide an amount is in the table, and in the message: other widths are not amounts.
_WIDE = {"UInt128": 16, "Int128": 16, "UInt256": 32}
_WIDTHS = {"UInt128": (16,), "Int128": (16,), "UInt256": (20, 32)}
#: Longest address, id and signature in bytes. Chains use 20 to 64; base58 of more costs its square.
MAX_ADDRESS_BYTES = 64
MAX_SIGNATURE_BYTES = 128


class ColumnError(ValueError):
    """Values of ``column`` that the table cannot hold."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class BatchRows:
    """What column makers may look at: the arrays by field name, and each row's chain (None where it has none)."""

    arrays: dict[str, pa.Array]
    chains: np.ndarray | None
    count: int


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A table's column ``name`` made from the message's ``field``."""

    name: str
    field: str

    @property
    def rule(self) -> str:
        """What the column takes, for people."""
        return "any value"

    def encode(self, rows: BatchRows) -> Encoded:
        """The column's values. Raises ColumnError when one does not fit."""
        array = rows.arrays[self.field]
        wrong = self.misfits(array)
        if wrong is not None:
            shown = shortened(array, int(np.argmax(wrong)))
            raise ColumnError(self.name, f"{shown} does not fit, the column takes {self.rule}")
        return self.of_array(array, rows.chains)

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        """A mask of the values that do not fit, shape (n,); None when all do, which costs least to tell."""
        return None

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        raise NotImplementedError

    def values(self, rows: BatchRows) -> pa.Array:
        """The column as the table shows it, for comparison: integers, or text. Only identity columns need it."""
        array = rows.arrays.get(self.field)
        return pa.array([""] * rows.count) if array is None else self.shown(array, rows.chains)

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        return array


@dataclass(frozen=True, slots=True)
class Number(TableColumn):
    """Integers, floats, flags, and times in microseconds."""

    kind: str

    @property
    def rule(self) -> str:
        return "{} to {}".format(*_BOUNDS[self.kind]) if self.kind in _BOUNDS else "any value"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        arrow_type, _ = _FIXED[self.kind]
        plain = array.type == arrow_type and self.kind != TIME
        if plain or self.kind not in _BOUNDS or not len(array):
            return None
        values = _filled(array).to_numpy(zero_copy_only=False)
        low, high = _BOUNDS[self.kind]
        least, most = int(values.min()), int(values.max())
        if low <= least and most <= high:
            return None
        wrong = np.zeros(len(values), bool)
        if least < low:
            wrong |= values < low
        if most > high:
            wrong |= values > high
        return wrong

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        arrow_type, dtype = _FIXED[self.kind]
        values = _filled(array).cast(arrow_type).to_numpy(zero_copy_only=False)
        values = values.astype(dtype, copy=False)
        bits = values.view(f"u{values.itemsize}")  # minus zero is a number, too
        return native.fixed(self.kind, values, unset=not bits.any())

    def values(self, rows: BatchRows) -> pa.Array:
        array = rows.arrays.get(self.field)
        return pa.array(np.zeros(rows.count, np.int64)) if array is None else array.fill_null(0)


@dataclass(frozen=True, slots=True)
class Amount(TableColumn):
    """Little-endian integers of 128 bits or more in ``binary``, as wide as the message says; empty is 0."""

    kind: str = "UInt128"

    @property
    def rule(self) -> str:
        return f"amounts of {' or '.join(map(str, _WIDTHS[self.kind]))} bytes, or none"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        lengths, _ = native.raw_bytes(array)
        right = lengths == 0
        for width in _WIDTHS[self.kind]:
            right |= lengths == width
        return None if right.all() else ~right

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        lengths, data = native.raw_bytes(array)
        width = _WIDE[self.kind]
        if len(data) == width * len(lengths) and int(lengths.min(initial=width)) == width:
            return native.fixed(self.kind, data)
        out = np.zeros((len(lengths), width), np.uint8)
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        for given in _WIDTHS[self.kind]:
            chosen = np.flatnonzero(lengths == given)
            out[chosen, :given] = data[starts[chosen, None] + np.arange(given)]
        return native.fixed(self.kind, out, unset=not len(data))


@dataclass(frozen=True, slots=True)
class AmountOrUnknown(Amount):
    """An amount that may not be known: empty is NULL."""

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        lengths, _ = native.raw_bytes(array)
        # Not super(): a dataclass with slots is another class than the one that its methods were written in.
        return native.nullable(lengths == 0, Amount.of_array(self, array, chains))


@dataclass(frozen=True, slots=True)
class Text(TableColumn):
    """Text or bytes with many distinct values; ``longest`` bounds their bytes (0: the record does)."""

    longest: int = 0

    @property
    def rule(self) -> str:
        return f"at most {self.longest} bytes" if self.longest else "UTF-8"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        return _too_long(array, self.longest) if self.longest else _not_utf8(array)

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        return native.strings(*native.raw_bytes(array))


@dataclass(frozen=True, slots=True)
class Word(TableColumn):
    """Text with few distinct values."""

    @property
    def rule(self) -> str:
        return "UTF-8"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        values, keys = distinct(array)
        wrong = _not_utf8(values)
        return None if wrong is None else _any(wrong[keys])

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        values, keys = distinct(array)
        return native.low_cardinality(values.cast(pa.binary()).to_pylist(), keys)


@dataclass(frozen=True, slots=True)
class Enumerated(TableColumn):
    """An enum's number as its name."""

    names: tuple[str, ...]

    @property
    def rule(self) -> str:
        return f"0 to {len(self.names) - 1} ({', '.join(self.names)})"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        codes = _filled(array).to_numpy(zero_copy_only=False)
        if not len(codes) or 0 <= codes.min() <= codes.max() < len(self.names):
            return None
        return (codes < 0) | (codes >= len(self.names))

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        codes = _filled(array).to_numpy(zero_copy_only=False)
        return native.low_cardinality([name.encode() for name in self.names], codes)

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        codes = _filled(array).to_numpy(zero_copy_only=False)
        known = np.where((codes >= 0) & (codes < len(self.names)), codes, 0)
        return pa.DictionaryArray.from_arrays(pa.array(known, pa.int32()), list(self.names))


@dataclass(frozen=True, slots=True)
class ChainName(TableColumn):
    """A chain's number as its name."""

    @property
    def rule(self) -> str:
        return f"0 to {MAX_NUMBER}"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        return _any(_filled(array).to_numpy(zero_copy_only=False) < 0)

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        told, keys = np.unique(_filled(array).to_numpy(zero_copy_only=False), return_inverse=True)
        return native.low_cardinality([name_of(number).encode() for number in told.tolist()], keys)

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        told, keys = np.unique(_filled(array).to_numpy(zero_copy_only=False), return_inverse=True)
        return pa.DictionaryArray.from_arrays(pa.array(keys, pa.int32()), [name_of(one) for one in told.tolist()])


@dataclass(frozen=True, slots=True)
class Identifier(TableColumn):
    """An id, mostly of 16 bytes, as hexadecimal digits; empty stays empty."""

    @property
    def rule(self) -> str:
        return f"at most {MAX_ADDRESS_BYTES} bytes"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        return _too_long(array, MAX_ADDRESS_BYTES)

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        lengths, data = native.raw_bytes(array)
        return native.strings(lengths * 2, _HEX[data].reshape(-1))

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        return pa.array([(value or b"").hex() for value in array.to_pylist()], pa.utf8())


@dataclass(frozen=True, slots=True)
class Address(TableColumn):
    """A pool or a mint as people write it: base58 on Solana, 0x-hex on EVM chains."""

    low_cardinality: bool = True

    @property
    def rule(self) -> str:
        return f"at most {MAX_ADDRESS_BYTES} bytes"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        return _too_long(array, MAX_ADDRESS_BYTES)

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        texts, keys = _address_texts(array, chains)
        if self.low_cardinality:
            return native.low_cardinality(texts, keys)
        return native.strings(*native.raw_bytes(pa.array(texts, pa.binary()).take(pa.array(keys))))

    def shown(self, array: pa.Array, chains: np.ndarray | None) -> pa.Array:
        texts, keys = _address_texts(array, chains)
        return pa.DictionaryArray.from_arrays(pa.array(keys), pa.array(texts, pa.binary()))


@dataclass(frozen=True, slots=True)
class Many(TableColumn):
    """An Array column; ``element`` makes its values. ``part`` picks a member when the elements are messages."""

    element: TableColumn
    part: str = ""

    @property
    def rule(self) -> str:
        return f"lists of {self.element.rule}"

    def misfits(self, array: pa.Array) -> np.ndarray | None:
        lengths, elements = self._elements(array)
        wrong = self.element.misfits(elements)
        if wrong is None:
            return None
        rows = np.zeros(len(lengths), bool)
        rows[np.repeat(np.arange(len(lengths)), lengths)[wrong]] = True
        return rows

    def _elements(self, array: pa.Array) -> tuple[np.ndarray, pa.Array]:
        """Each row's number of elements, and all elements."""
        if array.null_count:
            array = pa.array(array.to_pylist(), array.type).fill_null([])
        ends = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        elements = array.flatten()
        return np.diff(ends), pc.struct_field(elements, self.part) if self.part else elements

    def of_array(self, array: pa.Array, chains: np.ndarray | None) -> Encoded:
        lengths, elements = self._elements(array)
        repeated = None if chains is None else np.repeat(chains, lengths)
        return native.arrays(np.cumsum(lengths), self.element.of_array(elements, repeated))


def _filled(array: pa.Array) -> pa.Array:
    """Without nulls: what is not set is 0 or false."""
    if not array.null_count:
        return array
    return array.fill_null(False if pa.types.is_boolean(array.type) else 0)


def _too_long(array: pa.Array, longest: int) -> np.ndarray | None:
    lengths, _ = native.raw_bytes(array)
    return None if int(lengths.max(initial=0)) <= longest else lengths > longest


def _not_utf8(array: pa.Array) -> np.ndarray | None:
    """Which values of a text column are not UTF-8; bytes may be anything."""
    if not pa.types.is_string(array.type):
        return None
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([not _is_utf8(value) for value in array.cast(pa.binary()).to_pylist()], bool)
    return None


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _any(mask: np.ndarray) -> np.ndarray | None:
    return mask if mask.any() else None


def shortened(array: pa.Array, row: int, longest: int = 80) -> str:
    """A value for people, cut where it is long."""
    one = array.slice(row, 1)
    value = (one.cast(pa.binary()) if pa.types.is_string(array.type) else one).to_pylist()[0]
    text = value[:longest].hex() if isinstance(value, bytes) else str(value)
    return f"{text[:longest]}…" if len(text) > longest else text


def _address_texts(array: pa.Array, chains: np.ndarray | None) -> tuple[list[bytes], np.ndarray]:
    """(distinct addresses as text, each row's index into them). An address is read as its row's chain writes it."""
    values, keys = distinct(array)
    evm = np.zeros(len(values), bool)
    if chains is not None:
        evm[keys] = are_evm(chains)
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


def encode_all(columns: Sequence[TableColumn], rows: BatchRows) -> list[tuple[str, Encoded]]:
    """All columns that ``rows`` has fields for. Raises ColumnError."""
    return [(column.name, column.encode(rows)) for column in columns if column.field in rows.arrays]


def misfits(columns: Sequence[TableColumn], rows: BatchRows) -> dict[int, str]:
    """Row -> why the table cannot hold it, in terms of its first column that does not fit."""
    found: dict[int, str] = {}
    for column in columns:
        array = rows.arrays.get(column.field)
        wrong = None if array is None else column.misfits(array)
        for row in np.flatnonzero(wrong) if wrong is not None and array is not None else ():
            why = f"column {column.name} takes {column.rule}, not {shortened(array, int(row))}"
            found.setdefault(int(row), why)
    return found
