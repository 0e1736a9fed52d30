"""Any sequence of crashes: every row is stored once, whatever was cut, stored, snapshotted or re-read when."""

import re
import uuid
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.claim import FencedError
from mevflow.sinks.clickhouse.resume import MAX_SPANS, Spans, _between
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from tests.sinks.clickhouse.rows import DAY_US, OTHER_DAY_US, batch_of, opportunity, swap

MONTH_END_US = 1_651_363_200_000_000  # 2022-05-01T00:00:00Z
_ROWS = 24
_TIMES = (0, MONTH_END_US - 1, MONTH_END_US, DAY_US, OTHER_DAY_US)


class Died(BaseException):
    """The process is gone."""


class World:
    """Two partitions that are read into a sink; what survives a crash is ClickHouse and the last state kept."""

    def __init__(self, port, database, client, times):
        self.name, self.times = f"t{uuid.uuid4().hex[:8]}", times
        self.settings = ClickHouseSettings(port=port, database=database, writers=1, queue_blocks=64, flush_rows=8)
        self.client, self.database = client, database
        self.kept, self.kept_at = None, (0, 0)
        self.at, self.sink = [0, 0], None
        self.restart()

    def restart(self):
        """The process dies; another begins from what was kept. Gives the old one's sink: it may stand still."""
        old, self.sink = self.sink, ClickHouseSink(self.settings, StageContext(self.name, "history"))
        self.sink.open(self.kept)
        self.at = list(self.kept_at)
        return old

    def read(self, partition, count):
        first = self.at[partition]
        numbers = range(first, min(first + count, _ROWS))
        self.at[partition] += len(numbers)
        if numbers:
            rows = [{"timestamp_us": self.times[partition * _ROWS + n]} for n in numbers]
            ids = [partition * 1000 + n for n in numbers]
            self.sink.write(batch_of([opportunity(i, **r) for i, r in zip(ids, rows, strict=True)]))
            swaps = [swap(i, **r) for i, r in zip(ids, rows, strict=True)]
            self.sink.write(batch_of(swaps, first, self.name, partition))

    def snapshot(self, kept):
        state, at = self.sink.snapshot(), tuple(self.at)
        if kept:
            self.kept, self.kept_at = state, at
        else:
            self.close(self.restart())

    def crash_after(self, blocks):
        """Only so many of the blocks that are cut now are stored."""
        client = self.sink._writers._inserter.client
        send, left = client.raw_insert, [blocks]

        def dying(*args, **more):
            if not left[0]:
                raise Died
            left[0] -= 1
            return send(*args, **more)

        client.raw_insert = dying
        with suppress(Died):
            self.sink._flush()
        self.close(self.restart())

    def stand_still(self, count):
        """A second process begins while the first has rows to send; the first sends them afterwards."""
        self.read(0, count)
        zombie = self.restart()
        self.read(0, count // 2)
        with pytest.raises(FencedError):
            zombie.snapshot()
        self.close(zombie)

    def close(self, sink):
        sink._writers.close()
        sink._client.close()

    def ask(self, query):
        found = self.client.query(query, parameters={"like": f"{self.name}/%"}, settings={"database": self.database})
        return found.result_rows[0]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 1), st.integers(1, 10)),
        st.tuples(st.just("snapshot"), st.booleans()),
        st.tuples(st.just("crash_after"), st.integers(0, 6)),
        st.tuples(st.just("stand_still"), st.integers(0, 6)),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS, times=st.lists(st.sampled_from(_TIMES), min_size=2 * _ROWS, max_size=2 * _ROWS))
def test_every_row_is_stored_once(clickhouse_server, clickhouse_client, clickhouse_database, steps, times):
    world = World(clickhouse_server.port, clickhouse_database, clickhouse_client, times)
    for step, *arguments in steps:
        getattr(world, step)(*arguments)
    while world.at != [_ROWS, _ROWS]:
        world.read(0, 5)
        world.read(1, 7)
    world.snapshot(True)
    world.close(world.sink)
    whole = (2 * _ROWS, 2 * _ROWS)
    assert (
        world.ask(
            "SELECT count(), uniqExact(source_partition, source_offset) FROM raw_swaps_rows "
            "WHERE ingest_by LIKE {like:String}"
        )
        == whole
    )
    assert (
        world.ask("SELECT count(), uniqExact(opportunity_id) FROM mev_opportunities WHERE ingest_by LIKE {like:String}")
        == whole
    )


def test_two_crashes_in_a_row_double_nothing(clickhouse_server, clickhouse_client, clickhouse_database):
    """The second comes when three of ten batches have been read again, and a snapshot was kept there."""
    world = World(clickhouse_server.port, clickhouse_database, clickhouse_client, [DAY_US] * 2 * _ROWS)
    world.snapshot(True)
    for _ in range(8):
        world.read(0, 3)
    world.snapshot(False)
    for _ in range(3):
        world.read(0, 3)
    world.snapshot(True)
    world.close(world.restart())
    world.read(0, _ROWS)
    world.snapshot(True)
    world.close(world.sink)
    assert world.ask("SELECT count() FROM raw_swaps_rows WHERE ingest_by LIKE {like:String}") == (_ROWS,)
    assert world.ask("SELECT count() FROM mev_opportunities WHERE ingest_by LIKE {like:String}") == (_ROWS,)
    assert world.ask("SELECT sum(opportunities) FROM mev_stats_1m WHERE ingest_by LIKE {like:String}") == (_ROWS,)


@pytest.mark.parametrize("ends", [DAY_US, 0])
def test_one_cut_of_two_months_of_which_one_block_was_stored(
    clickhouse_server, clickhouse_client, clickhouse_database, ends
):
    times = [MONTH_END_US - 1 + number % 2 for number in range(_ROWS)]
    times[0] = times[9] = ends
    world = World(clickhouse_server.port, clickhouse_database, clickhouse_client, times * 2)
    world.read(1, 10)
    world.crash_after(1)
    world.read(1, 10)
    world.snapshot(True)
    world.close(world.sink)
    found = world.ask("SELECT count(), uniqExact(source_offset) FROM raw_swaps_rows WHERE ingest_by LIKE {like:String}")
    assert found == (10, 10)


@given(st.lists(st.integers(0, 2_000), max_size=600), st.lists(st.integers(0, 2_000), max_size=600))
def test_spans_cover_what_they_were_made_of(first, second):
    joined = Spans.of_minutes(first).joined(Spans.of_minutes(second))
    assert len(joined.spans) <= MAX_SPANS
    assert all(a[1] + 1 < b[0] for a, b in zip(joined.spans, joined.spans[1:], strict=False))
    wanted = np.unique(np.array([*first, *second], np.int64))
    assert joined.holds(wanted).all()
    outside = np.setdiff1d(np.arange(-5, 2_010), wanted)
    if len(wanted) < MAX_SPANS:
        assert not joined.holds(outside).any()


def test_of_a_full_minute_only_what_the_block_spans_is_read_back(
    clickhouse_server, clickhouse_client, clickhouse_database
):
    """2,000 rows of one minute are there; batches of 20 that come again ask for themselves and no more."""
    rows = [opportunity(number, timestamp_us=DAY_US + number * 20_000) for number in range(2_000)]
    settings = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database, flush_rows=20)
    sinks = [ClickHouseSink(settings, StageContext("full", "history")) for _ in range(2)]
    for sink in sinks:
        sink.open(None)
        known, read = sink._known.get("mev_opportunities"), []
        if known is not None:
            ask = known._client.query_arrow
            known._client.query_arrow = lambda *args, ask=ask, read=read, **more: _counted(read, ask(*args, **more))
        for at in range(0, len(rows), 20):
            sink.write(batch_of(rows[at : at + 20]))
        sink.snapshot()
        sink._writers.close()
    assert read == [20] * 100
    found = clickhouse_client.query(f"SELECT count() FROM {clickhouse_database}.mev_opportunities").result_rows
    assert found == [(2_000,)]


def _counted(read, answer):
    read.append(answer.num_rows)
    return answer


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=400))
def test_stretches_hold_every_time_and_are_bounded(times):
    bounds = [[int(us) for us in re.findall(r"Micro\((\d+)", one)] for one in _between(np.sort(times))]
    assert len(bounds) <= MAX_SPANS
    assert all(any(low <= time <= high for low, high in bounds) for time in times)
