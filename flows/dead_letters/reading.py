"""The dead letters on their topic, each once, however many topologies wrote it.

Records with the reason ``sent`` or ``purged`` are no letters: they mark what was done about the letter of their
coordinates and stage (see :mod:`mevflow.flows.dead_letters.desk`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mevflow.kafka.topics import listing
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UnreachableError, UsageError
from mevflow.operators.stage import StageContext

#: Reasons of the marks.
SENT, PURGED = "sent", "purged"
TOPIC = "dlq"
_MESSAGE = "mevflow.v1.DeadLetter"
_COORDINATES = re.compile(r"(?P<topic>.+)\[(?P<partition>\d+)\]@(?P<offset>\d+)")
_STALLED_S = 30.0


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


#: What a letter is known by: where its message came from, and the stage that refused it.
Key = tuple[Place, str]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A letter: where it lies, where the message came from, why it was rejected, its bytes.

    ``copies`` counts the letters that say the same, one for each topology and run that read the message. ``sent`` says
    that the message was sent again. A payload that is cut off has its whole ``size`` and ``sha256`` beside it.
    """

    at: Place
    source: Place
    timestamp_us: int
    topology: str
    run_id: str
    stage: str
    reason: str
    detail: str
    payload: bytes
    size: int = 0
    sha256: bytes = b""
    copies: int = 1
    sent: bool = False

    @property
    def key(self) -> Key:
        return self.source, self.stage

    @property
    def bytes(self) -> int:
        """Of the whole message."""
        return self.size or len(self.payload)

    def as_dict(self, payload: bool = False) -> dict[str, Any]:
        """For ``--json``; the payload as hex."""
        names = ("timestamp_us", "topology", "run_id", "stage", "reason", "detail", "copies", "sent")
        plain = {"at": str(self.at), "source": str(self.source), **{name: getattr(self, name) for name in names}}
        plain |= {"bytes": self.bytes, "cut_off": bool(self.size)}
        if self.size:
            plain["sha256"] = self.sha256.hex()
        return plain | ({"payload": self.payload.hex()} if payload else {})


def letters(bootstrap: str, dlq: str = TOPIC) -> Iterator[DeadLetter]:
    """The letters that there are now, each once, oldest first by chain time as far as partitions allow.

    The topic is read first for what was done and how often each letter is there, then for the letters: no more than
    keys are held in memory. Raises UnreachableError, or UsageError when there is no such topic.
    """
    copies: dict[Key, int] = {}
    sent: set[Place] = set()
    for letter, mark in marked(bootstrap, dlq):
        if letter.reason == SENT:
            sent.add(letter.source)
        elif letter.reason != PURGED and mark != PURGED:
            copies[letter.key] = copies.get(letter.key, 0) + 1
    for letter in _all(bootstrap, dlq, ends_of(bootstrap, dlq)):
        if letter.reason not in (SENT, PURGED) and (count := copies.pop(letter.key, 0)):
            yield replace(letter, copies=count, sent=letter.source in sent)


def marked(bootstrap: str, dlq: str) -> Iterator[tuple[DeadLetter, str]]:
    """Every record of the topic, marks included, with PURGED where that was done about its letter, else nothing."""
    ends = ends_of(bootstrap, dlq)
    purged = {letter.key for letter in _all(bootstrap, dlq, ends) if letter.reason == PURGED}
    for letter in _all(bootstrap, dlq, ends):
        yield letter, PURGED if letter.key in purged else ""


def ends_of(bootstrap: str, dlq: str) -> dict[int, int]:
    """The next offset of every partition of the topic. Raises UnreachableError, UsageError."""
    return {p: stop for p, (_, stop) in listing(bootstrap, [dlq])[0].ends.items()}


def _all(bootstrap: str, dlq: str, ends: dict[int, int]) -> Iterator[DeadLetter]:
    """Every record of the topic up to ``ends``, marks included."""
    from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

    wanted = KafkaSourceSettings.model_validate(
        {"bootstrap": bootstrap, "topic": dlq, "start": "earliest", "stop_offsets": ends, "group": "mevflow-dlq"}
    )
    source = KafkaSource(wanted, StageContext("dlq", "list"))
    decode = Decode(DecodeSettings(message=_MESSAGE), StageContext("dlq", "decode"))
    try:
        source.open(None)
        deadline = time.monotonic() + _STALLED_S
        while True:
            poll = source.poll()
            for _, raw in poll.batches:
                deadline = time.monotonic() + _STALLED_S
                for port, batch in decode.process("in", raw):
                    if port == "out":  # what is no letter is nobody's letter
                        yield from map(_letter, batch.to_pylist())
            if poll.ended:
                return
            if time.monotonic() > deadline:
                raise UnreachableError(f"the broker at {bootstrap} stopped answering", topic=dlq)
            time.sleep(0.002)
    finally:
        source.close()


def _letter(row: dict[str, Any]) -> DeadLetter:
    at = Place(row.pop("source_topic"), row.pop("source_partition"), row.pop("source_offset"))
    came = Place(row.pop("topic"), row.pop("partition"), row.pop("offset"))
    return DeadLetter(at, came, **row)


def find(bootstrap: str, place: Place, dlq: str = TOPIC) -> DeadLetter:
    """The letter that lies at ``place``, or whose message came from there. Raises UsageError when there is none."""
    return find_all(bootstrap, [place], dlq)[0]


def find_all(bootstrap: str, places: Sequence[Place], dlq: str = TOPIC) -> list[DeadLetter]:
    """:func:`find` for each place; the topic is read once, however many there are."""
    wanted, found = set(places), dict[Place, DeadLetter]()
    for letter in letters(bootstrap, dlq):
        for place in wanted.intersection((letter.at, letter.source)):
            found.setdefault(place, letter)
    copies = {place for place in wanted - found.keys() if place.topic == dlq}  # each one of several
    for letter in _all(bootstrap, dlq, ends_of(bootstrap, dlq)) if copies else ():
        if letter.at in copies and letter.reason not in (SENT, PURGED):
            found[letter.at] = letter
    for place in places:
        if place not in found:
            raise UsageError(f"no dead letter lies at or came from {place}", hint="mevflow dlq list")
    return [found[place] for place in places]
