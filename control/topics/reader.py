"""What the service reads besides answers: commands, heartbeats and audit, first to their ends, then as they grow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mevflow.control.topics.offsets import bounds
from mevflow.flows.steering.protocol import AUDIT, COMMANDS, HEARTBEATS
from mevflow.flows.steering.signatures import Headers
from mevflow.kafka.security import reach
from mevflow.operators.errors import UnreachableError

#: Of topics that only grow in number the newest records are read: topic -> how many.
_NEWEST = {AUDIT: 100_000, HEARTBEATS: 5_000}
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record; ``live`` when it was written after the reader began."""

    topic: str
    offset: int
    time_ms: int
    value: bytes
    live: bool
    key: bytes | None = None
    headers: Headers = None


async def moving(done: asyncio.Event, place: Callable[[], int], seconds: float) -> None:
    """Wait for ``done`` for as long as ``place`` moves. Raises TimeoutError when it has not for ``seconds``."""
    while True:
        before = place()
        try:
            await asyncio.wait_for(done.wait(), seconds)
            return
        except TimeoutError:
            if place() == before:
                raise


class TopicReader:
    """A thread with one consumer, without a group. ``take`` is called in the event loop with records in order."""

    def __init__(self, bootstrap: str, name: str, take: Callable[[list[TopicRecord]], None]) -> None:
        from confluent_kafka import Consumer

        self._bootstrap, self._take = bootstrap, take
        self._loop = asyncio.get_running_loop()
        self._consumer = Consumer(
            {
                **reach(bootstrap),
                "client.id": name,
                "group.id": name,  # librdkafka wants a name; nothing is committed under it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 2,
                "fetch.error.backoff.ms": 50,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._ends: dict[str, int] = {}
        self._at: dict[str, int] = {}
        self._caught_up = asyncio.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control-reader", daemon=True)

    async def start(self, seconds: float) -> None:
        """Begin, and wait until everything that is there now has been taken.

        Raises UnreachableError when nothing has come for ``seconds``, UsageError for a topic that is not there.
        """
        await asyncio.to_thread(self._assign, seconds)
        self._thread.start()
        try:
            await moving(self._caught_up, lambda: sum(self._at.values()), seconds)
        except TimeoutError:
            raise UnreachableError(
                f"the control topics cannot be read at {self._bootstrap}: nothing has come for {seconds:g} s",
                hint="mevflow broker status",
            ) from None

    def _assign(self, seconds: float) -> None:
        from confluent_kafka import TopicPartition

        places = []
        for topic in (COMMANDS, HEARTBEATS, AUDIT):
            begin, end = bounds(self._consumer, self._bootstrap, topic, seconds)[0]
            start = max(begin, end - _NEWEST[topic]) if topic in _NEWEST else begin
            places.append(TopicPartition(topic, 0, start))
            self._ends[topic], self._at[topic] = end, start
        self._consumer.assign(places)

    def _run(self) -> None:
        waiting = True
        while not self._stop.is_set():
            first = self._consumer.poll(0.05)
            messages = [first, *self._consumer.consume(_BATCH, 0)] if first is not None else []
            records = [record for message in messages if (record := self._record(message)) is not None]
            if records:
                self._loop.call_soon_threadsafe(self._take, records)
            if waiting and not self._behind():
                waiting = False
                self._loop.call_soon_threadsafe(self._caught_up.set)

    def _behind(self) -> bool:
        """Whether a topic is yet to be read to where it ended at the start (compaction never takes the last record)."""
        return any(at < self._ends[topic] for topic, at in self._at.items())

    def _record(self, message: Any) -> TopicRecord | None:
        if message.error() is not None:
            return None  # librdkafka connects again by itself
        topic, offset = message.topic(), message.offset()
        self._at[topic] = offset + 1
        value = message.value()
        if value is None:
            return None
        return TopicRecord(
            topic, offset, message.timestamp()[1], value, offset >= self._ends[topic], message.key(), message.headers()
        )

    def close(self) -> None:
        """Stop reading. Blocks."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()
