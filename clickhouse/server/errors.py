"""ClickHouse's errors: their codes, their texts and the HTTP status that each one travels with."""

from __future__ import annotations

import re
from dataclasses import dataclass

CANNOT_READ_ALL_DATA = 33
BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
QUERY_IS_TOO_LARGE = 66
UNKNOWN_FORMAT = 73
INCORRECT_DATA = 117
READONLY = 164
TOO_MANY_SIMULTANEOUS_QUERIES = 202
ABORTED = 236
INTO_OUTFILE_NOT_ALLOWED = 358
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
AUTHENTICATION_FAILED = 516
REQUIRED_PASSWORD = 194
ACCESS_DENIED = 497
SYNTAX_ERROR = 62
QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
NOT_ENOUGH_SPACE = 243
SOCKET_TIMEOUT = 209
UNKNOWN_EXCEPTION = 1002

_NAMES = {
    CANNOT_READ_ALL_DATA: "CANNOT_READ_ALL_DATA",
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    QUERY_IS_TOO_LARGE: "QUERY_IS_TOO_LARGE",
    UNKNOWN_FORMAT: "UNKNOWN_FORMAT",
    INCORRECT_DATA: "INCORRECT_DATA",
    READONLY: "READONLY",
    TOO_MANY_SIMULTANEOUS_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    ABORTED: "ABORTED",
    INTO_OUTFILE_NOT_ALLOWED: "INTO_OUTFILE_NOT_ALLOWED",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    REQUIRED_PASSWORD: "REQUIRED_PASSWORD",
    ACCESS_DENIED: "ACCESS_DENIED",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    NOT_ENOUGH_SPACE: "NOT_ENOUGH_SPACE",
    SOCKET_TIMEOUT: "SOCKET_TIMEOUT",
    UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
}

#: Code -> HTTP status, as ClickHouse's HTTP interface answers. Everything else is 500.
_STATUS = {
    REQUIRED_PASSWORD: 401,
    **dict.fromkeys((192, 193, AUTHENTICATION_FAILED, ACCESS_DENIED, 512), 403),
    # what the client sent cannot be parsed or does not fit
    **dict.fromkeys(
        (
            6,
            8,
            15,
            25,
            26,
            27,
            33,
            36,
            38,
            41,
            43,
            44,
            53,
            62,
            72,
            117,
            167,
            168,
            223,
            224,
            321,
            376,
            407,
            427,
            441,
            442,
        ),
        400,
    ),
    # unknown table, function, identifier, type, storage, database, setting, format …
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 161, 336, 511), 404),
    QUERY_IS_TOO_LARGE: 413,
    NOT_IMPLEMENTED: 501,
    **dict.fromkeys((76, 209, 439), 503),
    381: 411,
    159: 408,
}

_CODE = re.compile(r"Code: (\d+)\. ")
#: The engine adds its version to some errors; the server adds it to all.
_VERSION = re.compile(r" \(version [^()]*\)\s*\Z")
#: An error that the engine's client wraps once more: its own code and text stand twice.
_TWICE = re.compile(
    r"\ACode: (\d+)\. DB::Exception: (?=Code: \1\. )(.*) \(version [^()]*\)\. \([A-Z0-9_]+\)\s*\Z", re.DOTALL
)
#: Where INSERT data came from is the server's own affair.
_SPOOL = re.compile(
    r":? ?\(in file/uri /proc/self/fd/\d+\)|: While executing File(?:: data for INSERT was parsed from file)?"
)


@dataclass
class ServerError(Exception):
    """An error in ClickHouse's own terms; ``text`` is the whole ``Code: N. DB::Exception: … (NAME)`` line."""

    code: int
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def status(self) -> int:
        """The HTTP status of this error."""
        return _STATUS.get(self.code, 500)


def refuse(code: int, message: str) -> ServerError:
    """An error that the server itself raises, worded as the engine words its own."""
    return ServerError(code, f"Code: {code}. DB::Exception: {message} ({_NAMES[code]})")


def from_engine(error: BaseException) -> ServerError:
    """The engine raises RuntimeError with ClickHouse's text: read the code out of it."""
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return refuse(UNKNOWN_EXCEPTION, text or type(error).__name__)
    text = _SPOOL.sub("", _TWICE.sub(r"\2", text[found.start() :]))
    return ServerError(int(found[1]), _VERSION.sub("", text))
