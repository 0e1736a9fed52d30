"""``kafka.source``: a topic's partitions as columnar batches, aligned in chain time, live or bounded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from mevflow.operators.codec import RAW
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.stage import CAUGHT_UP_US, Settings, StageContext, Watermark
from mevflow.sources.kafka.position import Positions, TopicClient
from mevflow.sources.kafka.reader import Reader, Rows, open_reader
from mevflow.sources.source import Poll, Source

#: Rows taken from one partition before the next is chosen: small, so that partitions stay close in chain time.
_CHUNK = 1024
#: Rows that the others may go ahead while the partition that lags most waits for its fetch.
_MAX_AHEAD_ROWS = 100_000
#: librdkafka error codes that end the stream; it recovers from all others by itself.
_GAP = (-140, 1)  # _AUTO_OFFSET_RESET, OFFSET_OUT_OF_RANGE
_FATAL = (-199, -150, 2, 29, 30)  # _BAD_MSG, _FATAL, CORRUPT, TOPIC_AUTHORIZATION_FAILED, GROUP_...


class KafkaSettings(Settings):
    """Settings of ``kafka.source``.

    ``start`` matters only without recovery state; ``committed`` falls back to the earliest offset where the group has
    none. ``start_offsets`` override it by partition. ``stop_offsets`` (exclusive) make the source bounded: it reads
    just these partitions and ends. ``partitions`` limits a live source to some. ``on_gap`` says what to do when the
    log has lost the offset to resume at. ``settle_ms`` is how long a partition must have been at its end before it no
    longer holds back the watermark: 0 gives the lowest latency, more keeps the order of a producer that is behind.
    ``queue_kib`` bounds what is fetched ahead, for each partition.
    """

    bootstrap: str = "127.0.0.1:9092"
    topic: str
    start: Literal["earliest", "latest", "committed"] = "latest"
    start_offsets: dict[int, int] | None = None
    stop_offsets: dict[int, int] | None = None
    partitions: list[int] | None = None
    group: str = ""
    on_gap: Literal["fail", "earliest"] = "fail"
    max_rows: int = Field(20_000, ge=1, le=200_000)
    fetch_wait_ms: int = Field(5, ge=0, le=10_000)
    queue_kib: int = Field(16_384, ge=1024)
    settle_ms: int = Field(0, ge=0)


class KafkaSource(Source):
    """Reads all its partitions through one client and keeps them aligned by record timestamp (chain time).

    A poll takes chunks from whichever partition lags most. The watermark is the least last timestamp over the
    partitions that have more to give; those at their end hold nothing back. A snapshot is the next offset of every
    partition, so a resumed source gives exactly the rows that come after.
    """

    use = "kafka.source"
    summary = "A Kafka topic as columnar batches, live or between offsets"
    settings_type = KafkaSettings
    settings: KafkaSettings

    def __init__(self, settings: KafkaSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._client: TopicClient | None = None
        self._reader: Reader | None = None

    @classmethod
    def output_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema]:
        return {"out": RAW}

    @property
    def group(self) -> str:
        """The consumer group that offsets are committed to."""
        return self.settings.group or f"mevflow-{self.context.topology}-{self.context.node}"

    def open(self, state: bytes | None) -> None:
        """Raises UnreachableError, UsageError (no such topic or partition) or StateError (the position is lost)."""
        wanted = self.settings
        self._client = TopicClient(wanted.bootstrap, wanted.topic, self.group)
        position = Positions.resolve(self._client, wanted, state)
        self._identity = position
        self._stops = wanted.stop_offsets
        size = max(position.offsets, default=0) + 1
        self._next = np.zeros(size, np.int64)
        self._last_us = np.zeros(size, np.int64)
        for partition, offset in position.offsets.items():
            self._next[partition] = offset
        self._active = [p for p in position.offsets if not self._is_done(p)]
        self._at_end: dict[int, float | None] = dict.fromkeys(self._active)  # since when, by the monotonic clock
        self._ahead = 0
        self._said: Watermark | None = None
        self._reader = open_reader(wanted.topic, self._conf(), wanted.max_rows)
        if self._active:
            self._reader.start({p: position.offsets[p] for p in self._active})
        self._topic_index = pa.array(np.zeros(wanted.max_rows, np.int8))
        self._topic_names = pa.array([wanted.topic])

    def _conf(self) -> dict[str, str | int | bool]:
        wanted = self.settings
        return {
            "bootstrap.servers": wanted.bootstrap,
            "group.id": self.group,
            "client.id": f"mevflow-{self.context.node}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest" if wanted.on_gap == "earliest" else "error",
            "check.crcs": False,
            # With the default of 1,000 ms a full queue stops fetching for that long.
            "fetch.queue.backoff.ms": 2,
            "fetch.min.bytes": 50_000,
            "fetch.wait.max.ms": wanted.fetch_wait_ms,
            "fetch.message.max.bytes": 4_194_304,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": wanted.queue_kib,
            "socket.receive.buffer.bytes": 4_194_304,
            "log_level": 2,
            "reconnect.backoff.max.ms": 1_000,
        }

    def poll(self) -> Poll:
        """Give what has been fetched, without waiting."""
        assert self._reader is not None, "poll before open"
        if self._stops is not None and not self._active:
            return Poll(watermark=Watermark(CAUGHT_UP_US, final=True), ended=True)
        drained, taken = self._take(self._reader)
        batches: list[tuple[str, pa.RecordBatch]] = []
        if taken:
            rows = self._reader.collect(self._next, self._last_us)
            if rows.faults:
                self._judge(rows.faults)
            batch = self._bounded(self._batch(rows))
            if batch.num_rows:
                batches.append(("out", batch))
        self._notice_ends(self._reader, drained)
        if self._stops is not None:
            self._active = [p for p in self._active if not self._is_done(p)]
            if not self._active:
                return Poll(batches, Watermark(CAUGHT_UP_US, final=True), ended=True)
        watermark = self._watermark()
        if not batches and watermark == self._said:
            return Poll()
        self._said = watermark
        return Poll(batches, watermark)

    def _take(self, reader: Reader) -> tuple[list[int], int]:
        """Fill a batch, always from the partition that lags most. Gives those with nothing more, and how many rows."""
        lag = {p: int(self._last_us[p]) for p in self._active}
        room = self.settings.max_rows
        drained: list[int] = []
        waiting = False
        while lag and room:
            partition = min(lag, key=lag.__getitem__)
            asked = min(_CHUNK, room)
            count, last_us = reader.take(partition, asked)
            room -= count
            if waiting:
                self._ahead += count
            if count < asked:
                del lag[partition]
                drained.append(partition)
                waiting = waiting or (count == 0 and self._at_end[partition] is None)
            elif last_us >= 0:
                lag[partition] = last_us
            if count:
                self._at_end[partition] = None
            if waiting and self._ahead >= _MAX_AHEAD_ROWS:
                break
        if not waiting:
            self._ahead = 0
        return drained, self.settings.max_rows - room

    def _notice_ends(self, reader: Reader, drained: list[int]) -> None:
        """Which partitions have given all that the last fetch knew of. An unknown end is no end."""
        for partition in drained:
            if self._at_end[partition] is None and 0 <= reader.high(partition) <= self._next[partition]:
                self._at_end[partition] = time.monotonic()

    def _watermark(self) -> Watermark:
        settled = time.monotonic() - self.settings.settle_ms / 1000
        holding = [int(self._last_us[p]) for p in self._active if (since := self._at_end[p]) is None or since > settled]
        return Watermark(min(holding, default=CAUGHT_UP_US))

    def _is_done(self, partition: int) -> bool:
        return self._stops is not None and bool(self._next[partition] >= self._stops[partition])

    def _batch(self, rows: Rows) -> pa.RecordBatch:
        count = len(rows.times_us)
        topics = pa.DictionaryArray.from_arrays(self._topic_index.slice(0, count), self._topic_names)
        columns = [rows.values, pa.array(rows.times_us), topics, pa.array(rows.partitions), pa.array(rows.offsets)]
        return pa.RecordBatch.from_arrays(columns, schema=RAW)

    def _bounded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without the rows at and after the stop offsets."""
        if self._stops is None:
            return batch
        stops = np.zeros(len(self._next), np.int64)
        for partition, stop in self._stops.items():
            stops[partition] = stop
        if not (self._next > stops).any():
            return batch
        self._next = np.minimum(self._next, stops)
        partitions = batch.column("source_partition").to_numpy()
        inside = pc.less(batch.column("source_offset"), pa.array(stops[partitions]))
        return batch.filter(inside)

    def _judge(self, faults: list[tuple[int, int, int]]) -> None:
        """Raise for what librdkafka cannot mend by itself; connections it mends."""
        from confluent_kafka import KafkaError

        for partition, code, _ in faults:
            place: dict[str, Any] = {
                "topic": self.settings.topic,
                "partition": partition,
                "offset": int(self._next[partition]),
            }
            if code in _GAP:
                raise StateError(
                    "the log no longer holds this offset: retention has overtaken the reader",
                    hint="set on_gap: earliest to go on with what is left",
                    **place,
                )
            if code in _FATAL:
                raise MevflowError(f"Kafka says: {KafkaError(code).str()}", **place)
            if code in (3, -188, -190):  # unknown topic or partition
                raise UsageError("the topic or partition is gone", hint="mevflow topics list", **place)

    def behind(self) -> int:
        """Rows between the last ones given and the ends of the logs, as of the last fetch of each."""
        if self._reader is None:
            return 0
        return sum(max(0, self._reader.high(p) - int(self._next[p])) for p in self._active)

    def snapshot(self) -> bytes:
        """Format 1: cluster id, topic, its partition count, next offset by partition."""
        return self._identity.at({p: int(self._next[p]) for p in self._identity.offsets})

    def committed(self, state: bytes) -> None:
        """Tell the consumer group, for lag tools; the truth is in the snapshot, so a failure is of no consequence."""
        if self._client is not None:
            self._client.commit({int(p): o for p, o in msgspec.json.decode(state)["offsets"].items()})

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._client is not None:
            self._client.close()
