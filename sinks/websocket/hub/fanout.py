"""Blocks in, frames out: the hub's one loop.

Blocks of a channel that arrive within ``batch_ms`` of the last flush go out together; after a quiet spell a block goes
out at once. The loop gives way to the transports every ``SLICE_S``, so that a burst does not look like slow clients.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from mevflow.metrics.page import Page
from mevflow.sinks.websocket.hub.client import Client, Patience
from mevflow.sinks.websocket.hub.filters import Filter
from mevflow.sinks.websocket.hub.frames import Body, bodies
from mevflow.sinks.websocket.hub.groups import Group, Groups
from mevflow.sinks.websocket.hub.wire import FeedBlock

SLICE_S = 0.002

#: Feeds wait while this many messages, or bytes of them, are not yet sent on.
MAX_PENDING, MAX_PENDING_BYTES = 50_000, 64 << 20


@dataclass(frozen=True, slots=True)
class Batching:
    """How messages are put together."""

    batch_ms: float = 5.0
    max_messages: int = 100
    max_bytes: int = 256 << 10


class Fanout:
    """Every client and what is on its way to them."""

    def __init__(self, batching: Batching, patience: Patience) -> None:
        self.batching, self.patience = batching, patience
        self.groups: Groups[Client] = Groups()
        self.clients: set[Client] = set()
        self.received = self.delivered = self.lost = 0
        self._gone_sent = self._gone_dropped = self._stalled = 0
        self._gone_dropped_by: Counter[str] = Counter()
        self._pending: dict[str, list[FeedBlock]] = {}
        self._pending_rows = self._pending_bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def subscribe(self, client: Client, wanted: Filter) -> None:
        """Give a client a filter, its first or another one."""
        client.wanted = wanted
        self.groups.join(client, wanted)
        self.clients.add(client)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self.clients.discard(client)
        self.groups.leave(client)
        self._gone_sent += client.sent
        self._gone_dropped += client.dropped_total
        self._gone_dropped_by.update(client.dropped_by)

    async def publish(self, block: FeedBlock) -> None:
        """Take a block; waits while too much is pending, which holds back only its feed."""
        await self._room.wait()
        self._pending.setdefault(block.channel, []).append(block)
        self._pending_rows += block.rows.num_rows
        self._pending_bytes += block.rows.nbytes
        self.received += block.rows.num_rows
        self.lost += block.lost
        self._arrived.set()
        if self._pending_rows >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES:
            self._room.clear()

    async def run(self) -> None:
        """Send what arrives, for ever."""
        wait_s = self.batching.batch_ms / 1000
        last = 0.0
        while True:
            await self._arrived.wait()
            rest = last + wait_s - time.monotonic()
            if rest > 0 and self._pending_rows < self.batching.max_messages:
                await asyncio.sleep(rest)
            last = time.monotonic()
            await self._flush()

    async def watch(self) -> None:
        """Close clients that stall, for ever."""
        while True:
            await asyncio.sleep(min(1.0, self.patience.stalled_s / 4))
            now = time.monotonic()
            for client in list(self.clients):
                self._stalled += client.close_if_stalled(now)

    async def _flush(self) -> None:
        pending, self._pending = self._pending, {}
        self._pending_rows = self._pending_bytes = 0
        self._arrived.clear()
        self._room.set()
        yielded = time.monotonic()
        for channel, blocks in pending.items():
            self._tell_of_losses(channel, sum(block.lost for block in blocks))
            rows = blocks[0].rows
            if len(blocks) > 1:
                table = pa.Table.from_batches([block.rows for block in blocks])
                rows = table.combine_chunks().to_batches()[0]
            for group, frames in self.groups.select(channel, rows):
                for body in bodies(frames, self.batching.max_messages, self.batching.max_bytes):
                    self._send(group, body)
                    now = time.monotonic()
                    if now - yielded > SLICE_S:
                        await asyncio.sleep(0)
                        yielded = time.monotonic()

    def _send(self, group: Group[Client], body: Body) -> None:
        for client in group.clients:
            client.offer(body)

    def _tell_of_losses(self, channel: str, lost: int) -> None:
        """What a feed dropped has no rows any more, so it counts for everyone who has the channel."""
        if lost:
            for client in self.clients:
                if not client.wanted.channels or channel in client.wanted.channels:
                    client.missed(lost)

    def tell(self, page: Page) -> None:
        """Put clients, messages and losses. Called by another thread."""
        clients = list(self.clients)
        waiting = [client.waiting() for client in clients]
        dropped = Counter(self._gone_dropped_by)
        for client in clients:
            dropped.update(client.dropped_by)
        page.put("mevflow_websocket_clients", len(clients))
        page.put("mevflow_websocket_slow_clients", sum(client.paused for client in clients))
        page.put("mevflow_websocket_received_messages", self.received)
        page.put("mevflow_websocket_sent_messages", self._gone_sent + sum(client.sent for client in clients))
        for reason in ("feed", "full", "old"):
            page.put("mevflow_websocket_dropped_messages", dropped[reason], reason=reason)
        page.put("mevflow_websocket_stalled_clients", self._stalled)
        page.put("mevflow_websocket_queued_messages", sum(messages for messages, _ in waiting))
        page.put("mevflow_websocket_queued_bytes", sum(size for _, size in waiting))

    def totals(self) -> dict[str, int]:
        """Messages received, lost by feeds, sent to and dropped for clients, since the hub started."""
        return {
            "received": self.received,
            "lost": self.lost,
            "sent": self._gone_sent + sum(client.sent for client in self.clients),
            "dropped": self._gone_dropped + sum(client.dropped_total for client in self.clients),
        }
