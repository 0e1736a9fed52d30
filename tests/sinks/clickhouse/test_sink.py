"""The ClickHouse sink against the real engine: every message, and every row exactly once."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pyarrow as pa
import pytest

from mevflow.clickhouse import daemon
from mevflow.clickhouse.client import connect
from mevflow.clickhouse.migrate import migrate
from mevflow.operators.errors import MevflowError, StateError, UnreachableError, UsageError
from mevflow.operators.stage import StageContext, Watermark
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.block import by_month
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sinks.clickhouse.tables import TABLES
from mevflow.v1 import decision_pb2
from tests.sinks.clickhouse.rows import DAY_US, OTHER_DAY_US, batch_of, i128, one_of_each, opportunity, swap, u128


@pytest.fixture
def make_sink(clickhouse_server, clickhouse_database):
    opened = []

    def make(state=None, *, open_it=True, shard=0, run_id="", **settings):
        chosen = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database, **settings)
        sink = ClickHouseSink(chosen, StageContext("topo", "history", run_id, shard))
        if open_it:
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


def count(ask, table):
    return ask(f"SELECT count() FROM {table}")[0][0]


def sums(ask):
    return ask("SELECT sum(opportunities), sum(episodes), sum(total_profit) FROM mev_stats_1m")[0]


def test_every_evm_chain_reads_as_ethereum_does(make_sink, ask):
    """Names and 0x-hex texts of chains by number, named or not."""
    sink = make_sink()
    chains = [1, 2, 56, 8453, 31337]
    rows = [swap(slot, chain=chain, pool=b"p" * 20) for slot, chain in enumerate(chains)]
    sink.write(batch_of(rows))
    sink.snapshot()
    found = ask("SELECT chain, startsWith(signature, '0x'), startsWith(signer, '0x') FROM raw_swaps ORDER BY slot")
    assert [name for name, _, _ in found] == ["solana", "ethereum", "bsc", "base", "evm-31337"]
    assert [(one, other) for _, one, other in found] == [(False, False), *[(True, True)] * 4]


def test_every_message_has_a_table_and_reads_well(make_sink, ask):
    sink = make_sink()
    for batch in one_of_each():
        sink.write(batch)
    sink.snapshot()
    counts = {table.name: count(ask, table.name) for table in TABLES.values()}
    assert all(counts.values()), counts
    assert (counts["raw_swaps_rows"], counts["dex_pools"], counts["mev_opportunities"]) == (2, 2, 2)
    first, second = ask(
        "SELECT signature, signer, pool, chain, venue, amount_out, sqrt_price_x64 FROM raw_swaps ORDER BY slot"
    )
    assert first[0].startswith("1111")
    assert first[1:] == (
        "8dqQB2d9phZbmEGMHkrpsvDCawmk7Baf97K9ax4hReSt",
        "8Zv72jA9EQGNd91qrTXub3SSLnZYS7tqaheVXa26gK8B",
        "solana",
        "orca_whirlpool",
        (1 << 127) + 1,
        1 << 64,
    )
    assert second[0] == "0x" + "73" * 32
    assert (second[2], second[6]) == ("0x" + "70" * 20, 0)
    assert ask("SELECT ticks.tick, ticks.liquidity_net FROM dex_pools WHERE kind = 'snapshot'") == [
        ([-3, -3], [-5, -5])
    ]
    assert ask("SELECT decision_id, arms, tip FROM mev_decisions") == [
        ("000102030405060708090a0b0c0d0e0f", ["a", "skip"], 3)
    ]
    assert ask("SELECT net_profit, legs.venue FROM mev_opportunities ORDER BY slot")[0] == (-1, ["orca_whirlpool"] * 2)
    assert ask("SELECT status, nonce FROM control_acks") == [("REJECTED", "0102")]
    assert ask("SELECT call_id, method, request FROM control_audit") == [("c", "Kill", "{}")]
    assert ask("SELECT payload_hex FROM dead_letters") == [("ff",)]
    assert ask("SELECT symbol, decimals FROM tokens WHERE symbol = 'A'") == [("A", 6)]


def test_a_cost_that_is_not_known_is_null(make_sink, ask):
    sink = make_sink()
    costs = {1: b"", 2: u128(0), 3: u128(70), 4: b""}
    sink.write(batch_of([opportunity(number, cost=cost) for number, cost in costs.items()]))
    sink.snapshot()
    assert ask("SELECT cost FROM mev_opportunities ORDER BY slot") == [(None,), (0,), (70,), (None,)]
    assert ask("SELECT count(), sum(cost) FROM mev_opportunities WHERE cost IS NOT NULL") == [(2, 70)]


def test_a_profit_that_is_not_known_is_null(make_sink, ask):
    sink = make_sink()
    profits = {1: b"", 2: i128(0), 3: i128(-70)}
    rows = [
        decision_pb2.Outcome(
            decision_id=bytes([number]) * 16, chain=1, slot=number, timestamp_us=number, kind="landed",
            realized_profit=profit,
        )
        for number, profit in profits.items()
    ]  # fmt: skip
    sink.write(batch_of(rows))
    sink.snapshot()
    assert ask("SELECT realized_profit FROM outcomes ORDER BY slot") == [(None,), (0,), (-70,)]


def test_sums_by_minute_are_those_of_the_rows(make_sink, ask):
    sink = make_sink()
    sink.write(batch_of([opportunity(number) for number in range(100)] + [opportunity(100, closed=True)]))
    sink.snapshot()
    assert sums(ask) == (100, 50, 25_000_000)
    assert ask("SELECT count() FROM (SELECT minute FROM mev_stats_1m GROUP BY minute)")[0][0] == 2


def test_an_episode_is_one_row_for_analysts(make_sink, ask):
    sink = make_sink()
    best = opportunity(2, net_profit_usd=3.0)
    sink.write(batch_of([opportunity(1), best, opportunity(5, closed=True, net_profit_usd=0.0, amount_in=b"")]))
    sink.snapshot()
    assert ask(
        "SELECT events, open_slots, open_seconds, net_profit_usd, opportunity_id FROM arbitrage_opportunities"
    ) == [(2, 5, 5.0, 3.0, "00000000000000000000000000000002")]


def test_rows_come_again_after_a_crash_and_are_there_once(make_sink, ask):
    """Blocks after the snapshot are written; the process is gone; everything after the snapshot is read again."""
    before, after, later = ([opportunity(10 * part + number) for number in range(10)] for part in range(3))
    sink = make_sink()
    sink.write(batch_of(before))
    sink.write(batch_of([swap(number) for number in range(10)], 0))
    state = sink.snapshot()
    sink.write(batch_of(after))
    sink.write(batch_of([swap(number) for number in range(10, 20)], 10))
    sink.snapshot()  # its state is lost with the process

    sink = make_sink(state)
    # Cut in other places than before, and going on beyond what was there.
    sink.write(batch_of(after[:3]))
    sink.write(batch_of(after[3:] + later))
    sink.write(batch_of([swap(number) for number in range(10, 25)], 10))
    sink.snapshot()
    assert count(ask, "mev_opportunities") == 30
    assert count(ask, "raw_swaps") == 25
    assert sums(ask) == (30, 15, 7_500_000)


def test_with_no_state_nothing_is_written_twice_either(make_sink, ask):
    for _ in range(2):
        sink = make_sink()
        for batch in one_of_each():
            sink.write(batch)
        sink.close()
    assert count(ask, "raw_swaps") == 2
    totals = {
        table.name: ask(f"SELECT count(), uniqExact(ingest_seq) FROM {table.name}")[0] for table in TABLES.values()
    }
    assert all(total == (2, 1) or total == (1, 1) for total in totals.values()), totals


def test_a_replay_does_not_mix_with_the_live_rows(make_sink, ask):
    for run_id in ("", "r1", "r2"):
        sink = make_sink(run_id=run_id)
        sink.write(batch_of([opportunity(number, run_id=run_id) for number in range(5)]))
        sink.write(batch_of([swap(number) for number in range(5)], 0))
        sink.close()
    assert ask("SELECT run_id, count() FROM mev_opportunities FINAL GROUP BY run_id ORDER BY run_id") == [
        ("", 5), ("r1", 5), ("r2", 5)
    ]  # fmt: skip
    assert count(ask, "raw_swaps") == count(ask, "raw_swaps FINAL") == 5, "a swap belongs to its topic, not to a run"
    assert ask("SELECT DISTINCT run_id FROM raw_swaps") == [("",)]
    same = "SELECT * EXCEPT run_id FROM mev_opportunities FINAL WHERE run_id = '{}' ORDER BY ALL"
    assert ask(same.format("r1")) == ask(same.format("r2"))


def test_a_topic_that_was_made_anew_is_stored_too(make_sink, ask):
    sink = make_sink()
    sink.write(batch_of([swap(number) for number in range(10)], 0))
    sink.close()
    sink = make_sink()
    sink.write(batch_of([swap(number + 500) for number in range(10)], 0))
    sink.close()
    assert count(ask, "raw_swaps") == 20


def test_a_topic_made_anew_with_the_same_records_is_told_apart_by_its_incarnation(make_sink, ask):
    for incarnation in ("first", "first", "second"):
        batch = batch_of([swap(number) for number in range(10)], 0)
        told = {**batch.schema.metadata, b"incarnations": f'{{"swaps": "{incarnation}"}}'.encode()}
        sink = make_sink()
        sink.write(batch.replace_schema_metadata(told))
        sink.close()
    assert ask("SELECT source_incarnation, count() FROM raw_swaps GROUP BY 1 ORDER BY 1") == [
        ("first", 10), ("second", 10)
    ]  # fmt: skip
    assert count(ask, "raw_swaps_rows") == 20


def test_batches_that_tell_an_incarnation_and_others_mix(make_sink, ask):
    sink = make_sink()
    batch = batch_of([swap(1)], 0)
    sink.write(batch)
    sink.write(batch.replace_schema_metadata({**batch.schema.metadata, b"incarnations": b'{"swaps": "x"}'}))
    sink.snapshot()
    assert ask("SELECT source_incarnation FROM raw_swaps ORDER BY 1") == [("",), ("x",)]


def test_days_and_chains_may_mix_in_a_batch(make_sink, ask):
    sink = make_sink()
    batch = batch_of([swap(1), swap(2, timestamp_us=OTHER_DAY_US, chain=2), swap(3)], 0)
    assert [sum(part.num_rows for part in month) for month in by_month([batch])] == [2, 1]
    sink.write(batch)
    sink.snapshot()
    assert ask("SELECT chain, count(), uniqExact(ingest_seq) FROM raw_swaps GROUP BY chain ORDER BY chain") == [
        ("ethereum", 1, 1), ("solana", 2, 1)
    ]  # fmt: skip


def test_what_lingers_is_sent_with_time(make_sink, ask):
    sink = make_sink(flush_ms=20)
    sink.write(batch_of([swap(1)], 0))
    time.sleep(0.05)
    sink.on_watermark(Watermark(DAY_US))
    deadline = time.monotonic() + 10
    while not count(ask, "raw_swaps"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_rows_that_clickhouse_refuses_name_the_table(make_sink, clickhouse_client, clickhouse_database):
    sink = make_sink()
    clickhouse_client.command(f"DROP TABLE {clickhouse_database}.price_feeds")
    sink.write(one_of_each()[2])
    with pytest.raises(MevflowError, match=r"table price_feeds.*refuses 1 rows.*60"):
        sink.snapshot()


def test_a_database_that_is_not_migrated_is_named(make_sink, clickhouse_client, clickhouse_database):
    clickhouse_client.command(f"DROP TABLE {clickhouse_database}.outcomes")
    with pytest.raises(MevflowError, match=r"has no table outcomes\n.*mevflow clickhouse migrate"):
        make_sink()


def test_nothing_listening_is_unreachable(make_sink):
    settings = ClickHouseSettings(port=free_port())
    with pytest.raises(UnreachableError):
        ClickHouseSink(settings, StageContext("t", "n")).open(None)


def test_only_known_messages_are_taken(make_sink):
    assert ClickHouseSink.accepts(ClickHouseSettings(), "mevflow.v1.Swap")
    assert not ClickHouseSink.accepts(ClickHouseSettings(), "mevflow.v1.Subscribe")
    with pytest.raises(UsageError, match="no table for an unnamed message"):
        make_sink().write(pa.record_batch({"x": [1]}))


@pytest.mark.parametrize("state", [b"nonsense", b'{"version": 99, "next_seq": 1}', b'{"version": 1}'])
def test_a_snapshot_that_does_not_fit_is_refused(make_sink, state):
    with pytest.raises(StateError):
        make_sink(state)


def test_an_absent_clickhouse_pauses_the_stream_and_loses_nothing(tmp_path):
    port = free_port()
    daemon.start(tmp_path, port=port)
    try:
        migrate(connect(port=port))
        sink = ClickHouseSink(ClickHouseSettings(port=port, flush_rows=10, queue_blocks=1), StageContext("t", "n"))
        sink.open(None)
        daemon.stop(tmp_path)
        wrote = []

        def stream():
            for number in range(20):
                sink.write(batch_of([swap(10 * number + row) for row in range(10)], 10 * number))
                wrote.append(number)
            sink.snapshot()
            wrote.append("all")

        thread = threading.Thread(target=stream)
        thread.start()
        thread.join(1.5)
        assert thread.is_alive(), "the stream waits"
        assert len(wrote) <= 4, "only what the queue holds was taken"
        daemon.start(tmp_path, port=port)
        thread.join(30)
        assert wrote[-1] == "all"
        found = connect(port=port).query("SELECT count(), uniqExact(source_offset) FROM mevflow.raw_swaps").result_rows
        assert found == [(200, 200)]
        sink.close()
    finally:
        daemon.stop(tmp_path)


_CRASHING = """
import os, sys
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.processes.addresses import free_port
from tests.sinks.clickhouse.rows import batch_of, opportunity, swap

port, database, state, die_at = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode() or None, sys.argv[4]
first, last = int(sys.argv[5]), int(sys.argv[6])
sink = ClickHouseSink(ClickHouseSettings(port=port, database=database, flush_rows=100), StageContext("topo", "n"))
sink.open(state)
for at in range(first, last, 50):
    sink.write(batch_of([opportunity(n) for n in range(at, at + 50)]))
    sink.write(batch_of([swap(n) for n in range(at, at + 50)], at))
    if die_at == "middle" and at > (first + last) // 2:
        os.kill(os.getpid(), 9)
saved = sink.snapshot()
if die_at == "flushed":
    os.kill(os.getpid(), 9)
print(saved.decode())
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("die_at", ["middle", "flushed"])
def test_a_killed_process_leaves_every_row_once(clickhouse_server, clickhouse_database, ask, tmp_path, die_at):
    """Steps 1 and 2 of the commit protocol, each followed by a kill, then a restart from the last stored state."""
    script = tmp_path / "crash.py"
    script.write_text(textwrap.dedent(_CRASHING))

    def run(state, death, first, last):
        argv = [sys.executable, str(script), str(clickhouse_server.port), clickhouse_database, state, death]
        done = subprocess.run(
            [*argv, str(first), str(last)], capture_output=True, text=True, timeout=120, env=_with_path()
        )
        assert done.returncode == -9, done.stderr
        return done.stdout.strip()

    state = run("", "end", 0, 1000)
    run(state, die_at, 1000, 3000)
    run(state, die_at, 1000, 3000)
    run(state, "end", 1000, 4000)
    assert ask("SELECT count(), uniqExact(source_offset) FROM raw_swaps") == [(4000, 4000)]
    assert ask("SELECT count(), uniqExact(opportunity_id) FROM mev_opportunities") == [(4000, 4000)]
    assert sums(ask) == (4000, 2000, 1_000_000_000)


def _with_path():
    return {**os.environ, "PYTHONPATH": os.getcwd()}


def test_amounts_of_zero_bytes_are_zero(make_sink, ask):
    sink = make_sink()
    sink.write(batch_of([swap(1, amount_in=b"", reserve_a=u128(5)), swap(2)], 0))
    sink.snapshot()
    assert ask("SELECT amount_in, reserve_a FROM raw_swaps ORDER BY slot") == [(0, 5), (2, 0)]
