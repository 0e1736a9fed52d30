"""multipart/form-data bodies: query parameters that are too long for a URL, and external tables."""

from __future__ import annotations

from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP

from mevflow.clickhouse.server.errors import BAD_ARGUMENTS, ServerError, refuse
from mevflow.clickhouse.server.execute import ExternalTable


def parse_form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Plain fields and uploaded files by name. Raises ServerError when the body is not multipart."""
    try:
        return _parts(content_type, body)
    except ServerError:
        raise
    except Exception:  # the parser of mail heads raises whatever comes: RecursionError, IndexError, LookupError
        raise refuse(BAD_ARGUMENTS, "the multipart body has a part whose head cannot be read") from None


def _parts(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise refuse(BAD_ARGUMENTS, "the body is not multipart/form-data as its Content-Type says")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise refuse(BAD_ARGUMENTS, "a part of the multipart body has no name")
        if part.get_filename() is None:
            fields[name] = content.decode("utf-8", "surrogateescape")
        else:
            files[name] = content
    return fields, files


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
