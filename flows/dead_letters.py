"""The dead letters on their topic: find them, look at one, send the raw bytes back where they came from."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mevflow.kafka.topics import listing
from mevflow.operators.codec import codec
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError
from mevflow.operators.stage import StageContext

TOPIC = "dlq"
_MESSAGE = "mevflow.v1.DeadLetter"
_COORDINATES = re.compile(r"(?P<topic>.+)\[(?P<partition>\d+)\]@(?P<offset>\d+)")
_STALLED_S = 30.0
_FLUSH_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A record's coordinates, written ``topic[partition]@offset`` (for a file: line as offset)."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises UsageError for anything else."""
        found = _COORDINATES.fullmatch(text)
        if found is None:
            raise UsageError(f"{text!r} are no coordinates", hint="topic[partition]@offset, as mevflow dlq list prints")
        return cls(found["topic"], int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A letter: where it lies, where the message came from, why it was rejected, its bytes."""

    at: Place
    source: Place
    timestamp_us: int
    topology: str
    run_id: str
    stage: str
    reason: str
    detail: str
    payload: bytes

    def as_dict(self, payload: bool = False) -> dict[str, Any]:
        """For ``--json``; the payload as hex."""
        names = ("timestamp_us", "topology", "run_id", "stage", "reason", "detail")
        plain = {"at": str(self.at), "source": str(self.source), **{name: getattr(self, name) for name in names}}
        return plain | ({"payload": self.payload.hex()} if payload else {"bytes": len(self.payload)})


def letters(bootstrap: str, dlq: str = TOPIC) -> Iterator[DeadLetter]:
    """All letters there are now, oldest first by chain time as far as partitions allow.

    Raises UnreachableError, or UsageError when there is no such topic.
    """
    from mevflow.sources.kafka.source import KafkaSettings, KafkaSource

    ends = {p: stop for p, (_, stop) in listing(bootstrap, [dlq])[0].ends.items()}
    wanted = KafkaSettings.model_validate(
        {"bootstrap": bootstrap, "topic": dlq, "start": "earliest", "stop_offsets": ends, "group": "mevflow-dlq"}
    )
    source = KafkaSource(wanted, StageContext("dlq", "list"))
    try:
        source.open(None)
        deadline = time.monotonic() + _STALLED_S
        while True:
            poll = source.poll()
            for _, batch in poll.batches:
                deadline = time.monotonic() + _STALLED_S
                columns = codec(_MESSAGE).decode(batch.column("value")).to_pylist()
                places = batch.select(["source_partition", "source_offset"]).to_pylist()
                for row, place in zip(columns, places, strict=True):
                    at = Place(dlq, place["source_partition"], place["source_offset"])
                    came = Place(row.pop("topic"), row.pop("partition"), row.pop("offset"))
                    yield DeadLetter(at, came, **row)
            if poll.ended:
                return
            if time.monotonic() > deadline:
                raise UnreachableError(f"the broker at {bootstrap} stopped answering", topic=dlq)
            time.sleep(0.002)
    finally:
        source.close()


def find(bootstrap: str, place: Place, dlq: str = TOPIC) -> DeadLetter:
    """The letter that lies at ``place``, or whose message came from there. Raises UsageError when there is none."""
    for letter in letters(bootstrap, dlq):
        if place in (letter.at, letter.source):
            return letter
    raise UsageError(f"no dead letter lies at or came from {place}", hint="mevflow dlq list")


def replay(bootstrap: str, chosen: Iterable[DeadLetter]) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """Send raw bytes back to their topic and partition, with their chain time; give (sent, left out).

    Left out are letters that came from a file: there is no topic to send them to. A letter stays where it is, and
    sent twice it is there twice. Raises MevflowError when Kafka does not take one.
    """
    from confluent_kafka import Producer

    there = {info.name: info.ends for info in listing(bootstrap)}
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "lz4", "log_level": 0}
    )
    failed: list[str] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            failed.append(f"{message.topic()}[{message.partition()}]: {error.str()}")

    sent: list[DeadLetter] = []
    left: list[DeadLetter] = []
    for letter in chosen:
        source = letter.source
        if source.partition not in there.get(source.topic, {}):
            left.append(letter)
            continue
        producer.produce(
            source.topic,
            letter.payload,
            partition=source.partition,
            timestamp=letter.timestamp_us // 1000,
            headers=[("dlq", str(letter.at).encode())],
            on_delivery=delivered,
        )
        producer.poll(0)
        sent.append(letter)
    waiting = producer.flush(_FLUSH_S)
    if failed or waiting:
        raise MevflowError(f"Kafka did not take a message: {failed[0] if failed else f'{waiting} not acknowledged'}")
    return sent, left
