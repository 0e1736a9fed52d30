"""``field op value`` on decoded columns: ``chain = SOLANA``, ``amount_in >= 1000000``, ``signer ~ 9x``, ``pool = 0x…``.

A condition is parsed once against the message's schema and then judged a batch at a time. A field that a row does not
have (unset amounts, empty text) satisfies no condition but ``!=``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.addresses import address
from mevflow.operators.codec import Codec
from mevflow.operators.errors import UsageError
from mevflow.operators.readable import SIGNED, UNSIGNED

MAX_CONDITIONS, MAX_LENGTH = 16, 256
_FORM = re.compile(r"\s*([a-z][a-z0-9_]{0,63})\s*(!=|>=|<=|=|>|<|~)\s*(.*?)\s*\Z", re.DOTALL)
_ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_INTEGER = re.compile(r"-?[0-9]{1,39}\Z")

Judge = Callable[[pa.Array], Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """``judge`` gives a mask of a column's rows."""

    field: str
    judge: Judge

    def rows(self, batch: pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows satisfy it."""
        return np.asarray(self.judge(batch.column(self.field)), bool)


def parse(text: str, of: Codec) -> Condition:
    """A condition on a message's own field. Raises UsageError that says what is wrong."""
    found = _FORM.match(text) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise _wrong(text, "field, one of = != > >= < <= ~ (contains), and a value")
    name, op, value = found.groups()
    if name not in of.schema.names:
        raise _wrong(text, f"{of.name} has no field {name!r}; it has {', '.join(of.schema.names)}")
    kind = of.schema.field(name).type
    enum = of.message.DESCRIPTOR.fields_by_name[name].enum_type
    numbers = {} if enum is None else {each.name: each.number for each in enum.values}
    return Condition(name, _judge(text, name, kind, op, value, numbers))


def _judge(text: str, name: str, kind: pa.DataType, op: str, value: str, numbers: dict[str, int]) -> Judge:
    if pa.types.is_list(kind):
        if not pa.types.is_binary(kind.value_type) or op != "=":
            raise _wrong(text, "a list of addresses is asked with =")
        return _any(_address(text, value))
    if pa.types.is_struct(kind):
        raise _wrong(text, f"{name} is a message of its own")
    if pa.types.is_binary(kind):
        if name in UNSIGNED or name in SIGNED:
            return _amounts(op, _whole(text, value), name in SIGNED)
        return _bytes(text, name, op, value)
    if pa.types.is_string(kind):
        return _strings(op, value)
    if op == "~":
        raise _wrong(text, "~ is for text and addresses")
    compare = _ORDERED[op]
    if pa.types.is_boolean(kind):
        if value not in ("true", "false") or op not in ("=", "!="):
            raise _wrong(text, "is = or != true or false")
        return lambda column: compare(column.to_numpy(zero_copy_only=False), value == "true")
    number: float
    if value.upper() in numbers:
        number = numbers[value.upper()]
    elif pa.types.is_floating(kind):
        number = _number(text, value)
    else:
        number = _whole(text, value)
    return lambda column: compare(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), number) & _there(column)


def _strings(op: str, value: str) -> Judge:
    if op == "~":
        return lambda column: pc.fill_null(pc.match_substring(column, value, ignore_case=True), False)
    compare = {"=": pc.equal, "!=": pc.not_equal, ">": pc.greater, ">=": pc.greater_equal, "<": pc.less}.get(
        op, pc.less_equal
    )
    return lambda column: pc.fill_null(compare(column, value), op == "!=")


def _bytes(text: str, name: str, op: str, value: str) -> Judge:
    if op not in ("=", "!="):
        raise _wrong(text, "addresses and ids are asked with = or !=")
    if name.endswith("_id") or name == "sha256":
        try:
            wanted = bytes.fromhex(value)
        except ValueError:
            raise _wrong(text, f"{name} is hex") from None
    else:
        wanted = _address(text, value)
    compare = pc.equal if op == "=" else pc.not_equal
    return lambda column: pc.fill_null(compare(column, pa.scalar(wanted, column.type)), op == "!=")


def _any(wanted: bytes) -> Judge:
    """Lists that hold it."""

    def judge(column: pa.ListArray) -> Any:
        found = np.zeros(len(column), bool)
        hits = pc.fill_null(pc.equal(column.flatten(), pa.scalar(wanted, column.type.value_type)), False)
        found[pc.list_parent_indices(column).to_numpy()[hits.to_numpy(zero_copy_only=False)]] = True
        return found

    return judge


def _amounts(op: str, wanted: int, signed: bool) -> Judge:
    """Little-endian integers: 16 bytes each as two columns of 64 bits, any other length one by one."""
    compare = _ORDERED[op]
    low_wanted, high_wanted = wanted & ((1 << 64) - 1), wanted >> 64

    def judge(column: pa.BinaryArray) -> Any:
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        if len(column) and (lengths == 16).all() and abs(wanted) < 1 << 126:
            start = int(np.frombuffer(column.buffers()[1], np.int32)[column.offset])
            words = np.frombuffer(column.buffers()[2], np.uint64, 2 * len(column), start).reshape(-1, 2)
            low, high = words[:, 0], words[:, 1].view(np.int64) if signed else words[:, 1]
            if high_wanted < 0 and not signed:
                return np.full(len(column), op in (">", ">=", "!="))
            same = high == high_wanted
            if op in ("=", "!="):
                equal = same & (low == low_wanted)
                return equal if op == "=" else ~equal
            return np.where(same, compare(low, low_wanted), compare(high, high_wanted))
        values = column.to_pylist()
        return [bool(v) and compare(int.from_bytes(v, "little", signed=signed), wanted) for v in values]

    return judge


def _there(column: pa.Array) -> Any:
    return column.is_valid().to_numpy(zero_copy_only=False)


def _address(text: str, value: str) -> bytes:
    try:
        return address(value)
    except ValueError:
        raise _wrong(text, "an address is base58, or 0x and hex") from None


def _whole(text: str, value: str) -> int:
    if not _INTEGER.match(value):
        raise _wrong(text, "a whole number of at most 39 digits")
    return int(value)


def _number(text: str, value: str) -> float:
    try:
        return float(value) if len(value) <= 32 else float("nan")
    except ValueError:
        raise _wrong(text, "a number") from None


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"{text[:80]!r}: {why}", key="where")
