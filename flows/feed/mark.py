"""Which messages of a feed its topics hold: a mark on every record, and what of it is remembered between runs.

Every record of a feed has a header ``feed``: 8 bytes that name the feed (its files' content), 8 bytes of sequence
number. What the topics hold is the set of these numbers, in whatever partition they are found: a topic may be given
more partitions, which moves keys. The topic is the truth; ``<var>/feed/<feed>.json`` only saves reading it all again.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mevflow.kafka.security import reach
from mevflow.operators.errors import UnreachableError
from mevflow.processes.status_file import write_status

HEADER = "feed"
_FORMAT = b"mevflow-feed-1"
_ANSWER_S = 30.0
#: A record's number is believed up to here: a stranger's header may not make the set large.
_MAX_MESSAGES = 1 << 28


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


class Numbers:
    """A set of sequence numbers: a bit each."""

    def __init__(self, there: NDArray[np.bool_] | None = None) -> None:
        self._there = np.zeros(0, bool) if there is None else there

    def add(self, numbers: Iterable[int]) -> None:
        """Put them in."""
        found = np.fromiter(numbers, np.int64)
        if not len(found):
            return
        need = int(found.max()) + 1
        if need > len(self._there):
            self._there = np.concatenate(
                [self._there, np.zeros(max(need, 2 * len(self._there)) - len(self._there), bool)]
            )
        self._there[found] = True

    def missing(self, first: int, count: int) -> NDArray[np.int64]:
        """Which of ``count`` numbers from ``first`` on are not in it, counted from ``first``."""
        known = self._there[first : first + count]
        return np.concatenate([np.flatnonzero(~known), np.arange(len(known), count)])

    def __len__(self) -> int:
        return int(self._there.sum())

    def pack(self) -> bytes:
        """As it is kept in a file."""
        return zlib.compress(np.packbits(self._there).tobytes(), 1)

    @classmethod
    def unpack(cls, packed: bytes) -> Numbers:
        """Undo :meth:`pack`. Raises ValueError."""
        try:
            bits = np.frombuffer(zlib.decompress(packed), np.uint8) if packed else np.zeros(0, np.uint8)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        return cls(np.unpackbits(bits).astype(bool))


@dataclass
class FeedProgress:
    """``there``: the packed numbers that the topics hold, as of ``scanned`` (topic -> partition -> offset).

    ``last`` and ``offset`` are the number and the offset of the newest record of the feed in each partition: they tell
    whether the topics are still those that were read.
    """

    cluster: str
    there: bytes
    last: dict[str, dict[int, int]] = field(default_factory=dict)
    offset: dict[str, dict[int, int]] = field(default_factory=dict)
    scanned: dict[str, dict[int, int]] = field(default_factory=dict)
    complete: bool = False
    messages: int = 0

    @classmethod
    def load(cls, path: Path, cluster: str) -> FeedProgress:
        """What an earlier run remembered of this cluster; empty when there is nothing of use."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
            Numbers.unpack(found.there)
        except (OSError, msgspec.DecodeError, ValueError):
            return cls(cluster, b"")
        return found if found.cluster == cluster else cls(cluster, b"")

    def save(self, path: Path) -> None:
        """Remember it; a disk that does not take it costs the next run a scan."""
        write_status(path, self)

    def note(self, topic: str, partition: int, offset: int, sequence: int) -> None:
        """A record of the feed is at this offset."""
        if offset >= self.offset.setdefault(topic, {}).get(partition, -1):
            self.offset[topic][partition] = offset
            self.last.setdefault(topic, {})[partition] = sequence


class Topics:
    """Reads marks back from the topics. One client for a feed."""

    def __init__(self, bootstrap: str, feed: bytes) -> None:
        from confluent_kafka import Consumer

        self._feed = feed
        self._bootstrap = bootstrap
        self._consumer = Consumer(
            {
                **reach(bootstrap),
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

    def still_holds(self, progress: FeedProgress, ends: Mapping[str, Mapping[int, tuple[int, int]]]) -> bool:
        """Whether what is remembered is on the topics: the newest record of every partition bears its mark.

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
        progress: FeedProgress,
        topic: str,
        ends: Mapping[int, tuple[int, int]],
        starts: Mapping[int, int],
    ) -> None:
        """Bring ``progress`` up to date with a topic; reads from ``starts`` what was not read before."""
        scanned = progress.scanned.setdefault(topic, {})
        begin = {(topic, p): max(scanned.get(p, starts[p]), ends[p][0]) for p in ends}
        stop = {(topic, p): ends[p][1] for p in ends}
        numbers = Numbers.unpack(progress.there)
        for (_, partition), marks in self._read(begin, stop).items():
            numbers.add(sequence for _, sequence in marks)
            for offset, sequence in marks[-1:]:
                progress.note(topic, partition, offset, sequence)
        progress.there = numbers.pack()
        scanned.update({p: ends[p][1] for p in ends})

    def _read(
        self, begin: Mapping[tuple[str, int], int], stop: Mapping[tuple[str, int], int]
    ) -> dict[tuple[str, int], list[tuple[int, int]]]:
        """This feed's (offset, sequence number) in ranges of offsets. Raises UnreachableError."""
        from confluent_kafka import KafkaError, TopicPartition

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
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        open_.discard(place)
                    continue  # librdkafka connects again by itself
                if offset + 1 >= stop[place]:
                    open_.discard(place)
                if offset < stop[place]:
                    self._note(message, offset, found[place])
            if time.monotonic() > deadline:
                raise UnreachableError(f"the broker at {self._bootstrap} stopped answering")
        self._consumer.unassign()
        return found

    def _note(self, message: Any, offset: int, into: list[tuple[int, int]]) -> None:
        for name, value in message.headers() or ():
            if name == HEADER and value is not None and len(value) == 16 and value[:8] == self._feed:
                sequence = int.from_bytes(value[8:], "big")
                if sequence < _MAX_MESSAGES:
                    into.append((offset, sequence))
