"""A hub of a test's own, swaps to send through it, and clients of an independent library that read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from websockets.asyncio.client import ClientConnection, connect

from mevflow.operators.codec import codec
from mevflow.processes.addresses import free_port
from mevflow.sinks.websocket.hub import HubStatus, hub_status, start_hub, stop_hub
from mevflow.v1.market_pb2 import Swap
from mevflow.v1.realtime_pb2 import RealtimeBatch


class RunningHub:
    """Where a test's hub is, and how to bring it back after a stop."""

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        self.port = free_port()
        self.var = folder
        self.path = folder / "h.sock"
        self.options = options

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def start(self, **more: Any) -> HubStatus:
        return start_hub("127.0.0.1", self.port, self.var, path=self.path, options=self.options, **more)

    def stop(self) -> bool:
        return stop_hub(self.port, self.path)

    @property
    def status(self) -> HubStatus | None:
        return hub_status(self.port, self.path)


def swaps(count: int, pools: int = 4, first: int = 0) -> pa.RecordBatch:
    """Swaps that differ: swap ``i`` has slot ``i`` and pool ``i % pools``."""
    values = [
        Swap(slot=i, pool=pool(i % pools), timestamp_us=1_000 + i).SerializeToString()
        for i in range(first, first + count)
    ]
    return codec("mevflow.v1.Swap").decode(pa.array(values, pa.binary()))


def pool(number: int) -> bytes:
    return bytes([number]) * 32


class Taken:
    """What a client got: slots in order, and what it was told to have missed."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.sequences: list[int] = []
        self.dropped = 0
        self.dropped_total = 0
        self.channels: set[str] = set()

    def add(self, data: bytes) -> None:
        batch = RealtimeBatch.FromString(data)
        self.sequences.append(batch.sequence)
        self.dropped += batch.dropped
        self.dropped_total = max(self.dropped_total, batch.dropped_total)
        self.slots += [Swap.FromString(message.payload).slot for message in batch.messages]
        self.channels |= {message.channel for message in batch.messages}

    @property
    def known(self) -> int:
        """Messages received or known to be missed."""
        return len(self.slots) + self.dropped


async def take(client: ClientConnection, known: int, seconds: float = 10) -> Taken:
    """Read until ``known`` messages are accounted for."""
    taken = Taken()
    async with asyncio.timeout(seconds):
        while taken.known < known:
            data = await client.recv()
            assert isinstance(data, bytes)
            taken.add(data)
    return taken


@asynccontextmanager
async def subscribed(url: str, **more: Any) -> AsyncIterator[ClientConnection]:
    """An independent client library's connection, once its subscription is in force."""
    async with connect(url, max_size=None, compression=None, **more) as client:
        first = RealtimeBatch.FromString(await client.recv())
        assert (first.sequence, len(first.messages)) == (1, 0)
        yield client
