"""How a network that knows service classes should treat the hub's packets: DSCP (RFC 2474, RFC 4594)."""

from __future__ import annotations

import socket

from mevflow.operators.errors import UsageError

#: Code points by name: default, class selectors, assured forwarding (class 1 to 4, drop 1 to 3), expedited, voice.
CODES = {
    "df": 0,
    **{f"cs{number}": 8 * number for number in range(8)},
    **{f"af{high}{low}": 8 * high + 2 * low for high in range(1, 5) for low in range(1, 4)},
    "va": 44,
    "ef": 46,
    "le": 1,
}


def code_point(text: str) -> int | None:
    """A code point by name (``EF``, ``AF41``, ``CS5``) or number (0 to 63); empty: None, packets are left alone.

    Raises UsageError.
    """
    text = text.strip().lower()
    if not text:
        return None
    if text in CODES:
        return CODES[text]
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < 64:
        return int(text)
    raise UsageError(f"{text[:20]!r} is no DSCP", hint="0 to 63, EF, AF11 to AF43, CS0 to CS7", key="dscp")


def mark(connection: socket.socket, code: int | None) -> None:
    """Mark what a socket sends; connections that a listening one accepts inherit it."""
    if code is None:
        return
    if connection.family == socket.AF_INET6:
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, code << 2)
    elif connection.family == socket.AF_INET:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, code << 2)
