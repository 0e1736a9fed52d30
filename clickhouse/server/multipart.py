"""multipart/form-data bodies (RFC 7578): query parameters that are too long for a URL, and external tables.

A body is read once from its start to its end. Parsers of mail take time by the square of a head's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mevflow.clickhouse.server.errors import BAD_ARGUMENTS, ServerError, refuse
from mevflow.clickhouse.server.execute import ExternalTable

#: A part's head, and how many parts there are.
MAX_HEAD_BYTES, MAX_PARTS = 16 << 10, 10_000
_BOUNDARY = re.compile(r';[ \t]*+boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_PARAMETER = re.compile(rb';[ \t]*+([A-Za-z0-9*]++)=(?:"((?:[^"\\]|\\.)*+)"|([^;\s"]*+))', re.DOTALL)
_PLAIN = (b"", b"7bit", b"8bit", b"binary")


def parse_form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Plain fields and uploaded files by name. Raises ServerError when the body is not multipart."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed("its Content-Type names no boundary")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for head, content in _parts(body, (found[1] or found[2]).encode("latin-1", "replace")):
        name, is_file = _described(head)
        if is_file:
            files[name] = content
        else:
            fields[name] = content.decode("utf-8", "surrogateescape")
    return fields, files


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of each part."""
    line = b"--" + boundary
    at = 0 if body.startswith(line) else body.find(b"\r\n" + line) + 2
    if at == 1:
        raise _malformed("its boundary does not stand in it")
    for _ in range(MAX_PARTS):
        at += len(line)
        if body.startswith(b"--", at):
            return
        start = body.find(b"\r\n", at, at + 80)
        head_end = body.find(b"\r\n\r\n", start, start + MAX_HEAD_BYTES) if start >= 0 else -1
        if head_end < 0 or body[at:start].strip(b" \t"):
            raise _malformed(f"a part has no head, or one of more than {MAX_HEAD_BYTES:,} bytes")
        stop = body.find(b"\r\n" + line, head_end + 4)
        if stop < 0:
            raise _malformed("it ends in the middle of a part")
        yield body[start:head_end], body[head_end + 4 : stop]
        at = stop + 2
    raise _malformed(f"it has more than {MAX_PARTS:,} parts")


def _described(head: bytes) -> tuple[str, bool]:
    """A part's name, and whether it is a file."""
    headers = dict(line.partition(b":")[::2] for line in head.split(b"\r\n"))
    values = {name.strip().lower(): value.strip() for name, value in headers.items()}
    if values.get(b"content-transfer-encoding", b"").lower() not in _PLAIN:
        raise _malformed("a part is encoded for mail")
    given = {
        name.lower(): re.sub(rb'\\(["\\])', rb"\1", quoted) or plain
        for name, quoted, plain in _PARAMETER.findall(values.get(b"content-disposition", b""))
    }
    name = given.get(b"name", b"").decode("utf-8", "surrogateescape")
    if not name:
        raise _malformed("a part has no name")
    return name, b"filename" in given or b"filename*" in given


def _malformed(why: str) -> ServerError:
    return refuse(BAD_ARGUMENTS, f"the body is not multipart/form-data: {why}")


def external_tables(raw: Mapping[str, str], files: Mapping[str, bytes]) -> list[ExternalTable]:
    """Uploaded files as tables, described by NAME_structure or NAME_types and NAME_format."""
    tables = []
    for name, data in files.items():
        structure = raw.get(f"{name}_structure", "")
        types = raw.get(f"{name}_types", "")
        if not structure and types:
            structure = ", ".join(f"_{index + 1} {kind}" for index, kind in enumerate(types.split(",")))
        if not structure:
            raise refuse(BAD_ARGUMENTS, f"external table {name!r} has no {name}_structure")
        tables.append(ExternalTable(name, structure, raw.get(f"{name}_format", "TabSeparated"), data))
    return tables
