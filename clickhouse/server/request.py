"""One request in the terms of the HTTP interface: the URL's parameters sorted into what they mean."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from mevflow.clickhouse.server.errors import BAD_ARGUMENTS, refuse
from mevflow.clickhouse.server.sessions import DEFAULT_TIMEOUT_S

#: Parameters of the interface itself, and settings that only its HTTP side looks at.
_RESERVED = frozenset(
    (
        "query",
        "database",
        "user",
        "password",
        "quota_key",
        "role",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "query_id",
        "default_format",
        "compress",
        "decompress",
        "wait_end_of_query",
        "buffer_size",
        "stacktrace",
        "client_protocol_version",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
        "http_write_exception_in_output_format",
    )
)
#: How long a query waits for the one that it replaces: ClickHouse's default.
_REPLACE_PATIENCE_MS = 5000.0
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: More parameters than a statement can need, and the largest number that one can be.
_MOST_PARAMETERS = 10_000
_MOST = 1 << 30
_TRUE = frozenset(("1", "true", "True"))


@dataclass(frozen=True)
class Request:
    """What a request asks for besides its body."""

    method: str
    path: str
    target: str = ""
    query: str = ""
    database: str = ""
    session_id: str = ""
    session_timeout_s: float = DEFAULT_TIMEOUT_S
    session_check: bool = False
    query_id: str = ""
    replaces_within_s: float | None = None  # another query of this id gives way in so long; None: it does not
    protocol_version: int = 0
    named: bool = False  # the caller chose ``query_id``
    default_format: str = "TabSeparated"
    wait_end: bool = False
    compress: bool = False
    buffer_bytes: int = 1 << 20
    params: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)


def parse_request(method: str, target: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Request:
    """Read the request line and headers; ``form`` holds the plain fields of a multipart body. Raises ServerError."""
    path, _, text = target.partition("?")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise refuse(BAD_ARGUMENTS, f"the URL has more than {_MOST_PARAMETERS} parameters") from None
    raw = dict(pairs) | dict(form)
    for name in ("compress", "decompress"):
        if raw.get(name) in _TRUE:
            raise refuse(
                BAD_ARGUMENTS,
                f"{name}=1 (ClickHouse's own block compression) is not supported by the embedded server; "
                "use Content-Encoding and Accept-Encoding",
            )
    settings = {}
    params = {}
    for name, value in raw.items():
        if name.startswith("param_"):
            params[name[6:]] = value
        elif name not in _RESERVED and not _of_external_data(name, raw):
            if not _SETTING.match(name):
                raise refuse(BAD_ARGUMENTS, f"{name!r} is not the name of a setting")
            settings[name] = value
    return Request(
        method=method,
        path=path,
        target=target,
        query=raw.get("query", ""),
        database=raw.get("database", "") or headers.get("X-ClickHouse-Database", ""),
        session_id=raw.get("session_id", ""),
        session_timeout_s=_number(raw, "session_timeout", DEFAULT_TIMEOUT_S),
        session_check=raw.get("session_check") in _TRUE,
        query_id=raw.get("query_id", "") or str(uuid.uuid4()),
        replaces_within_s=_replaces_within_s(settings),
        protocol_version=int(_number(raw, "client_protocol_version", 0)),
        named=bool(raw.get("query_id")),
        default_format=raw.get("default_format", "") or headers.get("X-ClickHouse-Format", "") or "TabSeparated",
        wait_end=raw.get("wait_end_of_query") in _TRUE,
        compress=raw.get("enable_http_compression") in _TRUE,
        buffer_bytes=int(_number(raw, "buffer_size", 0 if "wait_end_of_query" in raw else 1 << 20)),
        params=params,
        settings=settings,
        raw=raw,
    )


def _replaces_within_s(settings: Mapping[str, str]) -> float | None:
    if settings.get("replace_running_query", "0") in ("0", "false", ""):
        return None
    return _number(settings, "replace_running_query_max_wait_ms", _REPLACE_PATIENCE_MS) / 1000


def _of_external_data(name: str, raw: Mapping[str, str]) -> bool:
    """``NAME_structure``, ``NAME_types`` and ``NAME_format`` describe the uploaded table NAME."""
    base, _, kind = name.rpartition("_")
    return kind in ("structure", "types", "format") and (f"{base}_structure" in raw or f"{base}_types" in raw)


def _number(raw: Mapping[str, str], name: str, default: float) -> float:
    try:
        number = float(raw.get(name, default))
    except ValueError:
        number = math.nan
    if not 0 <= number <= _MOST:
        raise refuse(BAD_ARGUMENTS, f"{name} must be a number from 0 to {_MOST}, not {raw[name]!r}")
    return number
