"""The hub's end of the feeds: shards that send blocks, and commands that ask or stop."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from mevflow.sinks.websocket.hub.fanout import Fanout
from mevflow.sinks.websocket.hub.wire import MAX_RECORD_BYTES, RECORD, Kind, pack, unpack_block

_log = logging.getLogger("mevflow.hub")

#: What is read ahead of a feed before it is held back.
READ_AHEAD_BYTES = 1 << 20


class Feeds:
    """Everyone connected to the hub's local socket."""

    def __init__(self, fanout: Fanout, status: Callable[[], dict[str, Any]], stop: Callable[[], None]) -> None:
        self._fanout, self._status, self._stop = fanout, status, stop
        self._feeds: dict[int, dict[str, Any]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._feeds)

    def describe(self) -> list[dict[str, Any]]:
        """For the status page: what each feed said of itself, and what it sent."""
        return list(self._feeds.values())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first record to its end."""
        number = self._next = self._next + 1
        try:
            while True:
                length, kind = RECORD.unpack(await reader.readexactly(RECORD.size))
                if length > MAX_RECORD_BYTES:
                    raise ValueError(f"a record of {length} bytes")
                payload = await reader.readexactly(length)
                await self._take(number, kind, payload, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a feed that ends, or dies, just goes
        except (ValueError, EOFError, struct.error, pa.ArrowException, msgspec.DecodeError, OSError) as error:
            _log.warning("closed a connection that sent what is no record: %s", error)
        finally:
            self._feeds.pop(number, None)
            writer.close()

    async def _take(self, number: int, kind: int, payload: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == Kind.BLOCK:
            block = unpack_block(payload)
            feed = self._feeds.setdefault(number, {"messages": 0, "lost": 0})
            feed["messages"] += block.rows.num_rows
            feed["lost"] += block.lost
            await self._fanout.publish(block)
        elif kind == Kind.HELLO:
            self._feeds[number] = {**msgspec.json.decode(payload, type=dict[str, Any]), "messages": 0, "lost": 0}
        elif kind == Kind.STATUS:
            writer.write(pack(Kind.STATUS, msgspec.json.encode(self._status())))
            await writer.drain()
        elif kind == Kind.STOP:
            writer.write(pack(Kind.STOP, msgspec.json.encode({"stopping": True})))
            await writer.drain()
            self._stop()
        else:
            raise ValueError(f"kind {kind}")
