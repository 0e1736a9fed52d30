"""What a topic holds already of the rows that a restart sends again.

After a crash a shard works again on everything since its last snapshot, and gives the same rows. A snapshot of the
sink says where each partition of the topic ended when it was made; what lies behind that is read back, and a row that
stands there is not sent a second time. Rows may not have come again when the next snapshot is made: it names the
stretches in which such rows stand as well, so that any number of crashes may follow each other.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from mevflow.kafka.security import reach
from mevflow.operators.errors import UnreachableError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

#: Records a poll: each may be as large as the topic takes.
_BATCH = 256
#: Records of a partition that are read back: more than a sink sends between two snapshots. A hash of each is kept.
MOST = 1 << 22
#: So many rows in a row that were not there, and nothing is looked for any more: what is left there was never ours, or
#: will not come. A source lets its partitions get apart by far less.
PATIENCE_ROWS = 1 << 20
_ANSWER_S = 10.0
#: Polls in a row without a record after which the broker counts as gone.
_PATIENCE = 30

#: By partition: first offset and the one after the last.
Stretches = dict[int, list[tuple[int, int]]]

log = logging.getLogger("mevflow.sinks.kafka")


class AlreadySent:
    """Records behind a snapshot, each of which stands for one row that comes again."""

    def __init__(self, bootstrap: str, topic: str, since: Mapping[int, int], again: Stretches | None = None) -> None:
        """Read ``topic`` from the offsets ``since`` (by partition) to its end, and in the stretches ``again``.

        Raises UnreachableError.
        """
        found, self.stretches = _hashes(bootstrap, topic, since, again or {})
        hashes = np.frombuffer(found, np.uint64)
        self._hashes, counts = np.unique(hashes, return_counts=True)
        self._left = counts.astype(np.uint32)
        self._total = len(hashes)
        #: Rows that were found there instead of being sent.
        self.skipped = 0
        self._missed = 0

    def __len__(self) -> int:
        return self._total

    def fresh(self, values: pa.BinaryArray, keys: pa.BinaryArray | None) -> NDArray[np.bool_] | None:
        """Which rows are not there; None when none of them is, or nothing is left to compare with."""
        if not self._total:
            return None
        told = values.to_pylist()
        named = keys.to_pylist() if keys is not None else [None] * len(told)
        marks = np.array([_hash(key, value) for key, value in zip(named, told, strict=True)], np.uint64)
        places = np.minimum(np.searchsorted(self._hashes, marks), len(self._hashes) - 1)
        fresh = np.ones(len(told), np.bool_)
        for row in np.flatnonzero(self._hashes[places] == marks).tolist():
            if self._left[places[row]]:  # an equal row that comes again stands for one record more
                self._left[places[row]] -= 1
                fresh[row] = False
        there = int((~fresh).sum())
        self.skipped += there
        self._total -= there
        self._missed = 0 if there else self._missed + len(told)
        return fresh if there else None

    def over(self) -> bool:
        """Asked at each snapshot: is nothing left that could come?"""
        return not self._total or self._missed > PATIENCE_ROWS


class TopicEnds:
    """Where a topic's partitions end, asked of one client."""

    def __init__(self, admin: AdminClient, topic: str) -> None:
        self._admin, self._topic = admin, topic

    def now(self) -> dict[int, int]:
        """By partition; waits for a leader that is being elected. Raises UnreachableError."""
        from confluent_kafka import KafkaError, KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        electing = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
        deadline = time.monotonic() + _ANSWER_S
        while True:
            try:
                partitions = self._admin.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic].partitions
                asked = {TopicPartition(self._topic, one): OffsetSpec.latest() for one in partitions}
                answers = self._admin.list_offsets(asked, request_timeout=_ANSWER_S)
                return {at.partition: answer.result(_ANSWER_S).offset for at, answer in answers.items()}
            except (KafkaException, TimeoutError) as error:
                passes = isinstance(error, KafkaException) and error.args[0].code() in electing
                if not passes or time.monotonic() > deadline:
                    raise UnreachableError(
                        f"the ends of the topic cannot be read: {error}", topic=self._topic
                    ) from error
                time.sleep(0.05)


def _hashes(bootstrap: str, topic: str, since: Mapping[int, int], again: Stretches) -> tuple[array[int], Stretches]:
    """A hash of each record in ``again`` and from ``since`` to the end, and all these stretches.

    At most ``MOST`` records a partition are looked at.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer(
        {
            **reach(bootstrap),
            "group.id": "mevflow-sent",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
            "isolation.level": "read_uncommitted",
            "queued.max.messages.kbytes": 32_768,
            "log_level": 0,
        }
    )
    found = array("Q")
    stretches: Stretches = {}
    try:
        last: dict[int, int] = {}
        assigned = []
        for partition in consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_S)
            wanted = [*again.get(partition, ()), (since.get(partition, 0), high)]
            wanted = [(max(low, start), end) for start, end in wanted if max(low, start) < end]
            if not wanted:
                continue
            stretches[partition] = wanted
            first = min(start for start, _ in wanted)
            if high - first > MOST:
                skipped = high - first - MOST
                log.warning("%s[%d]: sent rows are not looked for in its last %d records", topic, partition, skipped)
                high = first + MOST
            if first < high:
                last[partition] = high - 1
                assigned.append(TopicPartition(topic, partition, first))
        consumer.assign(assigned)
        idle = 0
        while last:
            records = consumer.consume(_BATCH, timeout=1.0)
            idle = 0 if records else idle + 1
            if idle > _PATIENCE:
                raise UnreachableError("what was sent before cannot be read back", topic=topic)
            for record in records:
                if record.error() is not None:
                    continue
                partition, offset = record.partition(), record.offset() or 0
                if partition in last and offset <= last[partition] and _within(stretches[partition], offset):
                    found.append(_hash(record.key(), record.value() or b""))
            # A partition may end in control records, which never come: its position tells.
            for at in consumer.position([TopicPartition(topic, one) for one in last]):
                if at.offset > last[at.partition]:
                    del last[at.partition]
                    consumer.incremental_unassign([TopicPartition(topic, at.partition)])
        return found, stretches
    except KafkaException as error:
        raise UnreachableError(f"what was sent before cannot be read back: {error}", topic=topic) from error
    finally:
        consumer.close()


def _within(stretches: list[tuple[int, int]], offset: int) -> bool:
    return any(start <= offset < end for start, end in stretches)


def _hash(key: bytes | None, value: bytes) -> int:
    return xxhash.xxh3_64_intdigest(value, seed=xxhash.xxh3_64_intdigest(key or b""))
