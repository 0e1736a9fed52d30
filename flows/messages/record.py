"""One record of a topic, with its key and headers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mevflow.kafka.security import reach
from mevflow.operators.errors import UnreachableError, UsageError

_ANSWER_S = 10.0
MAX_HEADERS = 64


@dataclass(frozen=True, slots=True)
class Record:
    """``value`` and ``key`` are None where the record has none (a tombstone)."""

    topic: str
    partition: int
    offset: int
    timestamp_us: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def read_record(bootstrap: str, topic: str, partition: int, offset: int) -> Record:
    """Raises UsageError when the log does not hold it, UnreachableError when no broker answers."""
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

    settings: dict[str, Any] = {
        **reach(bootstrap),
        "group.id": "mevflow-browse",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "log_level": 0,
    }
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None and error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                continue
            if error is not None or message.offset() != offset:
                raise UsageError(
                    f"{topic}[{partition}]@{offset} is not in the log",
                    hint="it was deleted or compacted away, or is not written yet",
                )
            headers: list[Any] = list(message.headers() or [])
            return Record(
                topic,
                partition,
                offset,
                max(0, message.timestamp()[1]) * 1000,
                message.key(),
                message.value(),
                [(str(name), bytes(value or b"")) for name, value in headers[:MAX_HEADERS]],
            )
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}", topic=topic)
    except KafkaException as error:
        raise UnreachableError(f"the broker at {bootstrap} says: {error.args[0].str()}", topic=topic) from error
    finally:
        consumer.close()
