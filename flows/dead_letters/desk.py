"""What is done about dead letters: send the messages again, once; take letters off the list.

What was done is marked on the letters' own topic, in one Kafka transaction with the messages that were sent: a message
is sent and marked, or neither. The transaction's id is one for all, so of two commands at once the first is fenced off
and the second sees what the first has done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from mevflow.flows.dead_letters.reading import PURGED, SENT, TOPIC, DeadLetter, Place, ends_of, letters, marked
from mevflow.kafka.security import reach
from mevflow.kafka.topics import admin_client, listing
from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.dead_letters import UNREADABLE
from mevflow.operators.errors import MevflowError, UnreachableError

_ANSWER_S = 30.0
_READ_S = 10.0
#: Beginnings of topics that steer, and of the broker's own. No stage refuses a message of one, but a letter may say so:
#: whoever may write letters must not be able to have a command sent.
_NOT_SENT = ("control-", "__")
#: Letters in one transaction.
_BATCH = 1_000
_LETTER = codec("mevflow.v1.DeadLetter")
Choice = Callable[[DeadLetter], bool]


@dataclass(slots=True)
class SentLetters:
    """Letters by what became of them; ``left_out`` says why."""

    done: list[DeadLetter] = field(default_factory=list)
    already: list[DeadLetter] = field(default_factory=list)
    left_out: list[tuple[DeadLetter, str]] = field(default_factory=list)


def replay(bootstrap: str, wanted: Choice, *, dlq: str = TOPIC, again: bool = False) -> SentLetters:
    """Send the messages of the letters that are ``wanted`` back to their topic and partition, with their chain time.

    A message is sent once, however many stages refused it, unless ``again``. What is sent is the record at the letter's
    coordinates; where the log no longer holds it, the letter's payload if that is whole. Nothing is sent to topics that
    steer. Raises MevflowError when Kafka does not take one, or another command does this at the same time.
    """
    found = SentLetters()
    ends = {info.name: info.ends for info in listing(bootstrap)}
    now: set[Place] = set()
    with _desk(bootstrap) as desk, _Records(bootstrap) as records:
        for letter in filter(wanted, letters(bootstrap, dlq)):
            kept = _light(letter)
            if letter.sent and not again:
                found.already.append(kept)
                continue
            if letter.source not in now:
                value, why = _whole(letter, {} if _is_ours(letter, dlq) else ends, records)
                if value is None:
                    found.left_out.append((kept, why))
                    continue
                desk.send(letter.source.topic, value, letter.source.partition, letter.timestamp_us)
                now.add(letter.source)
            desk.mark(letter, SENT, dlq)
            found.done.append(kept)
    return found


def purge(bootstrap: str, wanted: Choice, *, dlq: str = TOPIC, dry_run: bool = False) -> SentLetters:
    """Take the letters that are ``wanted`` off the list, and delete what lies before the first that stays.

    With ``dry_run`` nothing is changed. Raises MevflowError when Kafka does not take it.
    """
    found = SentLetters()
    if dry_run:
        found.done += map(_light, filter(wanted, letters(bootstrap, dlq)))
        return found
    with _desk(bootstrap) as desk:
        for letter in filter(wanted, letters(bootstrap, dlq)):
            desk.mark(letter, PURGED, dlq)
            found.done.append(_light(letter))
    trim(bootstrap, dlq)
    return found


def trim(bootstrap: str, dlq: str = TOPIC) -> None:
    """Delete the records before the first that is needed: a letter on the list, or a mark.

    Once nothing is on the list and nothing was sent, all goes.
    """
    from kafka import TopicPartition

    cut = dict(ends_of(bootstrap, dlq))
    first = dict(cut)
    for letter, mark in marked(bootstrap, dlq):
        place = letter.at
        if letter.reason in (SENT, PURGED) or mark != PURGED:
            first[place.partition] = min(first[place.partition], place.offset)
        if letter.reason == SENT or (letter.reason != PURGED and mark != PURGED):
            cut = first  # something stays: so do the marks
    with admin_client(bootstrap) as client:
        client.delete_records({TopicPartition(dlq, partition): offset for partition, offset in cut.items()})


def completed(bootstrap: str, letter: DeadLetter) -> DeadLetter:
    """A letter that is cut off with the whole payload, where the log still holds it; any other as it is."""
    if not letter.size:
        return letter
    with _Records(bootstrap) as records:
        value = records.read(letter.source)
    if value is None or hashlib.sha256(value).digest() != letter.sha256:
        return letter
    return replace(letter, payload=value, size=0, sha256=b"")


def _light(letter: DeadLetter) -> DeadLetter:
    """Without its payload, for long lists."""
    return replace(letter, payload=b"", size=letter.bytes)


class _Desk:
    """A transactional producer; a transaction a thousand records."""

    def __init__(self, producer: Any) -> None:
        self._producer, self._open = producer, 0

    def send(self, topic: str, value: bytes, partition: int, timestamp_us: int) -> None:
        """One record of the transaction."""
        if not self._open:
            self._producer.begin_transaction()
        self._open += 1
        self._producer.produce(topic, value, partition=partition, timestamp=max(timestamp_us // 1000, 1))
        self._producer.poll(0)

    def mark(self, letter: DeadLetter, mark: str, dlq: str) -> None:
        """Say what was done about a letter; it lies where the letter lies."""
        source = letter.source
        row = dict.fromkeys(("topology", "run_id", "detail"), "") | {
            "topic": source.topic,
            "partition": source.partition,
            "offset": source.offset,
            "timestamp_us": letter.timestamp_us,
            "stage": letter.stage,
            "reason": mark,
            "payload": b"",
            "size": 0,
            "sha256": b"",
        }
        value = _LETTER.encode(pa.RecordBatch.from_pylist([row], schema=ERRORS))[0].as_py()
        self.send(dlq, value, letter.at.partition, letter.timestamp_us)
        if self._open >= _BATCH:
            self.commit()

    def commit(self) -> None:
        """All or nothing of what was sent since the last call."""
        if self._open:
            self._producer.commit_transaction(_ANSWER_S)
            self._open = 0


@contextmanager
def _desk(bootstrap: str) -> Iterator[_Desk]:
    """Fences off an earlier desk before anything is read. Raises UnreachableError, MevflowError."""
    from confluent_kafka import KafkaException, Producer

    producer = Producer(
        {
            **reach(bootstrap),
            "transactional.id": "mevflow-dlq",
            "compression.type": "lz4",
            "message.max.bytes": 1_000_000_000,
            "log_level": 0,
        }
    )
    try:
        producer.init_transactions(_ANSWER_S)
    except KafkaException as error:
        raise UnreachableError(f"no Kafka broker answers at {bootstrap}", hint="mevflow broker status") from error
    desk = _Desk(producer)
    try:
        yield desk
        desk.commit()
    except KafkaException as error:
        raise MevflowError(
            f"Kafka did not take a message: {error.args[0].str()}",
            hint="mevflow dlq list shows what was sent; another mevflow dlq command may be under way",
        ) from error


class _Records:
    """Single records by their coordinates."""

    def __init__(self, bootstrap: str) -> None:
        self._settings = {
            **reach(bootstrap),
            "group.id": "mevflow-dlq",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "log_level": 0,
        }

    def __enter__(self) -> _Records:
        from confluent_kafka import Consumer

        self._consumer = Consumer(self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, place: Place) -> bytes | None:
        """The record's bytes; None when the log does not hold it or it cannot be unpacked."""
        from confluent_kafka import TopicPartition

        self._consumer.assign([TopicPartition(place.topic, place.partition, place.offset)])
        message = self._consumer.poll(_READ_S)
        if message is None or message.error() is not None or message.offset() != place.offset:
            return None
        return bytes(message.value() or b"")


def _is_ours(letter: DeadLetter, dlq: str) -> bool:
    """Whether a letter says that it came from a topic that no letter comes from."""
    return letter.source.topic.startswith(_NOT_SENT) or letter.source.topic == dlq


def _whole(
    letter: DeadLetter, ends: dict[str, dict[int, tuple[int, int]]], records: _Records
) -> tuple[bytes | None, str]:
    """The bytes to send, or why there are none."""
    source = letter.source
    bounds = ends.get(source.topic, {}).get(source.partition)
    if bounds is None:
        return None, "it came from a file, a topic that is gone, or one that steers"
    there = bounds[0] <= source.offset < bounds[1]
    if there and letter.reason != UNREADABLE and (value := records.read(source)) is not None:
        return value, ""
    if letter.reason == UNREADABLE:
        return None, "its record cannot be read"
    if letter.size:
        return None, "the letter is cut off, and the log no longer holds the record"
    return letter.payload, ""
