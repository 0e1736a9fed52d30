"""The contract of a source, rule by rule."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from mevflow.operators.stage import CAUGHT_UP_US, Watermark
from mevflow.sources.source import Poll, Source
from mevflow.testing.errors import FOREIGN_STATE, ContractBroken, check_all, demand, refused
from mevflow.testing.feed import demand_schema, plain

#: No batch is longer: what comes after it counts on that.
MAX_ROWS = 200_000
#: A source that gives nothing for so many polls in a row has nothing more.
_IDLE_POLLS = 20_000
_SNAPSHOT_SLACK_BYTES = 256


@dataclass(frozen=True)
class SourceCase:
    """A source, and how many rows it has to give.

    ``make`` gives a fresh source of the same settings each time; what it reads must be there before. ``rows`` is how
    many rows are read in a test: all of them for a source that ends, the first ones for one that does not. Rows with
    the same values of ``ordered_by`` (for Kafka: the partition) come in the same order after every restart.
    """

    name: str
    make: Callable[[], Source]
    rows: int
    ends: bool = True
    ordered_by: tuple[str, ...] = ()


def _polls(source: Source, rows: int, ended: bool = False) -> list[Poll]:
    """What polls gave until ``rows`` rows are there, or the end where ``ended``."""
    taken: list[Poll] = []
    count = idle = 0
    while idle < _IDLE_POLLS:
        poll = source.poll()
        given = sum(batch.num_rows for _, batch in poll.batches)
        count += given
        idle = 0 if given else idle + 1
        taken.append(poll)
        if poll.ended or (count >= rows and not ended):
            return taken
        if not given:
            time.sleep(0.001)
    raise ContractBroken(f"{count} rows, not {rows}{' and the end' if ended else ''}, after {len(taken)} polls")


def _tables(case: SourceCase, polls: list[Poll]) -> dict[tuple[object, ...], pa.Table]:
    """The rows by port and by what orders them."""
    batches: dict[str, list[pa.RecordBatch]] = {}
    for poll in polls:
        for port, batch in poll.batches:
            batches.setdefault(port, []).append(batch)
    tables: dict[tuple[object, ...], pa.Table] = {}
    for port, parts in batches.items():
        table = plain(pa.Table.from_batches(parts))
        keys = list(zip(*(table.column(name).to_pylist() for name in case.ordered_by), strict=True))
        groups: dict[tuple[object, ...], list[int]] = {}
        for row in range(table.num_rows):
            groups.setdefault(keys[row] if keys else (), []).append(row)
        for key, rows in groups.items():
            tables[port, *key] = table.take(rows)
    return tables


def _read(case: SourceCase, state: bytes | None = None) -> list[Poll]:
    source = case.make()
    source.open(state)
    try:
        return _polls(source, case.rows, ended=case.ends)
    finally:
        source.close()


def batches_are_as_declared(case: SourceCase) -> None:
    """Every batch is valid, has the declared schema of its port and no more than MAX_ROWS rows."""
    source = case.make()
    declared = source.output_schemas(source.settings)
    for poll in _read(case):
        for port, batch in poll.batches:
            demand(port in declared, f"it gives {port!r}; declared are {sorted(declared)}")
            demand_schema(batch, declared[port], port)
            demand(batch.num_rows <= MAX_ROWS, f"a batch of {batch.num_rows:,} rows; at most {MAX_ROWS:,}")


def given_batches_stay_as_they_were(case: SourceCase) -> None:
    """A batch that was given is the receiver's: later polls do not write into it."""
    source = case.make()
    source.open(None)
    try:
        kept: list[tuple[pa.RecordBatch, bytes]] = []
        count = 0
        while count < case.rows:
            for poll in _polls(source, 1):
                kept += [(batch, bytes(batch.serialize())) for _, batch in poll.batches]
                count += sum(batch.num_rows for _, batch in poll.batches)
    finally:
        source.close()
    demand(all(bytes(batch.serialize()) == was for batch, was in kept), "a batch changed after it was given")


def watermarks_hold(case: SourceCase) -> None:
    """A watermark never falls (but after "caught up"), no row is older than one before it, and an end is final."""
    last = Watermark(0)
    polls = _read(case)
    for poll in polls:
        for _, batch in poll.batches:
            if "timestamp_us" in batch.schema.names and last.hold_us != CAUGHT_UP_US:
                oldest = min(batch.column("timestamp_us").to_pylist())
                demand(oldest >= last.hold_us, f"a row at {oldest} us after a watermark of {last.hold_us} us")
        if poll.watermark is not None:
            fell = poll.watermark.hold_us < last.hold_us != CAUGHT_UP_US
            demand(not fell, f"the watermark falls from {last.hold_us} to {poll.watermark.hold_us} us")
            last = poll.watermark
    if case.ends:
        demand(polls[-1].ended, "it does not end")
        demand(last.final and last.hold_us == CAUGHT_UP_US, f"it ends with {last}, not with a final CAUGHT_UP_US")


def a_resumed_source_gives_exactly_the_rest(case: SourceCase) -> None:
    """Opened at a snapshot taken after any poll, a fresh source gives the rows after it: none lost, none twice."""
    whole = _tables(case, _read(case))
    for share in (0.0, 0.3, 0.7, 1.0):
        first, second = case.make(), case.make()
        first.open(None)
        part = int(case.rows * share)
        polls = _polls(first, part) if part else []
        state = first.snapshot()
        demand(first.snapshot() == state, "two snapshots in a row differ")
        first.close()  # what a snapshot says must not depend on a tidy end: nothing is read from `first` now
        count = sum(batch.num_rows for poll in polls for _, batch in poll.batches)
        second.open(state)
        try:
            if count < case.rows or case.ends:
                polls += _polls(second, case.rows - count, ended=case.ends)
        finally:
            second.close()
        found = _tables(case, polls)
        demand(found.keys() == whole.keys(), f"resumed after {count} rows: {sorted(found)}, not {sorted(whole)}")
        for key, table in whole.items():
            rows = min(table.num_rows, found[key].num_rows) if not case.ends else table.num_rows
            demand(
                found[key].slice(0, rows).equals(table.slice(0, rows)) and (not case.ends or found[key].equals(table)),
                f"resumed after {count} rows, {key} is not what it is without a restart",
            )


def foreign_state_is_refused(case: SourceCase) -> None:
    """What is no snapshot raises StateError."""
    source = case.make()
    try:
        with refused("a foreign snapshot"):
            source.open(FOREIGN_STATE)
    finally:
        source.close()


def the_position_stays_small(case: SourceCase) -> None:
    """A snapshot is a position, not the rows: it does not grow with what was read."""
    source = case.make()
    source.open(None)
    try:
        polls = _polls(source, max(1, case.rows // 4))
        early = len(source.snapshot())
        left = case.rows - sum(batch.num_rows for poll in polls for _, batch in poll.batches)
        _polls(source, left, ended=case.ends)
        late = len(source.snapshot())
        demand(late <= early + _SNAPSHOT_SLACK_BYTES, f"its snapshot grows from {early:,} to {late:,} bytes")
        demand(source.behind() >= 0, f"it is {source.behind()} rows behind")
    finally:
        source.close()


SOURCE_RULES: dict[str, Callable[[SourceCase], None]] = {
    rule.__name__: rule
    for rule in (
        batches_are_as_declared,
        given_batches_stay_as_they_were,
        watermarks_hold,
        a_resumed_source_gives_exactly_the_rest,
        foreign_state_is_refused,
        the_position_stays_small,
    )
}


def check_source(case: SourceCase) -> None:
    """Try every rule. Raises ContractBroken that names the first one that the source breaks."""
    check_all(SOURCE_RULES, case)
