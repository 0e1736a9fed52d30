"""A client of the hub for scripts: ``async for batch in listen(LiveDoor(host, port), channels, pools)``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from mevflow.operators.errors import UnreachableError
from mevflow.v1.realtime_pb2 import RealtimeBatch

#: Frames read ahead; beyond it reading pauses, and the hub counts what is missed.
READ_AHEAD = 256


@dataclass(frozen=True, slots=True)
class LiveDoor:
    """Where live messages are had: the hub's own port, or with a ``token`` the gateway's. ``context``: TLS."""

    host: str
    port: int
    token: str = field(default="", repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Both doors answer here."""
        return f"{'wss' if self.context else 'ws'}://{self.host}:{self.port}/api/realtime/ws"


class _Reader(WSListener):
    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.frames.put_nowait(frame.get_payload_as_bytes())
            if self.frames.qsize() >= READ_AHEAD:
                transport.underlying_transport.pause_reading()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.frames.put_nowait(None)


async def listen(
    door: LiveDoor, channels: Iterable[str] = (), pools: Iterable[bytes] = ()
) -> AsyncIterator[RealtimeBatch]:
    """Batches until the connection is closed. Raises UnreachableError when nobody answers or the client is refused."""
    chosen = {"channels": ",".join(channels), "pools": ",".join(f"0x{pool.hex()}" for pool in pools)}
    query = urlencode({key: value for key, value in chosen.items() if value})
    headers = {"Authorization": f"Bearer {door.token}"} if door.token else {}
    try:
        transport, reader = await ws_connect(
            _Reader, f"{door.url}?{query}" if query else door.url, extra_headers=headers, ssl_context=door.context
        )
    except (OSError, WSError) as error:
        raise UnreachableError(
            f"no live messages at {door.host}:{door.port}: {error}",
            hint="mevflow hub start, or deploy a topology; where callers are authenticated: --token-file",
        ) from error
    assert isinstance(reader, _Reader)
    try:
        while (data := await reader.frames.get()) is not None:
            if reader.frames.qsize() < READ_AHEAD // 2:
                transport.underlying_transport.resume_reading()
            yield RealtimeBatch.FromString(data)
    finally:
        transport.disconnect()
