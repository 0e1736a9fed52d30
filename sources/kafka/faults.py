"""What a Kafka source does about errors that librdkafka cannot mend: go on past, wait, or stop with a clear message."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from mevflow.operators.codec import unreadable_row
from mevflow.operators.errors import MevflowError, StateError
from mevflow.sources.kafka.extent import Extent, extent
from mevflow.sources.kafka.position import TopicClient
from mevflow.sources.kafka.reader import PartitionReader
from mevflow.sources.kafka.settings import KafkaSourceSettings

# librdkafka error codes.
_GAP = (-140, -139, 1)  # _AUTO_OFFSET_RESET, _LOG_TRUNCATION, OFFSET_OUT_OF_RANGE
_UNREADABLE = (-199, -198, -165, 2)  # _BAD_MSG, _BAD_COMPRESSION, _UNSUPPORTED_FEATURE, INVALID_MSG
_GONE = (3, -188, -190, 100, 103)  # UNKNOWN_TOPIC_OR_PART, _UNKNOWN_TOPIC, _UNKNOWN_PARTITION, (INCONSISTENT_)TOPIC_ID
_FATAL = (-150, 29, 30)  # _FATAL, TOPIC_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED


class Faults:
    """Of one reader. ``note`` takes a sentence for the status."""

    def __init__(
        self, settings: KafkaSourceSettings, client: TopicClient, reader: PartitionReader, note: Callable[[str], None]
    ) -> None:
        self._settings, self._client, self._reader, self._note = settings, client, reader, note
        self._gone_s = 0.0
        self._stands: dict[int, tuple[int, str]] = {}

    def judge(self, faults: list[tuple[int, int, int]], next_offset: np.ndarray) -> list[pa.RecordBatch]:
        """Deal with (partition, error code, offset); give a row for each stretch of records that cannot be read.

        ``next_offset`` (by partition) is moved on past what is left out. Raises StateError for a gap in the log unless
        ``on_gap`` says to go on, MevflowError for what nobody can mend while running.
        """
        rows: list[pa.RecordBatch] = []
        for partition, code, offset in faults:
            at = int(next_offset[partition])
            if code in _UNREADABLE:
                rows += self._pass(partition, code, at, offset, next_offset)
            elif code in _GAP:
                self._leap(partition, at, next_offset)
            elif code in _FATAL:
                raise MevflowError(
                    f"Kafka says: {_text(code)}", topic=self._settings.topic, partition=partition, offset=at
                )
            elif code in _GONE:
                if self._settings.stop_offsets is not None:
                    raise StateError("the topic or partition is gone", topic=self._settings.topic, partition=partition)
                self._gone_s = time.monotonic()
        return rows

    def waits(self, asked_s: float | None) -> bool:
        """Whether the topic was seen to be gone, and nothing said of it since (``asked_s``: the last answer)."""
        return self._gone_s > 0 and (asked_s is None or asked_s <= self._gone_s)

    @property
    def standing(self) -> list[str]:
        """What partitions stand at, and why."""
        return [f"partition {p} stands at offset {at}: {why}" for p, (at, why) in sorted(self._stands.items())]

    def _pass(self, partition: int, code: int, at: int, bad: int, next_offset: np.ndarray) -> list[pa.RecordBatch]:
        """Go on after the batch that holds ``at``; where its end cannot be had, stay and say so.

        ``bad`` is the offset that librdkafka names: the first of the batch. Of another batch it is old news.
        """
        topic = self._settings.topic
        found = self._extent(partition, at)
        if found is None or found.last < at:
            self._stands[partition] = (at, f"{_text(code)}; the broker does not tell where the batch ends")
            return []
        if bad >= 0 and not found.first <= bad <= found.last:
            return []
        self._stands.pop(partition, None)
        why = f"{topic}[{partition}]@{at}..{found.last}: {found.last - at + 1} records cannot be read: {_text(code)}"
        self._note(why)
        next_offset[partition] = found.last + 1
        self._reader.move(partition, found.last + 1)
        return [unreadable_row(topic, partition, max(at, found.first), max(found.time_ms, 0) * 1000, why)]

    def _extent(self, partition: int, at: int) -> Extent | None:
        leader = self._client.leader(partition)
        return None if leader is None else extent(*leader, self._settings.topic, partition, at)

    def _leap(self, partition: int, at: int, next_offset: np.ndarray) -> None:
        """The log does not hold the offset to go on at."""
        low, high = self._client.bounds(partition)
        if low <= at <= high:  # it does by now: another leader has answered
            self._reader.move(partition, at)
            return
        if at > high:
            raise StateError(
                f"the log ends at {high}: it was cut off, or the topic was made anew",
                hint="deploy anew without the state",
                topic=self._settings.topic,
                partition=partition,
                offset=at,
            )
        if self._settings.on_gap != "earliest":
            raise StateError(
                f"the log starts at {low}: retention has overtaken the reader, {low - at} offsets are lost",
                hint="set on_gap: earliest to go on with what is left",
                topic=self._settings.topic,
                partition=partition,
                offset=at,
            )
        self._note(f"{self._settings.topic}[{partition}]@{at}..{low - 1}: retention has overtaken the reader")
        next_offset[partition] = low
        self._reader.move(partition, low)


def _text(code: int) -> str:
    from confluent_kafka import KafkaError

    return str(KafkaError(code).str())
