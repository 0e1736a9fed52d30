"""``arbitrage.detect`` as a stage: rows of an episode, ids, lateness, shards, prices, rejects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from mevflow.sources.recorded import open_recorded
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import UNISWAP_DAY, Item, Tables, items, joined, make, run, unsigned, until
from tests.operators.detect.market_messages import SLOT_US, batch, pair_market, swap, u128
from tests.operators.detect.random_market import SOL, START_US, USDC, RandomMarket


def rows(tables: Tables, port: str = "opportunities") -> list[dict]:
    return tables[port].to_pylist() if port in tables else []


def test_an_episode_opens_changes_and_closes() -> None:
    found = rows(run(make(), items([batch(*pair_market())])))
    assert [(row["slot"], row["new_episode"], row["closed"], row["ordinal"]) for row in found] == [
        (3, True, False, 0),
        (4, False, False, 1),
        (5, False, True, 2),
    ]
    assert {(row["opened_slot"], row["path"], row["mint"]) for row in found} == {(3, "USDC > SOL > USDC", USDC)}
    buy, sell = found[0]["legs"]
    assert (buy["pool"], sell["pool"]) == (b"q" * 32, b"p" * 32)
    assert (buy["mint_in"], buy["mint_out"], sell["mint_out"]) == (USDC, SOL, USDC)
    gross = unsigned(found[0]["amount_out"]) - unsigned(found[0]["amount_in"])
    assert int.from_bytes(found[0]["gross_profit"], "little", signed=True) == gross
    assert found[0]["gross_profit_usd"] == pytest.approx(gross / 1e6)
    assert unsigned(found[2]["amount_in"]) == 0


def test_costs_are_taken_off_in_the_start_token() -> None:
    row = rows(run(make(costs={"solana": {"tip": {"absolute": 4_995_000}}}), items([batch(*pair_market())])))[0]
    # 0.005 SOL at 102 USDC, the price of the deepest pool after the event.
    assert unsigned(row["cost"]) == pytest.approx(0.005 * 102e6, rel=0.03)
    net = int.from_bytes(row["net_profit"], "little", signed=True)
    assert net == int.from_bytes(row["gross_profit"], "little", signed=True) - unsigned(row["cost"])


def test_less_than_the_asked_profit_is_not_reported() -> None:
    feed = items([batch(*pair_market())])
    profits = [row["gross_profit_usd"] for row in rows(run(make(), feed))]
    between = (profits[0] + profits[1]) / 2
    assert profits[0] < between < profits[1]
    found = rows(run(make(min_profit_usd=between), feed))
    assert [(row["slot"], row["new_episode"]) for row in found] == [(4, True), (5, False)]


def test_ids_are_of_the_event_and_the_cycle_and_not_of_the_run() -> None:
    feed = items([batch(*pair_market())])
    live, replay = rows(run(make(), feed)), rows(run(make(run_id="r1"), feed))
    assert [row["opportunity_id"] for row in live] == [row["opportunity_id"] for row in replay]
    assert len({row["opportunity_id"] for row in live}) == len(live)
    assert {len(row["opportunity_id"]) for row in live} == {16}
    assert {row["run_id"] for row in replay} == {"r1"}


def test_shards_divide_the_cycles() -> None:
    feed = items(RandomMarket(1, pools=9, events=150).batches())
    whole = rows(run(make(), feed))
    parts = [rows(run(make(shard=shard, shards=3), feed)) for shard in range(3)]
    assert all(parts), "every shard has work"
    assert sum(map(len, parts)) == len(whole)
    by_id = {row["opportunity_id"]: row for part in parts for row in part}
    assert [by_id[row["opportunity_id"]] for row in whole] == whole


@pytest.mark.parametrize("step", [7, 300])
def test_where_watermarks_cut_the_input_changes_nothing(step: int) -> None:
    feed = items(open_recorded(*UNISWAP_DAY))
    settings = {"costs": {"ethereum": {"base_fee_wei": 15 * 10**9}}, "price_every_ms": 0}
    times = np.unique(np.concatenate([item.column("timestamp_us").to_numpy() for _, item in feed]))
    cut: list[Item] = [*feed, *(mark for time in times[::step] for mark in until(int(time)))]
    assert run(make(**settings), cut) == run(make(**settings), feed)


def test_updates_whose_times_contradict_their_slots_give_one_answer_wherever_watermarks_fall() -> None:
    day_us = 86_400_000_000
    feed: list[Item] = []
    for port, rows_in in items(open_recorded(*UNISWAP_DAY)):
        assert isinstance(rows_in, pa.RecordBatch)
        if port == "updates":
            at = rows_in.schema.get_field_index("timestamp_us")
            earlier = pa.array(rows_in.column(at).to_numpy() - day_us)
            rows_in = rows_in.set_column(at, rows_in.schema.field(at), earlier)
        feed.append((port, rows_in))
    times = np.unique(np.concatenate([item.column("timestamp_us").to_numpy() for _, item in feed]))
    cut: list[Item] = [*feed, *(mark for time in times[::40] for mark in until(int(time)))]
    found = run(make(), cut)
    assert found == run(make(), feed)
    assert found["prices"].num_rows > 1_000


def test_what_an_update_tells_of_a_mint_counts_from_its_event_on() -> None:
    other = b"o" * 32
    told = market.PoolUpdate(
        chain=market.CHAIN_SOLANA, slot=5, timestamp_us=START_US + 5 * SLOT_US, pool=b"p" * 32, mint_a=other,
        mint_b=USDC, kind=market.PoolUpdate.KIND_FEE, fee_pips=2_500, symbol_a="OTHER", symbol_b="USDC",
        decimals_a=9, decimals_b=6,
    )  # fmt: skip
    gap = [swap(slot, b"q", (10**12, 98_000 * 10**6), mints=(other, USDC)) for slot in (2, 7)]
    swaps = [swap(slot, b"p", (10**12, (100_000 + slot) * 10**6), mints=(other, USDC)) for slot in (1, 4, 9)]
    feed = items([batch(*swaps, *gap), batch(told)])
    cut = [*feed, *until(START_US + 5 * SLOT_US), *until(START_US + 6 * SLOT_US)]
    whole = run(make(price_every_ms=0), feed)
    assert run(make(price_every_ms=0), cut) == whole
    prices = [row["price"] for row in rows(whole, "prices")]
    assert prices[0] * 10**9 == pytest.approx(prices[-1], rel=0.01), "nine decimals, told in between"
    assert len({row["path"] for row in rows(whole)}) == 2, "and names"


def test_late_rows_count_as_state_and_are_flagged() -> None:
    first, second, *later = pair_market()
    stage = make()
    run(stage, [*items([batch(first, second, later[0])]), *until(1 << 62)], end=False)
    # The second pool moved in slot 2 already, after the swap that was seen: news of it comes late.
    late = swap(2, b"q", (10**12, 98_000 * 10**6), tx_index=1)
    found = rows(run(stage, items([batch(late)])))
    assert [(row["slot"], row["late"], row["new_episode"]) for row in found] == [(2, True, False)]


def test_a_late_row_of_a_pool_that_has_gone_on_changes_nothing() -> None:
    stage = make()
    before = run(stage, [*items([batch(*pair_market())]), *until(1 << 62)], end=False)
    state = stage.snapshot()
    late = swap(2, b"p", (10**12, 150_000 * 10**6))
    tables = run(stage, [*items([batch(late)]), *until(1 << 62)], end=False)
    assert rows(before)
    assert "opportunities" not in tables
    assert tables["swaps"].num_rows == 1, "it is kept all the same"
    assert stage.snapshot() == state or len(stage.snapshot()) == len(state)


def test_a_day_cut_by_a_snapshot_goes_on_as_if_nothing_had_happened() -> None:
    feed = items(RandomMarket(2, pools=9, events=150).batches())
    half = RandomMarket(2).batches()[0].column("timestamp_us")[0].as_py() + 20 * 500_000
    straight = run(make(), [*feed, *until(half)])
    before, after = make(), make()
    first = run(before, [*feed, *until(half)], end=False)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()
    assert joined(first, run(after, [])) == straight


def test_two_legs_only_when_asked() -> None:
    feed = items(RandomMarket(1, pools=9, events=150).batches())
    legs = {len(row["legs"]) for row in rows(run(make(), feed))}
    assert legs == {2, 3}
    assert {len(row["legs"]) for row in rows(run(make(max_hops=2), feed))} == {2}


def test_more_cycles_at_once_than_there_is_room_for() -> None:
    sol = 10**12
    pools = [swap(1, f"{i:032}".encode(), (sol, (100_000 + i) * 10**6), tx_index=i) for i in range(400)]
    last = swap(2, b"z", (sol, 130_000 * 10**6))
    tables = run(make(price_every_ms=0), items([batch(*pools, last)]))
    assert sum(row["slot"] == 2 for row in rows(tables)) == 400
    prices = rows(tables, "prices")
    assert len(prices) == len({(row["slot"], row["tx_index"]) for row in prices})
    assert prices[-1]["slot"] == 2


def test_a_slot_far_ahead_is_a_dead_letter_and_blinds_nothing() -> None:
    first, second, far, *later = pair_market()
    far.slot = (1 << 36) - 1
    told = market.PoolUpdate(
        chain=market.CHAIN_SOLANA, slot=far.slot, timestamp_us=START_US + 3 * SLOT_US, pool=b"q" * 32, mint_a=SOL,
        mint_b=USDC, kind=market.PoolUpdate.KIND_FEE, fee_pips=1,
    )  # fmt: skip
    stage = make()
    begun = [*items([batch(first, second)]), *until(1 << 62)]
    run(stage, begun, end=False)
    errors = run(stage, [*items([batch(far), batch(told)]), *until(1 << 62)], end=False)["errors"].to_pylist()
    assert [row["reason"] for row in errors] == ["slot_ahead"] * 2
    found = run(stage, [*items([batch(swap(3, b"p", (10**12, 102_000 * 10**6)), *later)]), *until(1 << 62)])
    assert [(row["slot"], row["late"]) for row in rows(found)] == [(4, False), (5, False)]


def test_prices_follow_the_deepest_pool_and_are_throttled() -> None:
    sol = 10**12
    deep = [swap(slot, b"p", (sol, (100_000 + slot) * 10**6)) for slot in range(1, 40)]
    thin = [swap(slot, b"q", (sol // 1000, 500 * 10**6), tx_index=1) for slot in range(1, 40)]
    prices = rows(run(make(price_every_ms=2_000), items([batch(*deep, *thin)])), "prices")
    assert {row["mint"] for row in prices} == {SOL}
    assert {row["numeraire"] for row in prices} == {USDC}
    assert [row["slot"] for row in prices] == list(range(1, 40, 5))
    assert prices[0]["price"] == pytest.approx(100.001)
    assert {row["pool"] for row in prices} == {b"p" * 32}


REJECTS: dict[str, Callable[[], market.Swap]] = {
    "bad_amount": lambda: swap(3, b"p", (1, 1), amount_in=b"\1" * 8),
    "no_chain": lambda: swap(3, b"p", (1, 1), chain=0),
    "no_pool": lambda: swap(3, b"", (1, 1)),
    "no_state": lambda: swap(3, b"p", (1, 1), reserve_b=b""),
    "two_prices": lambda: swap(3, b"p", (1, 1), sqrt_price_x64=u128(1 << 64), sqrt_price_x96=b"\1" * 20),
    "bad_fee": lambda: swap(3, b"p", (1, 1), fee_pips=1_000_000),
    "bad_tick": lambda: swap(3, b"p", (1, 1), tick=-900_000),
    "other_kind": lambda: swap(3, b"p", (0, 0), sqrt_price_x64=u128(1 << 64), liquidity=u128(10**9)),
    "unknown_pool": lambda: swap(3, b"n", (1, 1), mint_in=b""),
}


@pytest.mark.parametrize("reason", REJECTS)
def test_what_cannot_be_is_a_dead_letter_and_changes_nothing(reason: str) -> None:
    good = pair_market()
    clean = run(make(), items([batch(*good)]))
    dirty = run(make(), items([batch(*good[:2], REJECTS[reason](), *good[2:])]))
    (error,) = dirty.pop("errors").to_pylist()
    assert error["reason"] == reason
    assert (error["stage"], error["topic"], error["offset"]) == ("found", "dex-swaps-proto", 2)
    assert market.Swap.FromString(error["payload"]) == REJECTS[reason]()
    for port in ("opportunities", "swaps", "prices"):
        offsets = [name for name in dirty[port].schema.names if name == "source_offset"]
        assert dirty[port].drop(offsets) == clean[port].drop(offsets)


def test_a_pool_without_mints_is_known_once_a_row_names_them() -> None:
    nameless = swap(1, b"p", (10**12, 10**11), mint_in=b"")
    named = swap(2, b"p", (10**12, 10**11))
    again = swap(3, b"p", (10**12, 10**11), mint_in=b"", mint_out=b"")
    whole = run(make(), items([batch(nameless, named, again)]))
    assert [row["slot"] for row in rows(whole, "swaps")] == [2, 3]
    assert len(rows(whole, "errors")) == 1
    cut = [*items([batch(nameless)]), *until(1 << 62), *items([batch(named, again)])]
    assert [row["slot"] for row in rows(run(make(), cut), "swaps")] == [2, 3]


def test_a_venue_without_a_rule_is_kept_and_never_traded() -> None:
    # A stable-swap pool quotes near par whatever its reserves say.
    first, second, *rest = pair_market()
    first.venue = market.VENUE_CURVE_STABLE
    for each in rest:
        each.venue = market.VENUE_CURVE_STABLE if each.pool == first.pool else 0
    tables = run(make(), items([batch(first, second, *rest)]))
    assert "opportunities" not in tables
    assert tables["swaps"].num_rows == 5


@pytest.mark.parametrize("venue", [market.VENUE_RAYDIUM_V4, market.VENUE_RAYDIUM_CPMM])
def test_a_venue_rounds_its_fee_as_its_program_does(venue: int) -> None:
    # Reserves so small that the fee of 2.5 units, rounded up to 3, costs one of what comes out.
    small = [swap(1, b"p", (10**6, 10**6)), swap(2, b"q", (10**6, 1_030_000)), swap(3, b"p", (10**6, 10**6))]
    plain = rows(run(make(), items([batch(*small)])))
    for each in small:
        each.venue = venue
    rounded = rows(run(make(), items([batch(*small)])))
    assert plain[0]["amount_in"] == rounded[0]["amount_in"]
    assert unsigned(plain[0]["amount_out"]) >= unsigned(rounded[0]["amount_out"])
    assert {leg["venue"] for leg in rounded[0]["legs"]} == {venue}
    if venue == market.VENUE_RAYDIUM_V4:
        amount = unsigned(rounded[0]["amount_in"])
        for leg, (x, y) in zip(rounded[0]["legs"], ((10**6, 10**6), (10**6, 1_030_000)), strict=True):
            net = amount - -(-amount * 25 // 10_000)
            amount = net * y // (x + net)
            assert unsigned(leg["amount_out"]) == amount


def test_an_aerodrome_pool_takes_its_fee_off_before_the_exchange() -> None:
    small = [swap(1, b"p", (10**6, 10**6)), swap(2, b"q", (10**6, 1_030_000)), swap(3, b"p", (10**6, 10**6))]
    for each in small:
        each.venue = market.VENUE_AERODROME_VOLATILE
    row = rows(run(make(), items([batch(*small)])))[0]
    amount = unsigned(row["amount_in"])
    for leg, (x, y) in zip(row["legs"], ((10**6, 10**6), (10**6, 1_030_000)), strict=True):
        net = amount - amount * 25 // 10_000
        amount = net * y // (x + net)
        assert unsigned(leg["amount_out"]) == amount


def test_an_impossible_change_of_liquidity_is_a_dead_letter() -> None:
    (updates, _) = RandomMarket(5).batches()
    taken = market.PoolUpdate(
        chain=1, slot=1_001, pool=b"\1" * 32, kind=market.PoolUpdate.KIND_LIQUIDITY, tick_lower=16, tick_upper=16
    )
    taken.liquidity_delta = (5).to_bytes(16, "little")
    tables = run(make(), items([updates, batch(taken)]))
    reasons = [row["reason"] for row in rows(tables, "errors")]
    assert reasons in (["impossible"], [])  # a pool of reserves has no ticks to change
    unknown = market.PoolUpdate(chain=1, slot=1_001, pool=b"?" * 32, kind=market.PoolUpdate.KIND_FEE)
    assert [row["reason"] for row in rows(run(make(), items([batch(unknown)])), "errors")] == ["unknown_pool"]


def test_every_port_keeps_its_schema() -> None:
    stage = make()
    declared = stage.output_schemas(stage.settings)
    for port, item in [*items(open_recorded(*UNISWAP_DAY)), *until(1 << 62)]:
        given = stage.process(port, item) if isinstance(item, pa.RecordBatch) else stage.on_watermark(port, item)
        for to, out in given:
            out.validate(full=True)
            assert out.schema.equals(declared[to], check_metadata=True)
