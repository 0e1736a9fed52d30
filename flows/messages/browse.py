"""A page of a topic's records: read in columns, filtered in columns, and only what is shown becomes objects.

What is read is bounded by rows, bytes and time; ``next`` says where each partition goes on, so that pages meet without
a gap or a double, also at the end of the log: asking again with it is a live tail.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.flows.messages.look import Look
from mevflow.flows.messages.reading import TopicReading
from mevflow.operators.errors import UnreachableError
from mevflow.operators.stage import StageContext
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

MAX_ROWS, MAX_BYTES, MAX_S = 50_000, 32 << 20, 8.0
_STALLED_S = 10.0


@dataclass(frozen=True, slots=True)
class PageRequest(TopicReading):
    """At most ``limit`` rows; ``start`` is ``newest`` or ``earliest``."""

    limit: int = 100


@dataclass(slots=True)
class MessagePage:
    """``read`` rows were looked at, and those that pass are in ``rows``; what lies before the page was ``skipped``.

    ``next``: where each partition goes on; ``behind``: records after it, as the log ended when the page began.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0
    skipped: int = 0
    undecodable: int = 0
    bytes: int = 0
    next: dict[int, int] = field(default_factory=dict)
    behind: int = 0
    took_ms: float = 0.0

    @property
    def shown(self) -> int:
        return len(self.rows)


def read_page(bootstrap: str, asked: PageRequest) -> MessagePage:
    """Raises UsageError (no such topic, partition), UnreachableError."""
    began = time.monotonic()
    ends = {partition: bounds for partition, bounds in asked.ends(bootstrap).items() if asked.wants(partition)}
    back = (MAX_ROWS if asked.by.chooses else asked.limit) // max(1, len(ends))
    starts = asked.starts(bootstrap, ends, max(1, back))
    page = MessagePage(next=dict(starts))
    if asked.places is None:
        page.skipped = sum(starts[partition] - first for partition, (first, _) in ends.items())
    share = max(1, MAX_ROWS // max(1, len(ends)))
    stops = {
        partition: min(stop, starts[partition] + share)
        for partition, (_, stop) in ends.items()
        if starts[partition] < stop
    }
    if stops:
        look = Look(asked.by)
        ended = True
        with closing(_batches(bootstrap, asked.topic, starts, stops)) as batches:
            for partition, raw in batches:
                _take(page, asked, look, partition, raw)
                if page.shown >= asked.limit or page.bytes >= MAX_BYTES or time.monotonic() - began > MAX_S:
                    ended = False
                    break
        if ended:  # what a transaction or compaction left out of the log is passed too
            page.next.update(stops)
    page.rows.sort(key=lambda row: (row["timestamp_us"], row["partition"], row["offset"]))
    page.behind = sum(max(0, stop - page.next[partition]) for partition, (_, stop) in ends.items())
    page.took_ms = round((time.monotonic() - began) * 1000, 1)
    return page


def _batches(
    bootstrap: str, topic: str, starts: Mapping[int, int], stops: Mapping[int, int]
) -> Generator[tuple[int, pa.RecordBatch]]:
    """RAW batches, each of one partition."""
    settings = KafkaSourceSettings(
        bootstrap=bootstrap,
        topic=topic,
        start_offsets={partition: starts[partition] for partition in stops},
        stop_offsets=dict(stops),
        group="mevflow-browse",
        on_gap="earliest",
        max_rows=5_000,
    )
    source = KafkaSource(settings, StageContext("browse", topic))
    try:
        source.open(None)
        heard = time.monotonic()
        while True:
            poll = source.poll()
            for _, raw in poll.batches:
                heard = time.monotonic()
                yield from by_partition(raw)
            if poll.ended:
                return
            if time.monotonic() - heard > _STALLED_S:
                raise UnreachableError(f"the broker at {bootstrap} stopped answering", topic=topic)
            time.sleep(0.002)
    finally:
        source.close()


def by_partition(raw: pa.RecordBatch) -> Generator[tuple[int, pa.RecordBatch]]:
    """A batch in pieces of one partition each."""
    partitions = raw.column("source_partition").to_numpy()
    cuts = [0, *(np.flatnonzero(np.diff(partitions)) + 1).tolist(), raw.num_rows]
    for begin, end in pairwise(cuts):
        yield int(partitions[begin]), raw.slice(begin, end - begin)


def _take(page: MessagePage, asked: PageRequest, look: Look, partition: int, raw: pa.RecordBatch) -> None:
    """Look at a batch up to the page's last row; what comes after stays for the next page."""
    found = look.at(raw)
    room = asked.limit - page.shown
    count = raw.num_rows if len(found.hits) <= room else int(found.hits[room])
    page.read += count
    page.undecodable += found.undecodable(count)
    page.bytes += int(pc.sum(pc.binary_length(raw.column("value").slice(0, count))).as_py() or 0)
    page.next[partition] = int(found.offsets[count - 1]) + 1 if count else page.next[partition]
    page.rows += [found.row(at, partition) for at in found.hits[:room].tolist()]
