"""uvicorn's HTTP protocol with bounds on what comes before anybody is known: heads, connections of a peer, and time.

httptools keeps a URL or a header until it is complete, however long it is, and copies it anew for each piece.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mevflow.control.auth.tls import name_of
from mevflow.control.gateway.door import tunnel
from mevflow.control.gateway.door.corked import Corked

MAX_HEAD = 32 << 10
MAX_HEADERS = 100
MAX_URL = 8 << 10
#: Seconds for a whole head.
HEAD_S = 10.0
#: Connections of one address, of the 2,000 that there are in all.
MAX_OF_PEER = 1_000
_PIECE = 16 << 10


#: The ASGI extension that holds a WebSocket's HandedOver.
HANDOVER = "mevflow.handover"

#: Open connections by address, of this process.
PEERS: Counter[str] = Counter()


class HeadTooLargeError(ValueError):
    """Raised into the parser, which gives up then."""


class BoundedHttp(HttpToolsProtocol):
    """Also says whose certificate a TLS client showed, and sends a small answer in one piece."""

    _head_timer: asyncio.TimerHandle | None = None
    _unread = 0
    _peer = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]
        self._extensions: dict[str, dict[object, object]] = {"mevflow.tls": tls_of(transport)}
        self._peer = _enter(self.client)
        if PEERS[self._peer] > MAX_OF_PEER:
            self._refuse("503 Service Unavailable")
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        _leave(self._peer)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._head_came()
        super().handle_websocket_upgrade()
        _leave(self._peer)  # the transport is the other protocol's now

    def data_received(self, data: bytes) -> None:
        """Feed the parser in pieces, and look after each how much it holds that it has made nothing of."""
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing() or self.parser is None:
                return
            piece = data[start : start + _PIECE] if len(data) > _PIECE else data
            self._unread += len(piece)
            super().data_received(piece)
            if self._unread > MAX_HEAD:
                self._refuse("431 Request Header Fields Too Large")
                return

    def _refuse(self, status: str) -> None:
        self._head_came()
        head = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode())
        self.transport.close()

    def _await_head(self) -> None:
        self._head_came()
        self._head_timer = self.loop.call_later(HEAD_S, self._head_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        if not self.transport.is_closing():
            self._refuse("408 Request Timeout")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._unread = 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL:
            raise HeadTooLargeError("url")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:  # trailers count too
            raise HeadTooLargeError("headers")

    def on_headers_complete(self) -> None:
        self._head_came()
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)


class WebSockets(WebSocketsSansIOProtocol):
    """Also says whose certificate a TLS client showed, and can give its connection to another process."""

    _peer = ""
    #: Whether the connection is another process's now.
    handed = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._peer = _enter(self.client)

    def shutdown(self) -> None:
        if not self.handed:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        _leave(self._peer)
        super().connection_lost(exc)

    async def run_asgi(self) -> None:
        self.scope["extensions"]["mevflow.tls"] = tls_of(self.transport)
        self.scope["extensions"][HANDOVER] = {"connection": HandedOver(self)}
        await super().run_asgi()


class HandedOver:
    """A WebSocket client's connection, before its handshake is answered, on its way to another process."""

    def __init__(self, protocol: WebSockets) -> None:
        self._protocol = protocol
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def handle(self) -> int:
        """What to send; nothing is read here any more. Then either ``keep`` or ``release``. Raises OSError."""
        transport: Any = self._protocol.transport
        transport.pause_reading()
        if transport.get_extra_info("ssl_object") is None:
            return int(transport.get_extra_info("socket").fileno())
        self._ends = tunnel.pair()
        return self._ends[1].fileno()

    def keep(self) -> None:
        """It was not taken."""
        for end in self._ends or ():
            end.close()
        self._protocol.transport.resume_reading()

    def release(self) -> None:
        """The other process has it."""
        self._protocol.handed = True
        self._protocol.handshake_complete = True  # by the other process: nothing is to be said here
        if self._ends is None:
            self._protocol.transport.close()
        else:
            self._ends[1].close()

    async def carry(self) -> None:
        """Until nothing of it passes here any more; bytes of a TLS client are carried meanwhile."""
        if self._ends is not None:
            await tunnel.carry(self._protocol.transport, self._ends[0])
            self._protocol.connection_lost(None)


def _enter(client: tuple[str, int] | None) -> str:
    """Count a connection; gives its address."""
    peer = client[0] if client else ""
    PEERS[peer] += 1
    return peer


def _leave(peer: str) -> None:
    PEERS[peer] -= 1
    if PEERS[peer] <= 0:
        del PEERS[peer]


def tls_of(transport: Any) -> dict[object, object]:
    """The name in a TLS client's certificate."""
    return {"name": name_of(transport.get_extra_info("peercert"))}
