"""The recorded Whirlpool day, replayed to the unit, and what happens where the record and the state disagree."""

from __future__ import annotations

import base58
import msgspec
import pyarrow as pa
import pytest
from msgspec.structs import replace

from mevflow.operators.amm.concentrated import whirlpool
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.codec import codec
from mevflow.operators.parse.check import check_whirlpool
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.whirlpool.day import WhirlpoolDay, parse_whirlpool_day
from mevflow.operators.parse.whirlpool.state import StartState
from mevflow.v1 import market_pb2 as market
from tests.operators.parse.recordings import end_accounts, number, rows_of, signed, start_state, whirlpool_lines

SOL_USDC = "65shmpuYmxx5p7ggNCZbyrGLCXVqbBR1ZD5aAocRBUNG"
KIND = market.PoolUpdate


@pytest.fixture(scope="module")
def day() -> tuple[WhirlpoolDay, list[pa.RecordBatch]]:
    parser = WhirlpoolDay(start_state())
    return parser, list(parser.parse(whirlpool_lines()))


def order(row: dict[str, object]) -> tuple[object, ...]:
    return row["slot"], row["tx_index"], row["ix_index"]


def moved_start(by: int) -> StartState:
    """The start state with SOL/USDC's price off by ``by``."""
    pools = [
        msgspec.structs.replace(p, sqrt_price=str(int(p.sqrt_price) + by)) if p.pool == SOL_USDC else p
        for p in start_state().pools
    ]
    return msgspec.structs.replace(start_state(), pools=pools)


def test_every_swap_and_every_end_state_is_exact(day: tuple[WhirlpoolDay, list[pa.RecordBatch]]) -> None:
    result = check_whirlpool(day[0], end_accounts())
    assert (result.swaps, result.exact, result.reanchored) == (9466, 9466, 0)
    assert len(result.pools) == 8
    assert all(pool.end_state_exact for pool in result.pools)
    assert result.passed


def test_every_liquidity_change_moves_the_recorded_amounts(
    day: tuple[WhirlpoolDay, list[pa.RecordBatch]],
) -> None:
    figures = [pool.figures for pool in day[0].pools.values()]
    assert sum(each.changes for each in figures) == sum(each.exact_changes for each in figures) == 475


def test_messages_are_in_chain_order_and_encode(day: tuple[WhirlpoolDay, list[pa.RecordBatch]]) -> None:
    for message in ("Swap", "PoolUpdate"):
        rows = rows_of(day[1], message)
        keys = [order(row) for row in rows]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys)
    for batch in day[1]:
        known = codec(batch.schema.metadata[b"message"].decode())
        assert batch.schema == known.schema
        assert known.decode(known.encode(batch)).equals(batch)


def test_a_round_of_batches_covers_a_stretch_of_slots() -> None:
    last = -1
    stretch: list[int] = []
    for batch in parse_whirlpool_day(whirlpool_lines()[:2_000], start_state(), chunk_rows=200):
        slots = batch["slot"].to_pylist()
        if batch.schema.metadata[b"message"] == b"mevflow.v1.PoolUpdate":
            last, stretch = max(stretch, default=-1), []
        assert min(slots) > last
        stretch += slots


def test_the_stream_alone_rebuilds_the_pools(day: tuple[WhirlpoolDay, list[pa.RecordBatch]]) -> None:
    """A consumer that knows only the messages predicts every swap's output and ends where the accounts end."""
    events = [(order(row), 0, row) for row in rows_of(day[1], "PoolUpdate")]
    events += [(order(row), 1, row) for row in rows_of(day[1], "Swap")]
    events.sort(key=lambda event: event[:2])
    pools: dict[object, ConcentratedState] = {}
    ticks: dict[object, TickMap] = {}
    for _, _, row in events:
        pool = row["pool"]
        if "kind" not in row:
            state = pools[pool]
            ordered, nets = ticks[pool].arrays()
            state = replace(state, ticks=ordered, liquidity_net=nets)
            quote = whirlpool.quote_exact_in(state, bool(row["a_to_b"]), number(row["amount_in"]))
            assert quote.amount_out == number(row["amount_out"])
            assert quote.sqrt_price_after == number(row["sqrt_price_x64"])
            assert quote.tick_after == row["tick"]
            pools[pool] = quote.applied_to(state)
            continue
        assert row["known_range_set"]
        if row["kind"] in (KIND.KIND_SNAPSHOT, KIND.KIND_CREATE):
            listed = row["ticks"]
            assert isinstance(listed, list)
            ticks[pool] = TickMap((t["tick"], signed(t["liquidity_net"]), number(t["liquidity_gross"])) for t in listed)
        else:
            assert row["kind"] == KIND.KIND_LIQUIDITY
            lower, upper, delta = row["tick_lower"], row["tick_upper"], signed(row["liquidity_delta"])
            ticks[pool].change(int(str(lower)), int(str(upper)), delta)
        pools[pool] = ConcentratedState(
            sqrt_price=number(row["sqrt_price_x64"]),
            liquidity=number(row["liquidity"]),
            tick=int(str(row["tick"])),
            fee_pips=int(str(row["fee_pips"])),
            tick_spacing=int(str(row["tick_spacing"])),
        )
    assert len(pools) == 8
    for address, account in end_accounts().pools.items():
        key = base58.b58decode(address)
        if key in pools:
            assert pools[key].sqrt_price == account.sqrt_price
            assert pools[key].liquidity == account.liquidity
            assert list(ticks[key]) == list(end_accounts().tick_map(address))


def test_seven_pools_are_stated_first_and_the_eighth_is_created(
    day: tuple[WhirlpoolDay, list[pa.RecordBatch]],
) -> None:
    rows = rows_of(day[1], "PoolUpdate")
    kinds = [row["kind"] for row in rows]
    assert kinds[:7] == [KIND.KIND_SNAPSHOT] * 7
    assert kinds.count(KIND.KIND_SNAPSHOT) == 7
    assert kinds.count(KIND.KIND_CREATE) == 1
    first = rows_of(day[1], "Swap")[0]
    assert all(order(row) < order(first) and row["slot"] == start_state().slot for row in rows[:7])
    sol = next(row for row in rows if row["pool"] == base58.b58decode(SOL_USDC))
    assert (sol["symbol_a"], sol["symbol_b"], sol["decimals_a"], sol["decimals_b"]) == ("SOL", "USDC", 9, 6)
    assert (sol["fee_pips"], sol["tick_spacing"]) == (2500, 128)


def test_a_swap_carries_the_record(day: tuple[WhirlpoolDay, list[pa.RecordBatch]]) -> None:
    first = rows_of(day[1], "Swap")[0]
    assert first["chain"] == market.CHAIN_SOLANA
    assert first["venue"] == market.VENUE_ORCA_WHIRLPOOL
    assert number(first["amount_in"]) == 812443076
    assert number(first["amount_out"]) == 6398835160
    assert first["signer"] == base58.b58decode("5t8ufz3nbKZ851KT1AfPEDKeCcBQU46LGCzSUnDbkebS")
    times = [int(str(row["timestamp_us"])) for row in rows_of(day[1], "Swap")]
    assert times == sorted(times)
    assert 1649203201_000000 <= times[0] <= times[-1] <= 1649289599_000000
    assert first["mint_in"] == base58.b58decode("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
    assert len(first["signature"]) == 64  # type: ignore[arg-type]


@pytest.mark.parametrize("by", [10**6, -(10**9), 10**12, -(10**15)])
def test_a_wrong_price_is_re_anchored_once_and_said_so(by: int) -> None:
    """The first swap whose output does not fit moves the price to where it does; then the arithmetic holds again."""
    parser = WhirlpoolDay(moved_start(by))
    batches = list(parser.parse(whirlpool_lines()[:1_500]))
    figures = parser.pools[SOL_USDC].figures
    assert 1 <= figures.reanchored <= 20
    assert figures.exact + figures.reanchored == figures.swaps
    rows = rows_of(batches, "Swap")
    assert sum(bool(row["reanchored"]) for row in rows) == figures.reanchored
    exact = rows_of(WhirlpoolDay(start_state()).parse(whirlpool_lines()[:1_500]), "Swap")
    for mine, right in zip(rows, exact, strict=True):
        assert (mine["amount_in"], mine["amount_out"]) == (right["amount_in"], right["amount_out"])
        assert number(mine["sqrt_price_x64"]) == pytest.approx(number(right["sqrt_price_x64"]), rel=1e-9)


def test_an_error_stops_the_parser_and_names_the_line() -> None:
    lines = [*whirlpool_lines()[:3], b'{"slot": "x"}\n']
    with pytest.raises(ParseError, match=r"day\.jsonl:4: not a slot") as caught:
        list(parse_whirlpool_day(lines, start_state(), file="day.jsonl"))
    assert caught.value.payload == b'{"slot": "x"}\n'


def test_errors_that_are_taken_become_dead_letters_and_the_stream_goes_on() -> None:
    good = whirlpool_lines()[:50]
    lines = [*good[:10], b"rubbish\n", *good[10:], good[0]]
    taken: list[ParseError] = []
    batches = list(parse_whirlpool_day(lines, start_state(), "day.jsonl", taken.append))
    letters = rows_of(batches, "DeadLetter")
    assert [(row["reason"], row["offset"], row["topic"]) for row in letters] == [
        ("malformed", 11, "day.jsonl"),
        ("out_of_order", 52, "day.jsonl"),
    ]
    assert letters[0]["payload"] == b"rubbish\n"
    assert [error.reason for error in taken] == ["malformed", "out_of_order"]
    clean = list(parse_whirlpool_day(good, start_state()))
    assert rows_of(batches, "Swap") == rows_of(clean, "Swap")


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        (b'"name":"swap"', b'"name":"twoHopSwap"', "unknown_instruction"),
        (b'"keyWhirlpool":"', b'"keyWhirlpool":"1', "unknown_pool"),
        (b'"transferAmount0":"', b'"transferAmount0":"-', "malformed"),
        (b'"dataAToB":', b'"dataAToB":7', "malformed"),
        (b'"payer":"', b'"payer":"0', "malformed"),
        (b'"signature":"', b'"signature":"1', "malformed"),
    ],
)
def test_an_instruction_that_cannot_be_used_is_rejected_alone(find: bytes, put: bytes, reason: str) -> None:
    line = next(line for line in whirlpool_lines() if line.count(b'"name"') == 1 and b'"name":"swap"' in line)
    assert find in line
    taken: list[ParseError] = []
    batches = list(parse_whirlpool_day([line.replace(find, put)], start_state(), on_error=taken.append))
    assert [error.reason for error in taken] == [reason]
    assert rows_of(batches, "Swap") == []
    assert len(rows_of(batches, "DeadLetter")) == 1
