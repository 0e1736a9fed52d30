"""Two sinks of one lineage: the later one writes, the earlier one is refused by the engine itself."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient as Client

from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse import sink as sink_module
from mevflow.sinks.clickhouse.claim import FencedError, claim
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sinks.clickhouse.writer import end_inserts
from mevflow.v1.dead_letter_pb2 import DeadLetter
from tests.sinks.clickhouse.rows import DAY_US, batch_of, opportunity, swap


@pytest.fixture
def make_sink(clickhouse_server, clickhouse_database):
    opened = []

    def make(state=None, topology="topo", shard=0, **settings):
        chosen = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database, **settings)
        sink = ClickHouseSink(chosen, StageContext(topology, "history", "", shard))
        sink.open(state)
        opened.append(sink)
        return sink

    yield make
    for sink in opened:
        sink._writers.close()


@pytest.fixture
def ask(clickhouse_client, clickhouse_database):
    """Rows of a query on the test's database."""
    return lambda query: clickhouse_client.query(query, settings={"database": clickhouse_database}).result_rows


def test_two_sinks_of_one_shard_store_a_row_once_and_the_older_one_is_told(make_sink, ask):
    older = make_sink()
    older.write(batch_of([swap(number) for number in range(5)], 0))
    older._flush()
    newer = make_sink()
    rows = batch_of([swap(number) for number in range(10)], 0)
    opportunities = batch_of([opportunity(number) for number in range(10)])
    for sink in (older, newer, older):
        sink.write(rows)
        sink.write(opportunities)
    with pytest.raises(FencedError, match=r"another process writes as topo//history/0 now"):
        older.snapshot()
    newer.snapshot()
    assert ask("SELECT count(), uniqExact(source_offset) FROM raw_swaps_rows") == [(10, 10)]
    assert ask("SELECT count() FROM mev_opportunities") == [(10,)]


def test_a_fence_is_never_lowered_and_numbers_go_on(clickhouse_client, clickhouse_database, ask):
    first = claim(clickhouse_client, clickhouse_database, "a/b/c/0")
    second = claim(clickhouse_client, clickhouse_database, "a/b/c/0")
    assert claim(clickhouse_client, clickhouse_database, "a/b/c/01").epoch == 1, "another lineage"
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.first_seq < second.first_seq
    second.check(clickhouse_client)
    with pytest.raises(FencedError):
        first.check(clickhouse_client)
    fenced = {row[0] for row in ask("SELECT writer FROM sink_fences")}
    assert fenced == {"a/b/c/0", "a/b/c/0#1", "a/b/c/01"}
    later = claim(clickhouse_client, clickhouse_database, "a/b/c/0", above_seq=(7 << 32) + 5)
    assert later.epoch == 8, "a snapshot knows of epochs that ClickHouse has lost"


def test_processes_that_claim_at_once_get_epochs_of_their_own(clickhouse_client, clickhouse_database):
    claims, start = [], threading.Barrier(8)

    def take():
        start.wait()
        claims.append(claim(clickhouse_client, clickhouse_database, "one/lineage"))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    epochs = sorted(taken.epoch for taken in claims)
    assert len(set(epochs)) == 8
    standing = [taken for taken in claims if taken.epoch == epochs[-1]]
    standing[0].check(clickhouse_client)


def test_other_shards_and_topologies_do_not_fence_each_other(make_sink, ask):
    sinks = [make_sink(topology=name, shard=shard) for name in ("a", "b") for shard in (0, 1)]
    for number, sink in enumerate(sinks):
        sink.write(batch_of([opportunity(number, topology=sink.context.topology)]))
        sink.snapshot()
    assert ask("SELECT count() FROM mev_opportunities") == [(4,)]


def test_an_insert_that_had_passed_the_fence_is_waited_for_however_slow_it_is(
    make_sink, ask, monkeypatch, clickhouse_client, clickhouse_database
):
    """The block of a dead process is still being stored, and no kill ends it: its rows are known, not stored again."""
    letters = [DeadLetter(topic="swaps", offset=n, reason="odd", timestamp_us=DAY_US) for n in range(10)]
    older = make_sink(topology="slow")
    slow = "ADD CONSTRAINT slow CHECK sleepEachRow(0.2) = 0"
    clickhouse_client.command(f"ALTER TABLE {clickhouse_database}.dead_letters {slow}")
    older.write(batch_of(letters))
    last_words = threading.Thread(target=older._flush)
    last_words.start()
    while not ask("SELECT 1 FROM system.processes WHERE query LIKE 'INSERT%by slow/%' AND written_rows = 10"):
        time.sleep(0.01)
    monkeypatch.setattr(sink_module, "end_inserts", partial(end_inserts, patience_s=0.05))
    monkeypatch.setattr(Client, "command", _refusing_kills(Client.command))
    newer = make_sink(topology="slow")
    newer.write(batch_of(letters))
    newer.snapshot()
    last_words.join()
    assert ask("SELECT count(), uniqExact(offset) FROM dead_letters") == [(10, 10)]


def _refusing_kills(command):
    def refuse(client, text, *args, **more):
        if text.startswith("KILL"):
            raise ClickHouseError("not allowed to kill")
        return command(client, text, *args, **more)

    return refuse


_ZOMBIE = """
import sys
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from tests.sinks.clickhouse.rows import batch_of, opportunity, swap

port, database, last = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sink = ClickHouseSink(ClickHouseSettings(port=port, database=database, flush_rows=20), StageContext("topo", "history"))
sink.open(None)
try:
    for at in range(0, last, 10):
        sink.write(batch_of([opportunity(n) for n in range(at, at + 10)]))
        sink.write(batch_of([swap(n) for n in range(at, at + 10)], at))
        if at == 300:
            print("on its way", flush=True)
    sink.snapshot()
    print("snapshot made")
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.03, 0.1])
def test_a_stopped_shard_that_wakes_after_its_successor_started_writes_nothing(
    clickhouse_server, clickhouse_database, make_sink, ask, tmp_path, wait_s
):
    """SIGSTOP in the middle of its INSERTs, wherever that is; SIGCONT while the successor writes the same rows."""
    script = tmp_path / "zombie.py"
    script.write_text(textwrap.dedent(_ZOMBIE))
    argv = [sys.executable, str(script), str(clickhouse_server.port), clickhouse_database, "2000"]
    zombie = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    try:
        assert zombie.stdout.readline() == "on its way\n"
        time.sleep(wait_s)
        os.kill(zombie.pid, signal.SIGSTOP)
        sink = make_sink(flush_rows=50)
        for at in range(0, 1000, 50):
            sink.write(batch_of([opportunity(n) for n in range(at, at + 50)]))
        os.kill(zombie.pid, signal.SIGCONT)
        for at in range(1000, 2000, 50):
            sink.write(batch_of([opportunity(n) for n in range(at, at + 50)]))
        for at in range(0, 2000, 50):
            sink.write(batch_of([swap(n) for n in range(at, at + 50)], at))
        out, errors = zombie.communicate(timeout=120)
        assert out == "FencedError\n", errors
        sink.snapshot()
    finally:
        zombie.kill()
        zombie.communicate()
    assert ask("SELECT count(), uniqExact(source_offset) FROM raw_swaps_rows") == [(2000, 2000)]
    assert ask("SELECT count(), uniqExact(opportunity_id) FROM mev_opportunities") == [(2000, 2000)]
    assert ask("SELECT sum(opportunities) FROM mev_stats_1m") == [(2000,)]
