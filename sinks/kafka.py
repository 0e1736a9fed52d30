"""``kafka.sink``: rows as protobuf messages on a topic, keyed, with chain time as their timestamp."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import Field

from operators.codec import codec
from operators.errors import MevflowError, UnreachableError, UsageError
from operators.stage import Settings, StageContext, Watermark
from sinks.sink import Sink

_ANSWER_S = 10.0


class KafkaSettings(Settings):
    """Settings of ``kafka.sink``.

    ``key`` is the column whose bytes (or text) key the message, so that rows of one key keep their order; empty spreads
    rows evenly. ``linger_ms`` trades latency for larger batches.
    """

    bootstrap: str = "127.0.0.1:9092"
    topic: str
    key: str = ""
    linger_ms: float = Field(5.0, ge=0)
    flush_timeout_s: float = Field(60.0, gt=0)


class KafkaSink(Sink):
    """At least once: a snapshot waits until the broker has acknowledged everything written before it.

    After a crash the rows since the last snapshot are sent again; they carry deterministic ids, so a reader can tell.
    Partitions are chosen by murmur2 of the key, as Java and most other clients do.
    """

    use = "kafka.sink"
    summary = "Rows as protobuf messages on a Kafka topic"
    settings_type = KafkaSettings
    live_only = True
    settings: KafkaSettings

    def __init__(self, settings: KafkaSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._producer: Any = None
        self._failed: tuple[str, int] | None = None

    def open(self, state: bytes | None) -> None:
        """Raises UnreachableError or UsageError (no such topic)."""
        from confluent_kafka import KafkaException, Producer

        wanted = self.settings
        self._producer = Producer(
            {
                "bootstrap.servers": wanted.bootstrap,
                "client.id": f"mevflow-{self.context.node}",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": wanted.linger_ms,
                "batch.size": 65_536,
                "queue.buffering.max.kbytes": 65_536,
                "queue.buffering.max.messages": 1_000_000,
                "partitioner": "murmur2_random",
                "delivery.report.only.error": True,
                "log_level": 2,
            }
        )
        try:
            found = self._producer.list_topics(wanted.topic, timeout=_ANSWER_S)
        except KafkaException as error:
            raise UnreachableError(
                f"no Kafka broker answers at {wanted.bootstrap}",
                hint="mevflow broker start, or set MEVFLOW_KAFKA__BOOTSTRAP to one that runs",
                topic=wanted.topic,
            ) from error
        if not found.topics[wanted.topic].partitions:
            raise UsageError(
                f"the topic is not on the broker at {wanted.bootstrap}",
                hint="mevflow topics create",
                topic=wanted.topic,
            )

    def write(self, batch: pa.RecordBatch) -> None:
        """Send the rows. Waits while the send buffer is full. Raises MevflowError for an earlier failure."""
        if not batch.num_rows:
            return
        self._raise_failure()
        name = (batch.schema.metadata or {}).get(b"message", b"").decode()
        if not name:
            raise UsageError("a batch does not say which message it holds", topic=self.settings.topic)
        values = codec(name).encode(batch).to_pylist()
        times_ms = [us // 1000 for us in batch.column("timestamp_us").to_pylist()]
        key = self.settings.key
        if key and key not in batch.schema.names:
            raise UsageError(f"{name} has no column {key!r}", topic=self.settings.topic, key="key")
        keys = batch.column(key).to_pylist() if key else [None] * len(values)
        for value, key_value, time_ms in zip(values, keys, times_ms, strict=True):
            self._produce(value, key_value, time_ms)
        self._producer.poll(0)

    def _produce(self, value: bytes, key: bytes | str | None, time_ms: int) -> None:
        while True:
            try:
                self._producer.produce(self.settings.topic, value, key, on_delivery=self._delivered, timestamp=time_ms)
                return
            except BufferError:  # the broker is slower than we are: wait for room
                self._producer.poll(0.05)
                self._raise_failure()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and self._failed is None:
            self._failed = (error.str(), message.partition())

    def _raise_failure(self) -> None:
        if self._failed is not None:
            reason, partition = self._failed
            raise MevflowError(
                f"Kafka did not take a message: {reason}",
                topic=self.settings.topic,
                partition=partition if partition >= 0 else None,
            )

    def on_watermark(self, watermark: Watermark) -> None:
        self._producer.poll(0)

    def snapshot(self) -> bytes:
        """Wait for the broker's word on everything written. Raises MevflowError when it does not come."""
        left = self._producer.flush(self.settings.flush_timeout_s)
        self._raise_failure()
        if left:
            raise UnreachableError(
                f"{left} messages are not acknowledged after {self.settings.flush_timeout_s:g} s",
                topic=self.settings.topic,
            )
        return b""

    def close(self) -> None:
        if self._producer is not None:
            self._producer.flush(self.settings.flush_timeout_s)
