"""The same fan-out with the ``websockets`` library: one message a frame, ``broadcast`` to everyone."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, broadcast, serve

from mevflow.bench.peers.websocket_clients import COLUMNS, MESSAGES

#: Messages that may be on their way to a client: the library's broadcast has no limit of its own.
WINDOW = 2_000
STRIDE = 50


def run(messages: list[bytes], clients: int, seconds: float, port: Any, shared: Any, sent: Any) -> None:
    """Entry point of the process: serve, wait for everyone, broadcast for ``seconds``, say how many were sent."""
    counters = np.frombuffer(shared, np.int64).reshape(-1, COLUMNS)
    asyncio.run(_run(messages, clients, seconds, port, counters, sent))


async def _run(messages: list[bytes], clients: int, seconds: float, port: Any, counters: np.ndarray, sent: Any) -> None:
    connections: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port.value = next(iter(server.sockets)).getsockname()[1]
        while len(connections) < clients:
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        end, count = loop.time() + seconds, 0
        while loop.time() < end:
            if count - int(counters[:, MESSAGES].min()) > WINDOW:
                await asyncio.sleep(0.0005)
                continue
            for _ in range(STRIDE):
                broadcast(connections, messages[count % len(messages)])
                count += 1
            await asyncio.sleep(0)
        sent.value = count
        while int(counters[:, MESSAGES].min()) < count:
            await asyncio.sleep(0.01)
        for connection in list(connections):
            await connection.close()
