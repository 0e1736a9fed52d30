"""A client of the hub for scripts: ``async for batch in listen(host, port, channels, pools)``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlencode

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from mevflow.operators.errors import UnreachableError
from mevflow.v1.realtime_pb2 import RealtimeBatch

#: Frames read ahead; beyond it reading pauses, and the hub counts what is missed.
READ_AHEAD = 256


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
    host: str, port: int, channels: Iterable[str] = (), pools: Iterable[bytes] = ()
) -> AsyncIterator[RealtimeBatch]:
    """Batches until the hub closes the connection. Raises UnreachableError when none answers or it refuses."""
    chosen = {"channels": ",".join(channels), "pools": ",".join(f"0x{pool.hex()}" for pool in pools)}
    query = urlencode({key: value for key, value in chosen.items() if value})
    url = f"ws://{host}:{port}/ws" + (f"?{query}" if query else "")
    try:
        transport, reader = await ws_connect(_Reader, url)
    except (OSError, WSError) as error:
        raise UnreachableError(
            f"no hub answers at {host}:{port}: {error}", hint="mevflow hub start, or deploy a topology"
        ) from error
    assert isinstance(reader, _Reader)
    try:
        while (data := await reader.frames.get()) is not None:
            if reader.frames.qsize() < READ_AHEAD // 2:
                transport.underlying_transport.resume_reading()
            yield RealtimeBatch.FromString(data)
    finally:
        transport.disconnect()
