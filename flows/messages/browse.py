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

from mevflow.flows.messages.conditions import Condition
from mevflow.kafka.topics import listing, offsets_for_times
from mevflow.operators.codec import codec, message_type
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UnreachableError
from mevflow.operators.readable import readable
from mevflow.operators.stage import StageContext
from mevflow.sinks.websocket.sink import pools_of
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

MAX_ROWS, MAX_BYTES, MAX_S = 50_000, 32 << 20, 8.0
_PREVIEW = 64
_STALLED_S = 10.0


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What to read. ``schema`` empty: values are not decoded. ``pool`` and ``text`` and all ``conditions`` must hold.

    Where it begins, the first that is given counts: ``places`` (next offset by partition), ``from_us`` (chain time),
    ``start`` (``newest`` or ``earliest``). ``partitions`` None: all.
    """

    topic: str
    schema: str
    limit: int = 100
    places: Mapping[int, int] | None = None
    from_us: int | None = None
    start: str = "newest"
    partitions: frozenset[int] | None = None
    conditions: tuple[Condition, ...] = ()
    pool: bytes = b""
    text: str = ""

    @property
    def filters(self) -> bool:
        """Whether rows are chosen."""
        return bool(self.conditions or self.pool or self.text)


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
    ends = {
        partition: bounds
        for partition, bounds in listing(bootstrap, [asked.topic])[0].ends.items()
        if asked.partitions is None or partition in asked.partitions
    }
    starts = _starts(bootstrap, asked, ends)
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
        decode = (
            Decode(DecodeSettings(message=asked.schema), StageContext("browse", "decode")) if asked.schema else None
        )
        ended = True
        with closing(_batches(bootstrap, asked.topic, starts, stops)) as batches:
            for partition, raw in batches:
                _take(page, asked, decode, partition, raw)
                if page.shown >= asked.limit or page.bytes >= MAX_BYTES or time.monotonic() - began > MAX_S:
                    ended = False
                    break
        if ended:  # what a transaction or compaction left out of the log is passed too
            page.next.update(stops)
    page.rows.sort(key=lambda row: (row["timestamp_us"], row["partition"], row["offset"]))
    page.behind = sum(max(0, stop - page.next[partition]) for partition, (_, stop) in ends.items())
    page.took_ms = round((time.monotonic() - began) * 1000, 1)
    return page


def _starts(bootstrap: str, asked: PageRequest, ends: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    if asked.places is not None:
        # What the log has lost meanwhile is passed; what it does not have yet is waited for.
        return {p: min(max(asked.places.get(p, first), first), stop) for p, (first, stop) in ends.items()}
    if asked.from_us is not None:
        found = offsets_for_times(bootstrap, asked.topic, asked.from_us, None)
        return {partition: found[partition][0] for partition in ends}
    if asked.start == "earliest":
        return {partition: first for partition, (first, _) in ends.items()}
    back = (MAX_ROWS if asked.filters else asked.limit) // max(1, len(ends))
    return {partition: max(first, stop - max(1, back)) for partition, (first, stop) in ends.items()}


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
                partitions = raw.column("source_partition").to_numpy()
                cuts = [0, *(np.flatnonzero(np.diff(partitions)) + 1).tolist(), raw.num_rows]
                for begin, end in pairwise(cuts):
                    yield int(partitions[begin]), raw.slice(begin, end - begin)
            if poll.ended:
                return
            if time.monotonic() - heard > _STALLED_S:
                raise UnreachableError(f"the broker at {bootstrap} stopped answering", topic=topic)
            time.sleep(0.002)
    finally:
        source.close()


def _take(page: MessagePage, asked: PageRequest, decode: Decode | None, partition: int, raw: pa.RecordBatch) -> None:
    """Look at a batch up to the page's last row; what comes after stays for the next page."""
    offsets = raw.column("source_offset").to_numpy()
    good = np.ones(raw.num_rows, bool) if decode is None else np.zeros(raw.num_rows, bool)
    chosen = np.zeros(raw.num_rows, bool)
    whys: dict[int, str] = {}
    for port, batch in decode.process("in", raw) if decode is not None else ():
        if port == "out":
            at = np.searchsorted(offsets, batch.column("source_offset").to_numpy())
            good[at] = True
            chosen[at] = _matching(asked, batch)
        else:
            at = np.searchsorted(offsets, batch.column("offset").to_numpy())
            whys.update(zip(at.tolist(), batch.column("detail").to_pylist(), strict=True))
    if not asked.filters:
        chosen[:] = True
    hits = np.flatnonzero(chosen)
    room = asked.limit - page.shown
    count = raw.num_rows if len(hits) <= room else int(hits[room])
    values = raw.column("value")
    page.read += count
    page.undecodable += int((~good[:count]).sum())
    page.bytes += int(pc.sum(pc.binary_length(values.slice(0, count))).as_py() or 0)
    page.next[partition] = int(offsets[count - 1]) + 1 if count else page.next[partition]
    times = raw.column("timestamp_us")
    for row in hits[:room].tolist():
        value = values[row].as_py()
        shown: dict[str, Any] = {
            "partition": partition,
            "offset": int(offsets[row]),
            "timestamp_us": times[row].as_py(),
            "bytes": len(value),
        }
        if decode is not None and good[row]:
            shown["fields"] = readable(message_type(asked.schema).FromString(value))
        else:
            shown["hex"] = value[:_PREVIEW].hex()
            if decode is not None:
                shown["error"] = whys.get(row, f"not a {asked.schema}")
        page.rows.append(shown)


def _matching(asked: PageRequest, batch: pa.RecordBatch) -> Any:
    found = np.ones(batch.num_rows, bool)
    for condition in asked.conditions:
        found &= condition.rows(batch)
    if asked.pool:
        pools = pools_of(batch)
        holds = np.zeros(batch.num_rows, bool)
        equal = pc.fill_null(pc.equal(pools.flatten(), pa.scalar(asked.pool, pools.type.value_type)), False)
        holds[pc.list_parent_indices(pools).to_numpy()[equal.to_numpy(zero_copy_only=False)]] = True
        found &= holds
    if asked.text:
        holds = np.zeros(batch.num_rows, bool)
        for name in codec(asked.schema).schema.names:
            column = batch.column(name)
            if pa.types.is_string(column.type):
                hit = pc.fill_null(pc.match_substring(column, asked.text, ignore_case=True), False)
                holds |= hit.to_numpy(zero_copy_only=False)
        found &= holds
    return found
