"""Bytes of a TLS client to a socket that the hub can have, and back.

Only the process that shook hands can read a TLS connection. So the hub gets one end of a plain connection on loopback,
and this carries bytes between its other end and the client. Neither side is read while the other does not take what
was read, so the hub sees a slow client as slow.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

_HIGH_BYTES = 256 << 10


class Tunnel(asyncio.Protocol):
    """One side; ``other`` is the transport that gets what this one reads."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended
        self.other: Any = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_BYTES)

    def data_received(self, data: bytes) -> None:
        self.other.write(data)

    def pause_writing(self) -> None:
        self.other.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.is_closing():
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self.other.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback. Raises OSError, also when someone else came in between."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listening:
        near = socket.create_connection(listening.getsockname(), timeout=1.0)
        listening.settimeout(1.0)
        far, peer = listening.accept()
    if peer != near.getsockname():
        near.close()
        far.close()
        raise ConnectionError("another process took the connection")
    near.setblocking(False)
    return near, far


async def carry(outer: Any, near: socket.socket) -> None:
    """Carry bytes between the client's transport and ``near`` until either side ends."""
    ended = asyncio.Event()
    outside, inside = Tunnel(ended), Tunnel(ended)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: inside, sock=near)
    inside.other, outside.other = outer, transport
    outside.connection_made(outer)
    outer.set_protocol(outside)
    outer.resume_reading()
    try:
        await ended.wait()
    finally:
        transport.close()
        outer.close()
