"""Rows that their table cannot hold: each becomes a dead letter, and every other row is stored."""

import pyarrow as pa
import pytest

from mevflow.operators.codec import codec
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.block import InsertBlock
from mevflow.sinks.clickhouse.columns import LAST_US
from mevflow.sinks.clickhouse.rejects import MAX_PAYLOAD_BYTES
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sinks.clickhouse.tables import TABLES
from mevflow.sinks.sink import Sink
from mevflow.v1 import dead_letter_pb2, market_pb2
from tests.sinks.clickhouse.rows import DAY_US, MINT_A, POOL, batch_of, i128, one_of_each, opportunity, swap

_GOOD = range(10)
#: What a swap cannot have, and the column that says so.
_ODD_SWAPS = {
    "venue": {"venue": 99},
    "venue below zero": {"venue": -1},
    "chain": {"chain": -3},
    "amount_in of 17 bytes": {"amount_in": b"\1" * 17},
    "amount_in of 8 bytes": {"amount_in": b"\1" * 8},
    "sqrt_price_x96 of 16 bytes": {"sqrt_price_x96": b"\1" * 16},
    "timestamp far ahead": {"timestamp_us": (1 << 63) - 1},
    "timestamp just beyond": {"timestamp_us": LAST_US + 1},
    "timestamp before 1970": {"timestamp_us": -1},
    "pool": {"pool": b"p" * 300_000},
    "mint_in": {"mint_in": b"m" * 65},
    "_signature": {"signature": b"s" * 129},
}


@pytest.fixture
def make_sink(clickhouse_server, clickhouse_database):
    opened = []

    def make(state=None, **settings):
        chosen = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database, **settings)
        sink = ClickHouseSink(chosen, StageContext("topo", "history"))
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


class Letterbox(Sink):
    """A dead letter sink that keeps what it is given."""

    def __init__(self):
        super().__init__(None, StageContext("topo", "rejects"))
        self.given, self.made_durable = [], 0

    def write(self, batch):
        codec("mevflow.v1.DeadLetter").encode(batch)  # as every real one does: a null would end the process
        self.given += batch.to_pylist()

    def snapshot(self):
        self.made_durable = len(self.given)
        return b""


@pytest.mark.parametrize("what", _ODD_SWAPS)
def test_an_odd_swap_is_a_dead_letter_and_the_others_are_stored(make_sink, ask, what):
    sink = make_sink()
    sink.dead_letters = Letterbox()
    odd = swap(5, **_ODD_SWAPS[what])
    sink.write(batch_of([swap(number) if number != 5 else odd for number in _GOOD], 100))
    sink.snapshot()
    stored = [row[0] for row in ask("SELECT source_offset FROM raw_swaps ORDER BY source_offset")]
    assert stored == [100 + number for number in _GOOD if number != 5]
    kept = ask("SELECT topic, partition, offset, stage, reason, detail FROM dead_letters")
    assert [row[:5] for row in kept] == [("swaps", 0, 105, "history", "cannot be stored")]
    assert f"column {what.split(' ')[0]} takes" in kept[0][5]
    assert sink.rejected == 1
    (letter,) = sink.dead_letters.given
    assert sink.dead_letters.made_durable == 1, "the snapshot waits for it"
    whole = odd.SerializeToString()
    if len(whole) <= MAX_PAYLOAD_BYTES:
        assert market_pb2.Swap.FromString(letter["payload"]) == odd
    else:
        assert len(letter["payload"]) == MAX_PAYLOAD_BYTES
        assert letter["size"] == len(whole)
        assert "cut from" in letter["detail"]


def test_all_odd_swaps_in_one_batch(make_sink, ask):
    sink = make_sink()
    rows = [swap(number, **odd) for number, odd in enumerate(_ODD_SWAPS.values())]
    good = [swap(100 + number) for number in range(len(rows))]
    sink.write(batch_of([row for pair in zip(rows, good, strict=True) for row in pair], 0))
    sink.snapshot()
    assert ask("SELECT count(), min(source_offset % 2) FROM raw_swaps") == [(len(rows), 1)]
    assert ask("SELECT count(), uniqExact(offset) FROM dead_letters") == [(len(rows), len(rows))]


def test_odd_values_of_other_messages(make_sink, ask):
    order = {"chain": 1, "slot": 5, "timestamp_us": DAY_US, "pool": POOL}
    short = market_pb2.TickLiquidity(tick=1, liquidity_net=b"\1" * 15)
    good = market_pb2.TickLiquidity(tick=1, liquidity_net=i128(-1))
    updates = [
        market_pb2.PoolUpdate(**order, kind=1, decimals_a=255),
        market_pb2.PoolUpdate(**order, kind=1, decimals_a=300),
        market_pb2.PoolUpdate(**order, kind=99),
        market_pb2.PoolUpdate(**order, kind=2, liquidity_delta=b"\1"),
        market_pb2.PoolUpdate(**order, kind=4, ticks=[good, short, good]),
        market_pb2.PoolUpdate(**order, kind=4, ticks=[good, good]),
    ]
    sink = make_sink()
    sink.write(batch_of(updates, 0))
    leg = opportunity(1).legs[0]
    bad_leg = type(leg)(venue=-3)
    sink.write(batch_of([opportunity(1), opportunity(2, legs=[leg, bad_leg]), opportunity(3, net_profit=b"\1" * 17)]))
    sink.write(batch_of([market_pb2.PriceTick(**order, mint=MINT_A, price=float("nan"))]))
    sink.snapshot()
    assert ask("SELECT source_offset FROM dex_pools ORDER BY 1") == [(0,), (5,)]
    assert ask("SELECT topic, offset FROM dead_letters WHERE topic != '' ORDER BY offset") == [
        ("swaps", 1), ("swaps", 2), ("swaps", 3), ("swaps", 4)
    ]  # fmt: skip
    assert ask("SELECT count() FROM mev_opportunities") == [(1,)]
    assert ask("SELECT count(), uniqExact(offset) FROM dead_letters WHERE topic = ''") == [(2, 2)], "derived rows"
    assert ask("SELECT count() FROM price_feeds") == [(1,)]


def test_text_that_is_not_utf8_is_rejected_and_other_text_is_kept_as_it_is(make_sink, ask):
    rows = [market_pb2.PriceTick(timestamp_us=DAY_US, ix_index=n, source="s") for n in range(3)]
    batch = batch_of(rows)
    at = batch.schema.get_field_index("source")
    texts = pa.array([b"\0 a\xc3\xa9", b"\xff\xfe", b"plain"], pa.binary()).view(pa.utf8())
    sink = make_sink()
    sink.write(batch.set_column(at, batch.schema.field(at), texts))
    sink.snapshot()
    assert ask("SELECT source FROM price_feeds ORDER BY ix_index") == [("\0 aé",), ("plain",)]
    assert sink.rejected == 1


def test_a_rejected_row_that_comes_again_is_one_letter(make_sink, ask):
    state = make_sink().snapshot()
    for _ in range(3):
        sink = make_sink(state)
        sink.write(batch_of([swap(1), swap(2, venue=99), swap(3)], 0))
        sink.snapshot()
    assert ask("SELECT count() FROM dead_letters") == [(1,)]
    assert ask("SELECT count() FROM raw_swaps_rows") == [(2,)]


def test_what_the_engine_refuses_is_parted_down_to_the_row(make_sink, ask, clickhouse_client, clickhouse_database):
    """A rule that the sink does not know: the engine's error speaks of content, so the rows are tried apart."""
    sink = make_sink()
    tried = []
    send = sink._writers._inserter.client.raw_insert

    def refusing(table, columns, data, **more):
        # The engine's own words for a value that does not parse, as it says them over HTTP.
        body = b"".join(bytes(piece) for piece in data)
        tried.append(len(body))
        if "raw_swaps_rows" in table and b"o" * 40 in body:
            clickhouse_client.command("SELECT toUInt8('not a number')")
        return send(table, columns, iter([body]), **more)

    sink._writers._inserter.client.raw_insert = refusing
    rows = [swap(number, signer=b"o" * 40 if number in (3, 17) else b"q" * 32) for number in range(20)]
    sink.write(batch_of(rows, 0))
    sink.snapshot()
    stored = [row[0] for row in ask("SELECT source_offset FROM raw_swaps ORDER BY source_offset")]
    assert stored == [number for number in range(20) if number not in (3, 17)]
    assert ask("SELECT offset FROM dead_letters ORDER BY offset") == [(3,), (17,)]
    assert "6" in ask("SELECT detail FROM dead_letters")[0][0]
    assert ask("SELECT count() FROM raw_swaps_rows") == [(18,)]
    assert len(tried) < 25


def test_a_dead_letter_is_kept_whatever_its_time_is(make_sink, ask):
    sink = make_sink()
    times = (-1, 1 << 62, DAY_US)
    sink.write(batch_of([dead_letter_pb2.DeadLetter(topic="x", offset=n, timestamp_us=t) for n, t in enumerate(times)]))
    sink.snapshot()
    assert ask("SELECT offset, toYear(timestamp) FROM dead_letters ORDER BY offset") == [
        (0, 1970),
        (1, 2106),
        (2, 2022),
    ]


def test_content_that_no_rule_foresaw_is_parted_too(make_sink, ask, monkeypatch):
    real = InsertBlock._encode_batch

    def fragile(self, batch):
        if self.table.name == "raw_swaps_rows" and 7 in batch.column("source_offset").to_pylist():
            raise ZeroDivisionError("as nobody thought")
        return real(self, batch)

    monkeypatch.setattr(InsertBlock, "_encode_batch", fragile)
    sink = make_sink()
    sink.write(batch_of([swap(number) for number in range(20)], 0))
    sink.snapshot()
    assert ask("SELECT count() FROM raw_swaps") == [(19,)]
    assert ask("SELECT offset, detail LIKE '%as nobody thought%' FROM dead_letters") == [(7, True)]


def test_a_table_that_is_not_as_it_should_be_is_no_matter_of_rows(make_sink, clickhouse_client, clickhouse_database):
    clickhouse_client.command(f"ALTER TABLE {clickhouse_database}.price_feeds DROP COLUMN price")
    with pytest.raises(MevflowError, match=r"no column price in table price_feeds\n.*migrate"):
        make_sink()


@pytest.mark.parametrize("message", sorted(TABLES))
def test_every_column_has_its_rule_and_takes_an_empty_row(message):
    """An empty message fits: nothing that is merely not set is rejected."""
    plain = codec(message).decode(pa.array([b""], pa.binary()))
    block = InsertBlock(TABLES[message], [plain], StageContext("t", "n"), "t", 1)
    assert block.encode()[0]
    assert all(column.rule for column in TABLES[message].columns)


def test_good_rows_of_every_message_are_not_rejected(make_sink):
    sink = make_sink()
    for batch in one_of_each():
        sink.write(batch)
    sink.snapshot()
    assert sink.rejected == 0
