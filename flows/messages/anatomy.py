"""A record as a tree whose every node knows its bytes.

With a schema fields have names and types; a field that the schema does not have, or that does not fit it, is kept and
shown as the wire has it. Without one every length-delimited field that reads as a message in full is taken for one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from mevflow.operators.readable import bytes_as_text

MAX_DEPTH, MAX_NODES = 32, 5_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRES = {_VARINT: "varint", _FIXED64: "fixed64", _BYTES: "bytes", _FIXED32: "fixed32"}
#: How fields of a fixed width are packed.
_FORMATS = {
    FieldDescriptor.TYPE_DOUBLE: "<d", FieldDescriptor.TYPE_FLOAT: "<f", FieldDescriptor.TYPE_FIXED64: "<Q",
    FieldDescriptor.TYPE_SFIXED64: "<q", FieldDescriptor.TYPE_FIXED32: "<I", FieldDescriptor.TYPE_SFIXED32: "<i",
}  # fmt: skip
_TEXTS = {kind: name[5:].lower() for name, kind in vars(FieldDescriptor).items() if name.startswith("TYPE_")}


@dataclass(slots=True)
class MessagePart:
    """A field. Its bytes are ``start`` to ``end`` of the record, its value's ``value_start`` to ``end``.

    ``name`` and ``type`` are empty where the schema has none. ``value`` is text, or None where ``children`` say it.
    """

    field: int
    name: str
    type: str
    wire: str
    start: int
    value_start: int
    end: int
    value: str | None
    children: list[MessagePart]
    fault: str = ""


class _UnreadableError(ValueError):
    pass


def anatomy(data: bytes, message: Any, base58_addresses: bool = True) -> tuple[list[MessagePart], str]:
    """(nodes, fault): what can be read of a record, and why the rest cannot; empty when all can.

    ``message``: a message's descriptor; None: without a schema.
    """
    reader = _Reader(data, base58_addresses)
    nodes: list[MessagePart] = []
    try:
        reader.message(0, len(data), message, 0, nodes)
    except _UnreadableError as error:
        return nodes, str(error)
    return nodes, ""


class _Reader:
    def __init__(self, data: bytes, base58_addresses: bool) -> None:
        self._data, self._base58, self._left = data, base58_addresses, MAX_NODES

    def message(self, at: int, end: int, of: Any, depth: int, into: list[MessagePart]) -> None:
        """Fields from ``at`` to ``end``, added as they are read. Raises _UnreadableError where they end too soon."""
        if depth > MAX_DEPTH:
            raise _UnreadableError(f"more than {MAX_DEPTH} messages within each other")
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise _UnreadableError(f"more than {MAX_NODES:,} fields")
            start = at
            head, at = self._varint(at, end)
            number, wire = head >> 3, head & 7
            if not 0 < number < 1 << 29 or wire not in _WIRES:
                raise _UnreadableError(f"at byte {start}: no field begins like this")
            field = None if of is None else of.fields_by_number.get(number)
            at = self._field(start, at, end, number, wire, field, of is None, depth, into)

    def _field(
        self,
        start: int,
        at: int,
        end: int,
        number: int,
        wire: int,
        field: FieldDescriptor | None,
        guess: bool,
        depth: int,
        into: list[MessagePart],
    ) -> int:
        name, kind = ("", "") if field is None else (field.name, _TEXTS[field.type])
        node = MessagePart(number, name, kind, _WIRES[wire], start, at, end, None, [])
        if wire == _BYTES:
            size, at = self._varint(at, end)
            node.value_start, stop = at, at + size
        elif wire == _VARINT:
            raw, stop = self._varint(at, end)
            node.value = self._number(raw, field)
        else:
            stop = at + (8 if wire == _FIXED64 else 4)
        if stop > end:
            raise _UnreadableError(f"at byte {start}: field {name or number} is cut off")
        node.end = stop
        into.append(node)
        if wire == _BYTES:
            self._bytes(node, field, guess, depth)
        elif wire != _VARINT:
            form = _FORMATS.get(field.type) if field is not None else None
            fits = form is not None and struct.calcsize(form) == stop - at
            value = struct.unpack(form if fits and form else "<Q" if wire == _FIXED64 else "<I", self._data[at:stop])[0]
            node.value = str(value)
        return stop

    def _bytes(self, node: MessagePart, field: FieldDescriptor | None, guess: bool, depth: int) -> None:
        data = self._data[node.value_start : node.end]
        if field is not None and field.message_type is not None:
            try:
                self.message(node.value_start, node.end, field.message_type, depth + 1, node.children)
            except _UnreadableError as error:
                node.fault = str(error)
        elif field is not None and field.type == FieldDescriptor.TYPE_STRING:
            node.value = data.decode(errors="replace")
        elif field is not None and field.type == FieldDescriptor.TYPE_BYTES:
            node.value = bytes_as_text(field.name, data, self._base58) or ""
        elif field is not None and field.is_repeated:
            try:
                node.value = self._packed(node, field)
            except _UnreadableError as error:
                node.value, node.fault = data.hex(), str(error)
        elif guess and data and self._reads(node, depth):
            pass
        else:
            text = data.decode(errors="replace")
            node.value = text if text and text.isprintable() else data.hex()

    def _reads(self, node: MessagePart, depth: int) -> bool:
        """Without a schema: whether the bytes are a message in full; its fields are the children then."""
        children: list[MessagePart] = []
        left = self._left
        try:
            self.message(node.value_start, node.end, None, depth + 1, children)
        except _UnreadableError:
            self._left = min(left, self._left)
            return False
        node.children = children
        return True

    def _packed(self, node: MessagePart, field: FieldDescriptor) -> str:
        values: list[str] = []
        at = node.value_start
        form = _FORMATS.get(field.type, "")
        width = struct.calcsize(form)
        while at < node.end and len(values) < MAX_NODES:
            if not form:
                raw, at = self._varint(at, node.end)
                values.append(self._number(raw, field))
            elif at + width > node.end:
                raise _UnreadableError(f"at byte {at}: field {field.name} is cut off")
            else:
                values.append(str(struct.unpack_from(form, self._data, at)[0]))
                at += width
        return ", ".join(values)

    def _number(self, raw: int, field: FieldDescriptor | None) -> str:
        if field is None:
            return str(raw)
        if field.enum_type is not None:
            known = field.enum_type.values_by_number.get(_signed(raw))
            return str(raw) if known is None else known.name
        if field.type == FieldDescriptor.TYPE_BOOL:
            return "true" if raw else "false"
        if field.type in (FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SINT64):
            return str((raw >> 1) ^ -(raw & 1))
        if field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64):
            return str(_signed(raw))
        return str(raw)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        start = at
        while at < end and shift < 70:
            octet = self._data[at]
            at += 1
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                return value & ((1 << 64) - 1), at
            shift += 7
        raise _UnreadableError(f"at byte {start}: a number is cut off or too long")


def _signed(raw: int) -> int:
    return raw - (1 << 64) if raw >> 63 else raw
