"""Each swap once and sums exact, whoever writes, however many do, and whatever was stored before."""

import shutil
import threading
import uuid

import pytest

from mevflow.clickhouse.client import connect
from mevflow.clickhouse.migrate import MIGRATIONS, migrate
from mevflow.clickhouse.queries import load
from mevflow.flows.demo import report
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from tests.sinks.clickhouse.rows import batch_of, opportunity, swap


@pytest.fixture
def make_sink(clickhouse_server, clickhouse_database):
    opened = []

    def make(topology="topo", run_id="", shard=0, **settings):
        chosen = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database, **settings)
        sink = ClickHouseSink(chosen, StageContext(topology, "history", run_id, shard))
        sink.open(None)
        opened.append(sink)
        return sink

    yield make
    for sink in opened:
        sink._writers.close()


@pytest.fixture
def ask(clickhouse_client, clickhouse_database):
    """Rows of a query on the test's database, with a template's parameters."""

    def run(query, **parameters):
        return clickhouse_client.query(
            query, parameters=parameters, settings={"database": clickhouse_database}
        ).result_rows

    return run


def test_topologies_and_replays_that_store_one_topic_give_each_swap_once(
    make_sink, ask, clickhouse_server, clickhouse_database
):
    """Three topologies at once, and a replay; queries, templates, views and reports count ten swaps."""
    sinks = [make_sink("archive"), make_sink("detect-live"), make_sink("label"), make_sink("archive", "r1")]
    for sink in sinks:
        sink.write(batch_of([swap(number) for number in range(10)], 0))
    for sink in sinks:
        sink.snapshot()
    assert ask("SELECT count(), uniqExact(source_offset) FROM raw_swaps") == [(10, 10)]
    assert ask("SELECT count() FROM raw_swaps FINAL") == [(10,)]
    assert ask("SELECT count() FROM raw_swaps WHERE run_id = ''") == [(10,)], "a live row stands for the record"
    assert len(ask("SELECT * FROM raw_swaps")) == 10
    template = load("swaps_by_pool")
    assert [row[4] for row in ask(template.sql, **template.defaults)] == [10]
    assert {row[0]: row[2] for row in ask(load("rows_by_table").sql)}["raw_swaps"] == 10
    client = connect(port=clickhouse_server.port, database=clickhouse_database)
    assert report.rows_by_table(client)["raw_swaps"] == 10
    assert [row["swaps"] for row in report.by_chain(client)] == [10]
    client.close()


def test_sums_are_exact_beside_any_number_of_writers(make_sink, ask):
    """Two shards write, one is replaced again and again while both do: no sum counts a row twice or misses one."""
    rows, failures = 140, []

    def work(shard):
        try:
            sink = make_sink(shard=shard, flush_rows=7)
            for at in range(0, rows, 7):
                numbers = range(shard * 1000 + at, shard * 1000 + at + 7)
                sink.write(batch_of([opportunity(number) for number in numbers]))
                sink.snapshot()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(shard,)) for shard in (0, 1)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        make_sink(topology="other")
        assert ask(
            "SELECT (SELECT sum(opportunities) FROM mev_stats_1m) <= (SELECT uniqExact(opportunity_id) "
            "FROM mev_opportunities)"
        ) == [(True,)]
    for thread in threads:
        thread.join()
    assert not failures
    assert ask("SELECT sum(opportunities), sum(episodes), sum(total_profit) FROM mev_stats_1m") == [
        (2 * rows, rows, 2 * rows * 250_000)
    ]


def test_a_row_stored_twice_or_by_newer_logic_counts_once(make_sink, ask):
    for version in (1, 2):
        sink = make_sink(topology=f"w{version}")
        sink.write(batch_of([opportunity(1, topology="t", logic_version=version, net_profit_usd=float(version))]))
        sink.snapshot()
    assert ask("SELECT sum(opportunities), sum(total_profit) FROM mev_stats_1m") == [(1, 2_000_000)]


def test_a_profit_that_is_no_number_adds_nothing(make_sink, ask):
    sink = make_sink()
    profits = (1.0, float("nan"), float("inf"), -1e300)
    sink.write(batch_of([opportunity(number, net_profit_usd=profit) for number, profit in enumerate(profits)]))
    sink.snapshot()
    assert ask("SELECT sum(opportunities), sum(total_profit) FROM mev_stats_1m") == [(4, 1_000_000)]


@pytest.fixture
def old_database(clickhouse_client, tmp_path):
    """A database as it was before swaps were stored once, and what a sink of that time wrote into it."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    for path in folder.glob("*.sql"):
        if int(path.name[:4]) > 5:
            path.unlink()
    name = f"t_{uuid.uuid4().hex[:12]}"
    migrate(clickhouse_client, name, folder)
    for topology in ("archive", "detect-live"):
        clickhouse_client.command(
            f"INSERT INTO {name}.raw_swaps (timestamp, chain, slot, pool, source_topic, source_offset, topology, "
            "_signature, _ingest_by, _ingest_seq) "
            "SELECT toDateTime64('2022-04-06', 6, 'UTC') + number, 'solana', number, 'p', 'swaps', number, "
            f"'{topology}', 'abc', '{topology}//history/0', 1 FROM numbers(10)"
        )
    clickhouse_client.command(
        f"INSERT INTO {name}.mev_opportunities (timestamp, opportunity_id, topology, net_profit_usd, _ingest_by, "
        "_ingest_seq) SELECT toDateTime64('2022-04-06', 6, 'UTC') + number, hex(number), 't', 0.5, "
        "'archive//history/0', 1 FROM numbers(10)"
    )
    yield name
    clickhouse_client.command(f"DROP DATABASE {name}")


def test_what_was_stored_before_survives_the_migrations(clickhouse_client, old_database, clickhouse_server):
    migrate(clickhouse_client, old_database)
    query = "SELECT count(), countIf(signature != ''), sum(slot) FROM {}.raw_swaps".format
    assert clickhouse_client.query(query(old_database)).result_rows == [(10, 10, 45)]
    sums = f"SELECT sum(opportunities), sum(total_profit) FROM {old_database}."
    for table in ("mev_stats_1m", "mev_stats_1m_kept"):
        assert clickhouse_client.query(sums + table).result_rows == [(10, 5_000_000)]
    # A snapshot of that time: blocks from number 1 on come again.
    settings = ClickHouseSettings(port=clickhouse_server.port, database=old_database)
    sink = ClickHouseSink(settings, StageContext("archive", "history"))
    sink.open(b'{"version": 1, "next_seq": 1}')
    assert sink._known["mev_opportunities"].spans.spans == ((27486720, 27486720),)
    sink.close()
