"""Readers of one topic's partitions: messages in, columns out, one queue a partition.

Two of one shape: :class:`NativeReader` drives librdkafka directly; :class:`PlainReader` does the same through
confluent_kafka's own objects where the shared library is not to be had.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from mevflow.operators.bounds import MAX_TIME_US
from mevflow.sources.kafka import librdkafka as _librdkafka
from mevflow.sources.kafka.librdkafka import PARTITION_EOF


@dataclass(frozen=True, slots=True)
class KafkaRows:
    """Columns of what was taken. ``faults`` are (partition, librdkafka error code, offset)."""

    values: pa.BinaryArray
    times_us: np.ndarray  # int64
    partitions: np.ndarray  # int32
    offsets: np.ndarray  # int64
    faults: list[tuple[int, int, int]]


class PartitionReader(Protocol):
    """Take from partitions in any order, then collect what was taken as columns."""

    def start(self, positions: Mapping[int, int]) -> None:
        """Begin to fetch at these offsets, besides what is fetched already."""

    def take(self, partition: int, limit: int) -> tuple[int, int]:
        """Move up to ``limit`` fetched messages of a partition into the batch, without waiting.

        Gives how many (marks and errors count) and the last one's timestamp in microseconds (-1: none has one).
        """

    def collect(self, next_offset: np.ndarray, last_us: np.ndarray, ended: np.ndarray) -> KafkaRows:
        """Columns of all that was taken since the last call; moves the arrays on (by partition: int64, int64, bool).

        ``ended`` becomes True where the last that came was the mark of the end, False where it was anything else.
        """

    def move(self, partition: int, offset: int) -> None:
        """Go on reading a partition from another offset; what was fetched and not taken is dropped."""

    def high(self, partition: int) -> int:
        """The next offset to be written, as of the last fetch; negative when not known yet."""

    def close(self) -> None:
        """Let go of connections."""


class NativeReader:
    """librdkafka's batch calls and a copy kernel: no Python object a message. ``capacity`` bounds a batch."""

    def __init__(self, topic: str, settings: Mapping[str, str | int | bool], capacity: int) -> None:
        from mevflow.sources.kafka import gather as kafka_gather

        lib = _librdkafka.library()
        assert lib is not None, "kafka_gather imports only where the library is"
        self._lib, self._kernel = lib, kafka_gather
        self._topic = topic.encode()
        self._handle = _librdkafka.new_consumer(lib, settings)
        self._queues: dict[int, int] = {}
        self._messages = np.zeros(capacity, np.intp)
        self._count = 0
        self._low, self._high = ctypes.c_int64(), ctypes.c_int64()
        self._low_at, self._high_at = ctypes.addressof(self._low), ctypes.addressof(self._high)
        self._consume = lib.rd_kafka_consume_batch_queue
        self._base = self._messages.ctypes.data

    def start(self, positions: Mapping[int, int]) -> None:
        # Queues are cut loose before the assignment, so that no message reaches the common queue.
        self._compile()
        for partition in positions:
            queue = self._lib.rd_kafka_queue_get_partition(self._handle, self._topic, partition)
            self._lib.rd_kafka_queue_forward(queue, None)
            self._queues[partition] = queue
        _librdkafka.assign(self._lib, self._handle, self._topic.decode(), positions)

    def _compile(self) -> None:
        """Before data flows."""
        self._kernel.last_time_us(self._messages, 0, 0)
        self._give_back(0)

    def _give_back(self, count: int) -> None:
        """What was taken and is not wanted."""
        empty = np.zeros(max(self._queues, default=0) + 1, np.int64)
        self._kernel.gather(self._messages, count, empty, empty, empty.astype(np.bool_))

    def move(self, partition: int, offset: int) -> None:
        topic = self._topic.decode()
        _librdkafka.unassign(self._lib, self._handle, topic, partition)
        _librdkafka.assign(self._lib, self._handle, topic, {partition: offset})

    def take(self, partition: int, limit: int) -> tuple[int, int]:
        begin = self._count
        limit = min(limit, len(self._messages) - begin)
        count = self._consume(self._queues[partition], 0, self._base + 8 * begin, limit)
        if count <= 0:
            return 0, -1
        self._count = begin + count
        return count, self._kernel.last_time_us(self._messages, begin, self._count)

    def collect(self, next_offset: np.ndarray, last_us: np.ndarray, ended: np.ndarray) -> KafkaRows:
        values, ends, times_us, partitions, offsets, faults = self._kernel.gather(
            self._messages, self._count, next_offset, last_us, ended
        )
        self._count = 0
        self._lib.rd_kafka_poll(self._handle, 0)  # serve commits and logs
        array = pa.BinaryArray.from_buffers(
            pa.binary(), len(times_us), [None, pa.py_buffer(ends), pa.py_buffer(values)]
        )
        return KafkaRows(array, times_us, partitions, offsets, [tuple(f) for f in faults.tolist()])

    def high(self, partition: int) -> int:
        self._high.value = -1
        self._lib.rd_kafka_get_watermark_offsets(self._handle, self._topic, partition, self._low_at, self._high_at)
        return self._high.value

    def close(self) -> None:
        if not self._handle:
            return
        self._give_back(self._count)
        self._count = 0
        for queue in self._queues.values():
            self._lib.rd_kafka_queue_destroy(queue)
        self._lib.rd_kafka_destroy_flags(self._handle, _librdkafka.DESTROY_WITHOUT_CLOSE)
        self._handle = 0


class PlainReader:
    """The same over ``confluent_kafka.Consumer``, one a partition: slower, and needs no shared library."""

    def __init__(self, topic: str, settings: Mapping[str, str | int | bool], capacity: int) -> None:
        self._topic, self._settings, self._capacity = topic, dict(settings), capacity
        self._consumers: dict[int, Any] = {}
        self._taken: list[Any] = []

    def start(self, positions: Mapping[int, int]) -> None:
        from confluent_kafka import Consumer, TopicPartition

        for partition, offset in positions.items():
            self._consumers[partition] = Consumer(self._settings)
            self._consumers[partition].assign([TopicPartition(self._topic, partition, offset)])

    def take(self, partition: int, limit: int) -> tuple[int, int]:
        limit = min(limit, self._capacity - len(self._taken))
        got = self._consumers[partition].consume(limit, 0) if limit else []
        self._taken += got
        last_us = next((_time_us(m) for m in reversed(got) if m.error() is None), -1)
        return len(got), last_us

    def move(self, partition: int, offset: int) -> None:
        from confluent_kafka import TopicPartition

        self._consumers[partition].assign([TopicPartition(self._topic, partition, offset)])

    def collect(self, next_offset: np.ndarray, last_us: np.ndarray, ended: np.ndarray) -> KafkaRows:
        good, faults = [], []
        for message in self._taken:
            error, partition = message.error(), message.partition()
            ended[partition] = error is not None and error.code() == PARTITION_EOF
            if error is None:
                good.append(message)
                next_offset[partition] = message.offset() + 1
                last_us[partition] = _time_us(message)
            elif error.code() == PARTITION_EOF:
                next_offset[partition] = max(next_offset[partition], message.offset())
            else:
                faults.append((partition, error.code(), message.offset()))
        self._taken = []
        return KafkaRows(
            pa.array([m.value() or b"" for m in good], pa.binary()),
            np.array([_time_us(m) for m in good], np.int64),
            np.array([m.partition() for m in good], np.int32),
            np.array([m.offset() for m in good], np.int64),
            faults,
        )

    def high(self, partition: int) -> int:
        from confluent_kafka import TopicPartition

        place = TopicPartition(self._topic, partition)
        found = self._consumers[partition].get_watermark_offsets(place, cached=True)
        return -1 if found is None else int(found[1])

    def close(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers = {}


def _time_us(message: Any) -> int:
    """As the kernel has it: held within the calendar."""
    return int(min(max(message.timestamp()[1], 0), MAX_TIME_US // 1000 - 1)) * 1000


def open_reader(topic: str, settings: Mapping[str, str | int | bool], capacity: int) -> PartitionReader:
    """The fastest reader that this installation has."""
    if _librdkafka.library() is None:
        return PlainReader(topic, settings, capacity)
    return NativeReader(topic, settings, capacity)
