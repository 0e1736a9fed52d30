"""How far a feed has come on a topic: a mark on every record, and what of it is remembered between runs.

Every record of a feed has a header ``feed``: 8 bytes that name the feed (its files' content), 8 bytes of sequence
number. A partition takes a feed's records in sequence and without gaps (idempotent producer, gapless), so the highest
number that a partition holds says what it still lacks. The topic is the truth; ``<var>/feed/<feed>.json`` only
saves reading it all again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from mevflow.operators.errors import UnreachableError
from mevflow.operators.private import private_folder, write_private

HEADER = "feed"
_FORMAT = b"mevflow-feed-1"
_ANSWER_S = 30.0


def feed_id(paths: Iterable[Path]) -> bytes:
    """8 bytes of the files' content, in their order."""
    whole = blake2b(_FORMAT, digest_size=8)
    for path in paths:
        one = blake2b(digest_size=16)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                one.update(block)
        whole.update(one.digest())
    return whole.digest()


def mark(feed: bytes, sequence: int) -> bytes:
    """The header of a record."""
    return feed + sequence.to_bytes(8, "big")


@dataclass
class Progress:
    """By topic and partition: the highest sequence number there (-1: none) and its offset; read up to ``scanned``."""

    cluster: str
    last: dict[str, dict[int, int]] = field(default_factory=dict)
    offset: dict[str, dict[int, int]] = field(default_factory=dict)
    scanned: dict[str, dict[int, int]] = field(default_factory=dict)
    complete: bool = False
    messages: int = 0

    @classmethod
    def load(cls, path: Path, cluster: str) -> Progress:
        """What an earlier run remembered of this cluster; empty when there is nothing of use."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return cls(cluster)
        return found if found.cluster == cluster else cls(cluster)

    def save(self, path: Path) -> None:
        private_folder(path.parent)
        write_private(path, msgspec.json.encode(self))

    def places(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The numbers of a topic, with an entry for every partition."""
        last = self.last.setdefault(topic, {})
        for partition in partitions:
            last.setdefault(partition, -1)
        return last


class Topics:
    """Reads marks back from the topics. One client for a feed."""

    def __init__(self, bootstrap: str, feed: bytes) -> None:
        from confluent_kafka import Consumer

        self._feed = feed
        self._bootstrap = bootstrap
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "mevflow-feed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 2,
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def still_holds(self, progress: Progress, ends: Mapping[str, Mapping[int, tuple[int, int]]]) -> bool:
        """Whether what is remembered is on the topics: the last record of every partition bears its mark.

        Records that retention has deleted since are taken as said.
        """
        wanted: dict[tuple[str, int], int] = {}
        for topic, places in progress.offset.items():
            for partition, offset in places.items():
                start, stop = ends.get(topic, {}).get(partition, (0, 0))
                if offset >= stop:
                    return False
                if offset >= start:
                    wanted[topic, partition] = offset
        found = self._read(wanted, {place: offset + 1 for place, offset in wanted.items()})
        return all(marks == [(wanted[place], progress.last[place[0]][place[1]])] for place, marks in found.items())

    def scan(
        self,
        progress: Progress,
        topic: str,
        ends: Mapping[int, tuple[int, int]],
        starts: Mapping[int, int],
    ) -> None:
        """Bring ``progress`` up to date with a topic; reads from ``starts`` what was not read before."""
        last, at = progress.places(topic, ends), progress.offset.setdefault(topic, {})
        scanned = progress.scanned.setdefault(topic, {})
        begin = {(topic, p): max(scanned.get(p, starts[p]), ends[p][0]) for p in ends}
        stop = {(topic, p): ends[p][1] for p in ends}
        for (_, partition), marks in self._read(begin, stop).items():
            for offset, sequence in marks:
                if sequence > last[partition]:
                    last[partition], at[partition] = sequence, offset
        scanned.update({p: ends[p][1] for p in ends})

    def _read(
        self, begin: Mapping[tuple[str, int], int], stop: Mapping[tuple[str, int], int]
    ) -> dict[tuple[str, int], list[tuple[int, int]]]:
        """This feed's (offset, sequence number) in ranges of offsets. Raises UnreachableError."""
        from confluent_kafka import TopicPartition

        found: dict[tuple[str, int], list[tuple[int, int]]] = {place: [] for place in begin}
        open_ = {place for place in begin if begin[place] < stop[place]}
        if not open_:
            return found
        self._consumer.assign([TopicPartition(*place, begin[place]) for place in sorted(open_)])
        deadline = time.monotonic() + _ANSWER_S
        while open_:
            for message in self._consumer.consume(10_000, 0.1):
                deadline = time.monotonic() + _ANSWER_S
                place = (str(message.topic()), int(message.partition() or 0))
                offset = int(message.offset() or 0)
                if message.error() is not None or offset + 1 >= stop[place]:
                    open_.discard(place)
                if message.error() is None and offset < stop[place]:
                    self._note(message, offset, found[place])
            if time.monotonic() > deadline:
                raise UnreachableError(f"the broker at {self._bootstrap} stopped answering")
        self._consumer.unassign()
        return found

    def _note(self, message: Any, offset: int, into: list[tuple[int, int]]) -> None:
        for name, value in message.headers() or ():
            if name == HEADER and value[:8] == self._feed:
                into.append((offset, int.from_bytes(value[8:], "big")))
