"""Logs in JSON, a few megabytes at a time: an array, an object a line, or JSON-RPC responses of ``eth_getLogs``.

An object of a log has no braces inside of it, so a stretch of a file that ends with ``}`` holds whole logs, whatever
stands around them; what is malformed is found object by object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.evm.logs import LogJson, Logs

_BLOCK = 8 << 20
#: No log is longer: data of 64 KiB and the rest.
_LONGEST = 1 << 20
#: Shorter stretches are not worth loading what is compiled.
_COMPILED = 1 << 16
_RESPONSE = re.compile(rb'\s*\{[^{}\[\]]*"result"\s*:\s*\[')
_OBJECT = re.compile(rb"\{[^{}]*\}")
_LOGS = msgspec.json.Decoder(list[LogJson])
_LOG = msgspec.json.Decoder(LogJson)


def stretches(stream: BinaryIO, file: str) -> Iterator[Logs | list[LogJson | bytes]]:
    """Logs in the order of the file: columns of what is plain; else logs one by one, and (bytes) objects that are none.

    Raises ParseError for what holds no objects.
    """
    rest, responses = b"", False
    while True:
        block = stream.read(_BLOCK)
        text = rest + block
        if (not rest or responses) and b'"result"' in text:
            text, found = _RESPONSE.subn(b"", text)
            responses |= bool(found)
        end = text.rfind(b"}") + 1 if block else len(text)
        stretch, rest = memoryview(text)[:end], text[end:]
        if len(rest) > _LONGEST:
            raise ParseError(f"an object of more than {_LONGEST >> 20} MiB is no log", file=file, reason="malformed")
        if end and (block or text.strip()):
            yield _read(stretch)
        if not block:
            return


def _read(whole: memoryview) -> Logs | list[LogJson | bytes]:
    if len(whole) >= _COMPILED:
        from mevflow.operators.parse.evm.plain_json import plain_logs

        if (logs := plain_logs(whole)) is not None:
            return logs
    stretch = bytes(whole)
    plain = stretch.strip().removeprefix(b"[").strip().strip(b",").strip()
    if plain[:1] == b"{" and plain[-1:] == b"}":
        try:
            lines = b"}\n{" in plain[:_LONGEST]
            return [*(_LOG.decode_lines(plain) if lines else _LOGS.decode(b"[" + plain + b"]"))]
        except msgspec.DecodeError:
            pass
    found: list[LogJson | bytes] = []
    for match in _OBJECT.finditer(stretch):
        try:
            found.append(_LOG.decode(match[0]))
        except msgspec.DecodeError:
            found.append(match[0])
    rest = stretch[stretch.rfind(b"}") + 1 :]
    if b"{" in rest:  # the file ends within an object
        found.append(rest[rest.index(b"{") :])
    return found
