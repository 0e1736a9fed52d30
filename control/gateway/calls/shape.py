"""Protobuf messages as JSON and back, in the names of the ``.proto`` file.

Integers are JSON numbers (all of them are below 2^53: times in µs, versions, offsets), enums are names, and bytes that
hold JSON (payloads) are that JSON: a policy is written as an object, not as Base64. Other bytes are Base64.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from mevflow.control.commands.draft import MAX_VALUES, values_in
from mevflow.control.refusal import Refused, invalid
from mevflow.control.server.dispatch import MAX_ITEMS

_MAX_FIELDS = 100

#: Fields of bytes that hold JSON.
JSON_FIELDS = frozenset(("payload", "before", "after", "request"))

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()
_Read = Callable[[Any], Any]


def encode(message: Message) -> bytes:
    """A message as JSON."""
    return _encoder.encode(plain(message))


def plain(message: Message) -> dict[str, Any]:
    """A message as plain values that msgspec encodes: every field, but unset optional and message fields."""
    found: dict[str, Any] = {}
    for name, optional, read in _fields(message.DESCRIPTOR):
        if not optional or message.HasField(name):
            found[name] = read(getattr(message, name))
    return found


@cache
def _fields(descriptor: Descriptor) -> tuple[tuple[str, bool, _Read], ...]:
    """(name, whether it may be absent, what makes its value plain) of each field."""
    rows = []
    for field in descriptor.fields:
        one = _reader(field)
        rows.append((field.name, field.has_presence, _each(one) if field.is_repeated else one))
    return tuple(rows)


def _each(one: _Read) -> _Read:
    return lambda values: [one(value) for value in values]


def _reader(field: FieldDescriptor) -> _Read:
    if field.message_type is not None:
        return plain
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda value: names.get(value, value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _json if field.name in JSON_FIELDS else _base64
    return _same


def _same(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(value: bytes) -> Any:
    if not value:
        return None
    written = as_written(value)
    return _base64(value) if written is None else written


def as_written(value: bytes) -> msgspec.Raw | None:
    """JSON from the log, which anyone may have written, to be answered as it stands there; None where it is none."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.Raw(value)


def parse(kind: type[Message], text: bytes, extra: dict[str, Any]) -> Message:
    """A request from its JSON object (empty: nothing is set) and from ``extra`` (of the path). Raises Refused."""
    try:
        given = _decoder.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", "MALFORMED_JSON", f"the body is not a JSON object: {error}") from None
    if len(given) > _MAX_FIELDS:
        raise Refused("INVALID_ARGUMENT", "MALFORMED_REQUEST", f"the body has more than {_MAX_FIELDS} fields")
    for name, raw in given.items():
        _check_count(name, bytes(raw), MAX_VALUES if name in JSON_FIELDS else MAX_ITEMS)
    names = kind.DESCRIPTOR.fields_by_name
    # The contents stay as they were written; the rest goes through protobuf's own reader.
    contents = {name: bytes(given.pop(name)) for name in JSON_FIELDS.intersection(given).intersection(names)}
    try:
        # msgspec.Raw checks nothing inside until it is decoded.
        for content in contents.values():
            msgspec.json.decode(content)
        message: Message = ParseDict({name: msgspec.json.decode(raw) for name, raw in given.items()} | extra, kind())
    except (ParseError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        why = str(error).partition("\n")[0][:300]
        raise Refused("INVALID_ARGUMENT", "MALFORMED_REQUEST", f"not a {kind.DESCRIPTOR.name}: {why}") from None
    for name, content in contents.items():
        if content != b"null":
            setattr(message, name, content)
    return message


def _check_count(name: str, text: bytes, most: int) -> None:
    """Raise Refused for a list or an object that holds too much: protobuf's reader takes some 10 µs a value."""
    if text.lstrip()[:1] in (b"[", b"{") and values_in(text) > most:
        raise invalid(name[:64], f"has more than {most:,} values", "TOO_LARGE")


def parse_query(kind: type[Message], query: dict[str, str], extra: dict[str, Any]) -> Message:
    """A request from the parameters of a URL. Raises Refused."""
    if not query and not extra:
        return kind()
    fields = kind.DESCRIPTOR.fields_by_name
    given: dict[str, Any] = {}
    for name, value in query.items():
        field = fields.get(name)
        if field is None:
            known = ", ".join(fields) or "none"
            raise Refused(
                "INVALID_ARGUMENT", "UNKNOWN_PARAMETER", f"no parameter {name!r}; known: {known}", fields=[(name, "")]
            )
        if field.type == FieldDescriptor.TYPE_BOOL:
            if value not in ("true", "false"):
                raise Refused("INVALID_ARGUMENT", "MALFORMED_REQUEST", f"{name} is true or false", fields=[(name, "")])
            given[name] = value == "true"
        else:
            given[name] = [value] if field.is_repeated else value
    try:
        message: Message = ParseDict(given | extra, kind())
    except (ParseError, ValueError, TypeError) as error:
        raise Refused("INVALID_ARGUMENT", "MALFORMED_REQUEST", str(error).partition("\n")[0][:300]) from None
    return message
