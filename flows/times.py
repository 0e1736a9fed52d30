"""Times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mevflow.operators.errors import UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)\Z")
_UNIT_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def time_us(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time (UTC unless it says otherwise) or of a number of seconds.

    >>> time_us("2022-04-06T06:00Z")
    1649224800000000
    """
    try:
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return round(float(text) * 1_000_000)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time", hint="2022-04-06T06:00Z, or seconds since 1970") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def duration_us(text: str) -> int:
    """Microseconds of ``90s``, ``15m``, ``6h``, ``2d`` or ``250ms``.

    >>> duration_us("15m")
    900000000
    """
    match = _DURATION.match(text)
    if match is None:
        raise UsageError(f"{text!r} is not a duration", hint="90s, 15m, 6h, 2d")
    return round(float(match[1]) * _UNIT_US[match[2]])


def iso(us: int) -> str:
    """The ISO 8601 form, UTC, as short as it is exact.

    >>> iso(1649224800000000)
    '2022-04-06T06:00:00Z'
    """
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat().replace("+00:00", "Z")
