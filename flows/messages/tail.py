"""A topic as a stream for a person or a script: from an offset, a time or an end, on into what comes.

One source reads what is stored and what comes, so the two meet without a gap or a double. The log is the buffer: who
reads slowly is not waited for anywhere else, and goes on where it was. Rows are shown at most so often a second; what
passes the filter beyond that is left out evenly and counted (``sampled``), or with ``every`` waits in the log.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mevflow.flows.messages.browse import by_partition
from mevflow.flows.messages.look import Look, Looked
from mevflow.flows.messages.reading import TopicReading
from mevflow.operators.errors import UsageError
from mevflow.operators.stage import StageContext
from mevflow.sources.kafka.settings import KafkaSourceSettings
from mevflow.sources.kafka.source import KafkaSource

#: Of one row that is shown; of one batch.
MAX_ROW_BYTES, MAX_BATCH_ROWS, MAX_BATCH_BYTES = 64 << 10, 500, 4 << 20
#: Records that are looked at in a second: the reader shares its process with others.
MAX_READ_RATE = 200_000
#: Rows that have come wait so long for others.
_GATHER_S, _IDLE_S = 0.05, 0.005
#: How many records before the end ``newest`` begins.
_NEWEST = 100


@dataclass(frozen=True, slots=True)
class TailRequest(TopicReading):
    """``start``: ``latest`` (what comes from now on), ``newest`` (and a few before it), ``earliest``.

    ``rate``: rows a second; ``every``: none is left out. ``keep_up``: who is further behind (records) goes on at the
    end, and what was passed counts as ``dropped``; 0: never.
    """

    start: str = "latest"
    rate: int = 100
    every: bool = False
    keep_up: int = 0


@dataclass(slots=True)
class TailBatch:
    """What came since the last one: ``received`` were looked at, ``matched`` of them pass, ``sampled`` of those are not
    in ``rows``; ``dropped`` were never looked at. ``next``: where each partition goes on; ``behind``: records after it.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    received: int = 0
    matched: int = 0
    sampled: int = 0
    dropped: int = 0
    undecodable: int = 0
    next: dict[int, int] = field(default_factory=dict)
    behind: int = 0


class TopicTail:
    """One reader. ``open``, then ``take`` again and again, then ``close``; all of them block."""

    def __init__(self, bootstrap: str, asked: TailRequest) -> None:
        self._bootstrap, self._asked = bootstrap, asked
        self._look = Look(asked.by)
        self._left: deque[tuple[int, Looked, int]] = deque()  # a piece, and its rows that are done with
        self._tokens = float(asked.rate)
        self._readable = float(MAX_READ_RATE)
        self._dropped = 0
        self._at = time.monotonic()
        self._source: KafkaSource | None = None

    def open(self) -> None:
        """Raises UsageError (no such topic or partition), UnreachableError."""
        asked = self._asked
        ends = asked.ends(self._bootstrap)
        missing = sorted((asked.partitions or frozenset()) - ends.keys())
        if missing:
            raise UsageError(f"{asked.topic} has no partition {missing[0]}", key="partition")
        self._begin(self._starts(ends))

    def take(self, seconds: float) -> TailBatch:
        """What has come, at the latest after ``seconds`` (nothing then, but the counts are). Raises MevflowError."""
        batch = TailBatch(dropped=self._dropped)
        self._dropped = 0
        now = time.monotonic()
        until, gathered = now + seconds, None
        size = 0
        while now < (until if gathered is None else min(until, gathered)):
            self._earn(now)
            piece = self._piece()
            if piece is None:
                time.sleep(_IDLE_S)
            else:
                size += self._show(batch, *piece)
                if len(batch.rows) >= MAX_BATCH_ROWS or size >= MAX_BATCH_BYTES:
                    break
                if gathered is None and batch.rows:
                    gathered = time.monotonic() + _GATHER_S
            now = time.monotonic()
        batch.next = dict(self._next)
        assert self._source is not None
        batch.behind = self._source.behind() + sum(look.raw.num_rows - done for _, look, done in self._left)
        if self._asked.keep_up and batch.behind > self._asked.keep_up:
            self._leap()
        return batch

    def close(self) -> None:
        """Let go of the broker."""
        if self._source is not None:
            self._source.close()

    def _earn(self, now: float) -> None:
        passed, self._at = now - self._at, now
        self._tokens = min(float(self._asked.rate), self._tokens + passed * self._asked.rate)
        self._readable = min(float(MAX_READ_RATE), self._readable + passed * MAX_READ_RATE)

    def _piece(self) -> tuple[int, Looked, int] | None:
        """What to look at next; None while nothing has come, or nothing more may be looked at or shown."""
        if self._asked.every and self._tokens < 1:
            return None
        if not self._left and self._readable > 0:
            assert self._source is not None
            for _, raw in self._source.poll().batches:
                self._readable -= raw.num_rows
                self._left += [(partition, self._look.at(piece), 0) for partition, piece in by_partition(raw)]
        return self._left.popleft() if self._left else None

    def _show(self, batch: TailBatch, partition: int, found: Looked, done: int) -> int:
        """Make rows of a piece from its row ``done`` on; gives the bytes of those that are shown."""
        hits = found.hits[np.searchsorted(found.hits, done) :]
        stop, chosen = found.raw.num_rows, hits
        allowed, room = int(self._tokens), MAX_BATCH_ROWS - len(batch.rows)
        if len(hits) > min(allowed, room):
            if self._asked.every or allowed > room:  # the rest is of a later batch
                chosen = hits[: min(allowed, room)]
                stop = int(hits[len(chosen)])
                self._left.appendleft((partition, found, stop))
            else:
                chosen = hits[np.linspace(0, len(hits) - 1, allowed).astype(np.int64)] if allowed else hits[:0]
        matched = len(hits) if stop == found.raw.num_rows else len(chosen)
        batch.received += stop - done
        batch.matched += matched
        batch.sampled += matched - len(chosen)
        batch.undecodable += found.undecodable(stop) - found.undecodable(done)
        if stop:
            self._next[partition] = int(found.offsets[stop - 1]) + 1
        rows = [found.row(at, partition, MAX_ROW_BYTES) for at in chosen.tolist()]
        batch.rows += rows
        self._tokens -= len(rows)
        return sum(min(row["bytes"], MAX_ROW_BYTES) for row in rows)

    def _starts(self, ends: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Where to begin; what the log has lost of what was asked for counts as dropped."""
        asked = self._asked
        places = asked.places or {}
        self._dropped += sum(max(0, first - places.get(p, first)) for p, (first, _) in ends.items() if asked.wants(p))
        back = _NEWEST // max(1, len(ends)) if asked.start == "newest" else 0
        return asked.starts(self._bootstrap, ends, back)

    def _begin(self, starts: Mapping[int, int]) -> None:
        asked = self._asked
        self.close()
        mine = {partition: offset for partition, offset in starts.items() if asked.wants(partition)}
        self._next = dict(mine)
        settings = KafkaSourceSettings(
            bootstrap=self._bootstrap,
            topic=asked.topic,
            start="earliest",
            start_offsets=mine,
            partitions=sorted(mine) if asked.partitions is not None else None,
            group="mevflow-browse",
            on_gap="earliest",
            max_rows=5_000,
            queue_kib=4_096,
        )
        self._source = KafkaSource(settings, StageContext("browse", asked.topic))
        self._source.open(None)

    def _leap(self) -> None:
        """Go on at the end: what lies between was not looked at."""
        stops = {
            partition: stop
            for partition, (_, stop) in self._asked.ends(self._bootstrap).items()
            if self._asked.wants(partition)
        }
        self._dropped += sum(max(0, stop - self._next.get(partition, 0)) for partition, stop in stops.items())
        self._left.clear()
        self._begin(stops)
