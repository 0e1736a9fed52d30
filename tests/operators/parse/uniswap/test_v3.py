"""The recorded Uniswap v3 day: every log checked, and nothing known that no log has shown."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest

from mevflow.operators.amm.concentrated import uniswap_v3
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.codec import codec
from mevflow.operators.parse.check import check_uniswap
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap.pools import POOLS
from mevflow.operators.parse.uniswap.v3 import CsvRow, UniswapDay, parse_uniswap_day
from mevflow.v1 import market_pb2 as market
from tests.operators.parse.recordings import number, rows_of, signed, uniswap_rows

KIND = market.PoolUpdate
Day = tuple[UniswapDay, list[pa.RecordBatch]]


@pytest.fixture(scope="module", params=[0, 1], ids=["0.05%", "0.30%"])
def day(request: pytest.FixtureRequest) -> Day:
    parser = UniswapDay()
    return parser, list(parser.parse(uniswap_rows(request.param)))


def test_swaps_run_again_give_the_logs_to_the_unit(day: Day) -> None:
    result = check_uniswap(day[0])
    expected = {500: (6046, 6036, 10), 3000: (267, 266, 1)}
    fee = next(iter(day[0].pools.values())).pool.fee_pips
    assert (result.swaps, result.exact, result.reanchored) == expected[fee]
    assert result.passed


def test_every_mint_and_burn_moves_the_logged_amounts(day: Day) -> None:
    figures = next(iter(day[0].pools.values())).figures
    assert figures.changes == figures.exact_changes > 0


def test_the_messages_carry_what_the_logs_state(day: Day) -> None:
    swaps = rows_of(day[1], "Swap")
    pool = next(iter(day[0].pools.values())).pool
    assert sum(bool(row["reanchored"]) for row in swaps) == check_uniswap(day[0]).reanchored
    first = swaps[0]
    assert first["chain"] == market.CHAIN_ETHEREUM
    assert first["venue"] == market.VENUE_UNISWAP_V3
    assert (first["pool"], first["fee_pips"]) == (pool.address, pool.fee_pips)
    assert len(first["signer"]) == 20  # type: ignore[arg-type]
    assert len(first["signature"]) == 32  # type: ignore[arg-type]
    if pool.fee_pips == 500:
        assert (first["slot"], first["tx_index"], first["ix_index"]) == (18937382, 33, 169)
        assert first["timestamp_us"] == 1704412823_000000
        assert number(first["sqrt_price_x96"]) == 0x51FDF2FD9B2526872A9B723450F2
        assert number(first["liquidity"]) == 0xACD43E0E7CF808C5
        assert first["tick"] == 0x30985
        assert number(first["amount_in"]) == 0x2386F26FC10000
        assert number(first["amount_out"]) == 0x15A299E
        assert not first["a_to_b"]
        assert first["mint_in"] == pool.token1


def test_messages_encode(day: Day) -> None:
    for batch in day[1]:
        known = codec(batch.schema.metadata[b"message"].decode())
        assert batch.schema == known.schema
        assert known.decode(known.encode(batch)).equals(batch)


def test_a_consumer_of_the_stream_knows_what_the_parser_knows(day: Day) -> None:
    """Snapshots before their swap, position changes applied: prices, liquidity and ticks are the parser's throughout,
    and every swap that stays within the known ticks is predicted from them to the unit."""
    pool = next(iter(day[0].pools.values())).pool
    events = [(_order(row), 0, index, row) for index, row in enumerate(rows_of(day[1], "PoolUpdate"))]
    events += [(_order(row), 1, index, row) for index, row in enumerate(rows_of(day[1], "Swap"))]
    events.sort(key=lambda event: event[:3])
    assert events[0][3]["kind"] == KIND.KIND_SNAPSHOT
    state: ConcentratedState | None = None
    before: ConcentratedState | None = None
    nets: dict[int, int] = {}
    predicted = 0
    for _, _, _, row in events:
        if "kind" not in row:
            assert state is not None
            if before is not None:
                quote = uniswap_v3.quote_exact_in(before, bool(row["a_to_b"]), max(number(row["amount_in"]), 1))
                if quote.filled and quote.amount_out == number(row["amount_out"]):
                    assert quote.liquidity_after == number(row["liquidity"])
                    assert quote.tick_after == row["tick"]
                    predicted += 1
            state = msgspec.structs.replace(
                state,
                sqrt_price=number(row["sqrt_price_x96"]),
                liquidity=number(row["liquidity"]),
                tick=int(str(row["tick"])),
            )
            assert state.known_tick_lower <= state.tick < state.known_tick_upper
            before = state
            continue
        if row["kind"] == KIND.KIND_SNAPSHOT:
            listed = row["ticks"]
            assert isinstance(listed, list)
            nets = {tick["tick"]: signed(tick["liquidity_net"]) for tick in listed}
        else:
            lower, upper = int(str(row["tick_lower"])), int(str(row["tick_upper"]))
            delta = signed(row["liquidity_delta"])
            for tick, change in ((lower, delta), (upper, -delta)):
                nets[tick] = nets.get(tick, 0) + change
        ordered = tuple(sorted(nets))
        state = ConcentratedState(
            sqrt_price=number(row["sqrt_price_x96"]),
            liquidity=number(row["liquidity"]),
            tick=int(str(row["tick"])),
            fee_pips=pool.fee_pips,
            tick_spacing=pool.tick_spacing,
            ticks=ordered,
            liquidity_net=tuple(nets[tick] for tick in ordered),
            known_tick_lower=int(str(row["known_tick_lower"])),
            known_tick_upper=int(str(row["known_tick_upper"])),
        )
        if row["kind"] == KIND.KIND_LIQUIDITY:
            before = state
    swaps = len(rows_of(day[1], "Swap"))
    assert predicted > 0.9 * swaps


def _order(row: dict[str, object]) -> tuple[int, int, int]:
    return int(str(row["slot"])), int(str(row["tx_index"])), int(str(row["ix_index"]))


def test_knowledge_only_comes_from_logs_so_far(day: Day) -> None:
    """A prefix of the day gives a prefix of the messages: nothing is taken from what comes later."""
    rows = uniswap_rows(0 if next(iter(day[0].pools.values())).pool.fee_pips == 500 else 1)
    part = list(parse_uniswap_day(rows[: len(rows) // 2]))
    for message in ("Swap", "PoolUpdate"):
        short, whole = rows_of(part, message), rows_of(day[1], message)
        assert short == whole[: len(short)]


def test_chunks_do_not_change_the_rows(day: Day) -> None:
    rows = uniswap_rows(0 if next(iter(day[0].pools.values())).pool.fee_pips == 500 else 1)
    small = list(parse_uniswap_day(rows, chunk_rows=50))
    assert len(small) > 2
    for message in ("Swap", "PoolUpdate"):
        assert rows_of(small, message) == rows_of(day[1], message)


def test_a_wrong_liquidity_is_noticed() -> None:
    """A Burn that is missing from the record: the swaps that cross its range no longer fit, and say so."""
    rows = [row for row in uniswap_rows(0) if "0x0c396cd9" not in row.text]
    parser = UniswapDay()
    for _ in parser.parse(rows):
        pass
    figures = parser.pools[POOLS[0].address].figures
    assert figures.reanchored > 20
    assert figures.exact + figures.reanchored == figures.swaps == 6046


def test_an_error_names_file_and_line() -> None:
    row = uniswap_rows(1)[0]
    with pytest.raises(ParseError, match=r"csv\.gz:9: a log has seven columns"):
        list(parse_uniswap_day([CsvRow(row.pool, row.file, 9, "1,2,3")]))


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        ("18937547,", "-1,", "malformed"),
        ("2024-01-05 00:33:23", "2024-13-05 00:33:23", "malformed"),
        ("0xc42079f9", "0xc42079f8", "unknown_event"),
        ("0xc42079f9", "zz", "malformed"),
        (",204,", ",99999999999,", "malformed"),
    ],
)
def test_a_log_that_cannot_be_used_is_rejected_alone(find: str, put: str, reason: str) -> None:
    rows = list(uniswap_rows(1)[:5])
    assert find in rows[0].text
    rows[0] = replace(rows[0], text=rows[0].text.replace(find, put))
    taken: list[ParseError] = []
    batches = list(parse_uniswap_day(rows, taken.append))
    assert [error.reason for error in taken] == [reason]
    assert len(rows_of(batches, "Swap")) == 4
    assert [row["reason"] for row in rows_of(batches, "DeadLetter")] == [reason]


def test_a_repeated_log_is_out_of_order() -> None:
    rows = [uniswap_rows(1)[0]] * 2
    taken: list[ParseError] = []
    batches = list(parse_uniswap_day(rows, taken.append))
    assert [error.reason for error in taken] == ["out_of_order"]
    assert len(rows_of(batches, "Swap")) == 1
