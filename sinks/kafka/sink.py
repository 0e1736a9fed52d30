"""``kafka.sink``: rows as protobuf messages on a topic, keyed, with chain time as their timestamp."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
from pydantic import Field

from mevflow.kafka.security import reach
from mevflow.metrics.page import Page
from mevflow.operators.codec import codec
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.errors import MevflowError, StateError, UnreachableError, UsageError
from mevflow.operators.stage import Settings, StageContext, Watermark
from mevflow.processes.fail_points import passed
from mevflow.sinks.kafka.limits import beyond, cut, producer_limits, record_limit
from mevflow.sinks.kafka.producer import Producer, open_producer
from mevflow.sinks.kafka.sent import AlreadySent, Stretches, TopicEnds
from mevflow.sinks.sink import Sink

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_ANSWER_S = 10.0
#: Version 1 did not name what had not come again.
_VERSION, _READ = 2, (1, 2)
#: A negative time is refused by brokers, and 0 would be replaced by the clock.
_LEAST_TIME_US = 1000

log = logging.getLogger("mevflow.sinks.kafka")


class KafkaSinkSettings(Settings):
    """Settings of ``kafka.sink``.

    ``key`` is the column whose bytes (or text) key the message, so that rows of one key keep their order; empty spreads
    rows evenly. ``linger_ms`` trades latency for larger batches. A row larger than the topic takes becomes a dead
    letter on the topic ``dead_letters``.
    """

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"latency": {"linger_ms": 0}, "throughput": {"linger_ms": 50}}

    bootstrap: str = "127.0.0.1:9092"
    topic: str
    key: str = ""
    linger_ms: float = Field(5.0, ge=0)
    flush_timeout_s: float = Field(60.0, gt=0)
    dead_letters: str = "dlq"


class _State(msgspec.Struct):
    """Where each partition of the topic ended when the snapshot was made.

    ``again``: stretches before that with rows that were sent before a crash, and may not have come again since.
    """

    version: int
    ends: dict[int, int]
    again: Stretches = {}


def _read_state(state: bytes, topic: str) -> _State:
    try:
        saved = msgspec.msgpack.decode(state, type=_State)
    except msgspec.DecodeError as error:
        raise StateError(f"this is no snapshot of kafka.sink: {error}", topic=topic) from error
    if saved.version not in _READ:
        raise StateError(f"kafka.sink cannot read a snapshot of version {saved.version}", topic=topic)
    return saved


class KafkaSink(Sink[KafkaSinkSettings]):
    """Each row once, also over crashes.

    1. Before the first row it is noted where the topic ends (:meth:`beginning`).
    2. A snapshot waits until the broker has acknowledged everything written before it, and notes where the topic ends.
    3. After a crash the rows since then come again; those that stand behind the noted ends are not sent again
       (:mod:`mevflow.sinks.kafka.sent`). A snapshot that is made before all of them have come names where they stand.

    Partitions are chosen by murmur2 of the key, as Java and most other clients do.
    """

    use = "kafka.sink"
    summary = "Rows as protobuf messages on a Kafka topic"
    settings_type = KafkaSinkSettings
    live_only = True

    def __init__(self, settings: KafkaSinkSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._producer: Producer | None = None
        self._ends: TopicEnds | None = None
        self._sent: AlreadySent | None = None
        self._rejects: KafkaSink | None = None
        #: Rows that the topic does not take, so far.
        self.refused = 0
        self._produced = 0

    def beginning(self) -> bytes:
        """Where the topic ends. Raises UnreachableError or UsageError (no such topic)."""
        return msgspec.msgpack.encode(_State(_VERSION, TopicEnds(self._admin(), self.settings.topic).now()))

    @classmethod
    def joined(cls, states: Sequence[bytes]) -> bytes:
        """The least of the noted ends: what any of the shards may have sent stands behind them."""
        ends: dict[int, int] = {}
        again: Stretches = {}
        for state in states:
            saved = _read_state(state, "")
            for partition, end in saved.ends.items():
                ends[partition] = min(end, ends.get(partition, end))
            for partition, stretches in saved.again.items():
                again[partition] = sorted({*again.get(partition, ()), *stretches})
        return msgspec.msgpack.encode(_State(_VERSION, ends, again)) if states else b""

    def _admin(self) -> AdminClient:
        """A client of the broker, which has the topic. Raises UnreachableError or UsageError."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        wanted = self.settings
        admin = AdminClient({**reach(wanted.bootstrap), "log_level": 0})
        try:
            found = admin.list_topics(timeout=_ANSWER_S)
        except KafkaException as error:
            raise UnreachableError(
                f"no Kafka broker answers at {wanted.bootstrap}",
                hint="mevflow broker start, or set MEVFLOW_KAFKA__BOOTSTRAP to one that runs",
                topic=wanted.topic,
            ) from error
        if wanted.topic not in found.topics:
            raise UsageError(
                f"the topic is not on the broker at {wanted.bootstrap}",
                hint="mevflow topics create",
                topic=wanted.topic,
            )
        return admin

    def open(self, state: bytes | None) -> None:
        """Raises UnreachableError or UsageError (no such topic)."""
        wanted, admin = self.settings, self._admin()
        self._limit = record_limit(admin, wanted.topic, _ANSWER_S)
        self._ends = TopicEnds(admin, wanted.topic)
        if state:
            saved = _read_state(state, wanted.topic)
            self._sent = AlreadySent(wanted.bootstrap, wanted.topic, saved.ends, saved.again)
        self._producer = open_producer(
            wanted.topic,
            {
                **reach(wanted.bootstrap),
                "client.id": f"mevflow-{self.context.node}",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": wanted.linger_ms,
                "queue.buffering.max.messages": 1_000_000,
                "partitioner": "murmur2_random",
                "delivery.report.only.error": True,
                "log_level": 2,
                **producer_limits(self._limit),
            },
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Send the rows. Waits while the send buffer is full. Raises MevflowError for an earlier failure."""
        if not batch.num_rows:
            return
        producer = self._live()
        name = (batch.schema.metadata or {}).get(b"message", b"").decode()
        if not name:
            raise UsageError("a batch does not say which message it holds", topic=self.settings.topic)
        key = self.settings.key
        if key and key not in batch.schema.names:
            raise UsageError(f"{name} has no column {key!r}", topic=self.settings.topic, key="key")
        batch, values, keys = self._fit(batch, codec(name).encode(batch), key)
        times_us = np.maximum(batch.column("timestamp_us").to_numpy(), _LEAST_TIME_US)
        fresh = self._sent.fresh(values, keys) if self._sent is not None else None
        if fresh is not None:
            mask = pa.array(fresh)
            values, keys, times_us = values.filter(mask), None if keys is None else keys.filter(mask), times_us[fresh]
        producer.send(values, keys, times_us)
        self._produced += len(times_us)
        producer.serve()

    def _fit(self, batch: pa.RecordBatch, values: pa.BinaryArray, key: str) -> tuple[pa.RecordBatch, Any, Any]:
        """The rows that the topic takes, with their values and keys; the others become dead letters."""
        keys = batch.column(key).cast(pa.binary()) if key else None
        mask = beyond(values, keys, self._limit)
        if mask is None:
            return batch, values, keys
        at = pa.array(np.flatnonzero(mask))
        detail = f"larger than the {self._limit:,} bytes that {self.settings.topic} takes"
        self._refuse(dead_letters(self.context, batch.take(at), "too_large", detail, values.take(at)))
        kept = pa.array(~mask)
        return batch.filter(kept), values.filter(kept), None if keys is None else keys.filter(kept)

    def _refuse(self, letters: pa.RecordBatch) -> None:
        """Send dead letters of this sink's own. Where their topic cannot be had they are logged: the stream goes on."""
        self.refused += letters.num_rows
        try:
            if self._rejects is None:
                settings = KafkaSinkSettings(bootstrap=self.settings.bootstrap, topic=self.settings.dead_letters)
                rejects = LetterSink(settings, self.context)
                rejects.open(None)
                self._rejects = rejects
            self._rejects.write(letters)
        except UsageError as error:
            for row in letters.select(["topic", "partition", "offset", "reason"]).to_pylist():
                log.error("rejected %(topic)s[%(partition)d]@%(offset)d: %(reason)s", row)
            log.error("no dead letter was written: %s", error)

    def _live(self) -> Producer:
        """The producer, if all is well. Raises MevflowError when a message was not taken."""
        assert self._producer is not None, "write before open"
        failed = self._producer.failure()
        if failed is not None:
            reason, partition = failed
            raise MevflowError(
                f"Kafka did not take a message: {reason}",
                topic=self.settings.topic,
                partition=partition if partition >= 0 else None,
            )
        return self._producer

    def on_watermark(self, watermark: Watermark) -> None:
        self._live().serve()

    def snapshot(self) -> bytes:
        """Wait for the broker's word on everything written. Raises MevflowError when it does not come."""
        if self._rejects is not None:
            self._rejects.snapshot()
        left = self._live().flush(self.settings.flush_timeout_s)
        self._live()
        if left:
            raise UnreachableError(
                f"{left} messages are not acknowledged after {self.settings.flush_timeout_s:g} s",
                topic=self.settings.topic,
            )
        passed("kafka flushed")
        if self._sent is not None and self._sent.over():
            self._sent = None
        assert self._ends is not None
        again = self._sent.stretches if self._sent is not None else {}
        return msgspec.msgpack.encode(_State(_VERSION, self._ends.now(), again))

    def tell(self, page: Page) -> None:
        """Put what was given to the producer, what waits in it, and whether it has failed."""
        producer = self._producer
        labels = {"stage": self.context.node, "topic": self.settings.topic}
        page.put("mevflow_kafka_produced_records", self._produced, **labels)
        failed = producer is not None and producer.failure() is not None
        page.put("mevflow_kafka_produce_errors", failed, **labels)
        page.put("mevflow_kafka_queue_records", 0 if producer is None else producer.queued(), **labels)

    def close(self) -> None:
        if self._rejects is not None:
            self._rejects.close()
            self._rejects = None
        if self._producer is not None:
            self._producer.flush(self.settings.flush_timeout_s)
            self._producer.close()
            self._producer = None


class LetterSink(KafkaSink):
    """Dead letters on a topic: one that is larger than the topic takes is cut off, with its whole size and hash."""

    def _fit(self, batch: pa.RecordBatch, values: pa.BinaryArray, key: str) -> tuple[pa.RecordBatch, Any, Any]:
        keys = batch.column(key).cast(pa.binary()) if key else None
        longest = 0 if keys is None else max(len(one or b"") for one in keys.to_pylist())
        return batch, cut(batch, values, self._limit - longest), keys
