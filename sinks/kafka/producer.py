"""Producers of one topic: columns in, messages out.

Two of one shape: :class:`NativeProducer` drives librdkafka directly; :class:`PlainProducer` does the same through
confluent_kafka's own objects where the shared library is not to be had.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from mevflow.operators.errors import MevflowError
from mevflow.sinks.kafka import librdkafka as _librdkafka


class Producer(Protocol):
    """Send rows, hear of failures, wait for what is under way."""

    def send(self, values: pa.BinaryArray, keys: pa.BinaryArray | None, times_us: np.ndarray) -> None:
        """Queue rows; waits while the queue is full. Raises MevflowError when a row cannot be queued at all."""

    def serve(self) -> None:
        """Take in the broker's answers, without waiting."""

    def failure(self) -> tuple[str, int] | None:
        """Why a message was not taken, and its partition (-1: none); None while all is well."""

    def flush(self, seconds: float) -> int:
        """Wait for the broker's word; give how many messages are without it."""

    def queued(self) -> int:
        """How many messages are without the broker's word. Safe from another thread."""

    def close(self) -> None:
        """Let go of connections and of what was not sent."""


class NativeProducer:
    """librdkafka through a kernel: no Python object a message, no GIL while it queues."""

    def __init__(self, topic: str, settings: Mapping[str, Any]) -> None:
        from mevflow.sinks.kafka import scatter as kafka_scatter

        lib = _librdkafka.library()
        assert lib is not None, "kafka_scatter imports only where the library is"
        self._lib, self._kernel, self._topic_name = lib, kafka_scatter, topic
        self._failure = np.zeros(2, np.int64)
        self._closing = threading.Lock()
        self._words = np.zeros(5 * 9, np.int64)
        self._handle = _librdkafka.new_producer(lib, settings, int(kafka_scatter.delivered.address or 0), self._failure)
        self._topic = lib.rd_kafka_topic_new(self._handle, topic.encode(), None)

    def send(self, values: pa.BinaryArray, keys: pa.BinaryArray | None, times_us: np.ndarray) -> None:
        value_at, value_ends = _buffers(values)
        key_at, key_ends = (0, value_ends) if keys is None else _buffers(keys)
        begin, code = 0, 0
        while begin < len(times_us) and self.failure() is None:
            begin, code = self._kernel.produce(
                self._handle,
                self._topic,
                begin,
                value_at,
                value_ends,
                keys is not None,
                key_at,
                key_ends,
                times_us,
                self._words,
            )
            if code == _librdkafka.QUEUE_FULL:
                self._lib.rd_kafka_poll(self._handle, 20)
            elif code:
                raise MevflowError(
                    f"cannot send a message: {self._lib.rd_kafka_err2str(code).decode()}", topic=self._topic_name
                )

    def serve(self) -> None:
        self._lib.rd_kafka_poll(self._handle, 0)

    def failure(self) -> tuple[str, int] | None:
        code, partition = self._failure.tolist()
        return (self._lib.rd_kafka_err2str(code).decode(), partition) if code else None

    def flush(self, seconds: float) -> int:
        self._lib.rd_kafka_flush(self._handle, int(seconds * 1000))
        return int(self._lib.rd_kafka_outq_len(self._handle))

    def queued(self) -> int:
        with self._closing:
            return int(self._lib.rd_kafka_outq_len(self._handle)) if self._handle else 0

    def close(self) -> None:
        with self._closing:
            if self._handle:
                self._lib.rd_kafka_topic_destroy(self._topic)
                self._lib.rd_kafka_destroy(self._handle)
                self._handle = 0


class PlainProducer:
    """The same over ``confluent_kafka.Producer``: slower, and needs no shared library."""

    def __init__(self, topic: str, settings: Mapping[str, Any]) -> None:
        from confluent_kafka import Producer as Confluent

        self._topic, self._producer = topic, Confluent(dict(settings))
        self._failed: tuple[str, int] | None = None

    def send(self, values: pa.BinaryArray, keys: pa.BinaryArray | None, times_us: np.ndarray) -> None:
        times_ms = (times_us // 1000).tolist()
        key_list = [None] * len(values) if keys is None else keys.to_pylist()
        for value, key, time_ms in zip(values.to_pylist(), key_list, times_ms, strict=True):
            while self._failed is None:
                try:
                    self._producer.produce(self._topic, value, key, on_delivery=self._delivered, timestamp=time_ms)
                    break
                except BufferError:
                    self._producer.poll(0.02)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and self._failed is None:
            self._failed = (error.str(), message.partition())

    def serve(self) -> None:
        self._producer.poll(0)

    def failure(self) -> tuple[str, int] | None:
        return self._failed

    def flush(self, seconds: float) -> int:
        return int(self._producer.flush(seconds))

    def queued(self) -> int:
        return len(self._producer)

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(1)


def _buffers(array: pa.BinaryArray) -> tuple[int, np.ndarray]:
    """The address of the bytes, and the rows' ends (int32[rows + 1])."""
    _, ends, data = array.buffers()
    return (
        0 if data is None else data.address,
        np.frombuffer(ends, np.int32)[array.offset : array.offset + len(array) + 1],
    )


def open_producer(topic: str, settings: Mapping[str, Any]) -> Producer:
    """The fastest producer that this installation has."""
    if _librdkafka.library() is None:
        return PlainProducer(topic, settings)
    return NativeProducer(topic, settings)
