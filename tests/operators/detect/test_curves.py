"""Stable-swap and bins in the stream: what brute force finds is found, and forks and restarts leave no trace."""

from __future__ import annotations

import json
from collections import Counter

import base58
import numpy as np
import pyarrow as pa
import pytest
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.stage import Command
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.compare import compare
from tests.operators.detect.feeding import Item, items, joined, make, run, until
from tests.operators.detect.market_messages import SLOT_US, batch, swap, u128
from tests.operators.detect.random_curves import CURVES, SOLIDLY, WEIGHTED
from tests.operators.detect.random_market import PLAIN, START_US, USDC, USDT, RandomMarket

KINDS = (*PLAIN, *CURVES, *CURVES)
#: Every bin on the way rounds the fee, the input and the output.
DUST = 64


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), hops=st.sampled_from((2, 3)))
@example(seed=250, hops=3)  # A stable-swap leg, and bins whose fee falls on the way: the gain has two peaks.
def test_what_is_found_is_what_brute_force_finds(seed: int, hops: int) -> None:
    batches = RandomMarket(seed, kinds=KINDS).batches()
    tables = run(make(max_hops=hops), items(batches))
    assert "errors" not in tables
    compare(batches, tables, max_hops=hops, units=DUST)


def test_many_pools_and_events() -> None:
    seen = Counter[str]()
    for seed in range(2):
        batches = RandomMarket(seed, pools=8, events=80, kinds=KINDS).batches()
        seen += compare(batches, run(make(), items(batches)), every=7, units=DUST)
    assert seen["open"] > 100, "these markets have many gaps"


@pytest.mark.parametrize(
    ("seed", "hops", "kind"),
    [(219737, 2, SOLIDLY), (0, 3, SOLIDLY), (1, 3, SOLIDLY), (4, 2, SOLIDLY)]
    + [(seed, hops, WEIGHTED) for seed, hops in ((2, 2), (3, 3), (5, 3))],
)
def test_a_stable_pair_or_a_weighted_pool_is_found_as_brute_force_finds_it(seed: int, hops: int, kind: str) -> None:
    """Fees and removals, too; a pool that was removed comes back when a row states it whole."""
    batches = RandomMarket(seed, kinds=("reserves", "x96", kind, kind)).batches()
    feed = items(batches)
    tables = run(make(max_hops=hops), feed)
    compare(batches, tables, max_hops=hops, units=DUST)
    half = START_US + 1_004 * 500_000
    before, after = make(max_hops=hops), make(max_hops=hops)
    first = run(before, [*feed, *until(half)], end=False)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()
    assert joined(first, run(after, [])) == run(make(max_hops=hops), [*feed, *until(half)])


def whole(seed: int) -> list[pa.RecordBatch]:
    return RandomMarket(seed, pools=9, events=120, kinds=KINDS).batches()


@pytest.mark.parametrize("seed", range(3))
def test_where_the_input_is_cut_changes_nothing(seed: int) -> None:
    feed = items(whole(seed))
    times = np.unique(np.concatenate([item.column("timestamp_us").to_numpy() for _, item in feed]))
    for step in (1, 5):
        cut: list[Item] = [*feed, *(mark for time in times[::step] for mark in until(int(time)))]
        assert run(make(price_every_ms=0), cut) == run(make(price_every_ms=0), feed)


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_goes_on_as_if_nothing_had_happened(seed: int) -> None:
    feed = items(whole(seed))
    half = whole(seed)[0].column("timestamp_us")[0].as_py() + 20 * 500_000
    straight = run(make(), [*feed, *until(half)])
    before, after = make(), make()
    first = run(before, [*feed, *until(half)], end=False)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()
    assert joined(first, run(after, [])) == straight


def test_shards_divide_the_cycles() -> None:
    feed = items(whole(1))
    found = run(make(), feed)["opportunities"].to_pylist()
    parts = [run(make(shard=shard, shards=3), feed)["opportunities"].to_pylist() for shard in range(3)]
    assert sum(map(len, parts)) == len(found)
    assert len({row["opportunity_id"] for row in found}) == len(found)
    by_id = {row["opportunity_id"]: row for part in parts for row in part}
    assert [by_id[row["opportunity_id"]] for row in found] == found


A, B = b"p" * 32, b"q" * 32


def coins(*balances: int, mints: tuple[bytes, ...] = (USDC, USDT, b"x" * 32), slot: int = 1) -> market.PoolUpdate:
    """A Curve pool of dollars, six decimals each."""
    stated = market.StableCurve(amp=2_000, fee_numerator=1_000_000)
    for mint, balance in zip(mints, balances, strict=False):
        stated.coins.add(mint=mint, balance=u128(balance), rate=u128(10**30))
    place = {"chain": market.CHAIN_SOLANA, "slot": slot, "timestamp_us": START_US + slot * SLOT_US}
    return market.PoolUpdate(
        **place, pool=A, venue=market.VENUE_CURVE_STABLE, kind=market.PoolUpdate.KIND_SNAPSHOT,
        mint_a=mints[0], mint_b=mints[1], stable=stated,
    )  # fmt: skip


def pair(slot: int, ratio: float, mints: tuple[bytes, bytes] = (USDC, USDT)) -> market.Swap:
    return swap(slot, b"q", (10**13, int(10**13 * ratio)), mints=mints, fee_pips=100)


def exchange(slot: int, i: int, j: int, amounts: tuple[int, int], **changes: object) -> market.Swap:
    """A swap that says amounts and no balances."""
    mints = (USDC, USDT, b"x" * 32)
    told = {"venue": market.VENUE_CURVE_STABLE, "reserve_a": b"", "reserve_b": b"", "a_to_b": i < j, **changes}
    amounts_raw = {"amount_in": u128(amounts[0]), "amount_out": u128(amounts[1])}
    return swap(slot, b"p", (0, 0), mints=(mints[i], mints[j]), fee_pips=0, **{**told, **amounts_raw})


def feed(*messages: Message) -> list[Item]:
    updates = [each for each in messages if each.DESCRIPTOR.name == "PoolUpdate"]
    swaps = [each for each in messages if each.DESCRIPTOR.name == "Swap"]
    return items([batch(*each) for each in (updates, swaps) if each])


def open_cycles(stage: ArbitrageDetect) -> int:
    return len(stage._reporter.episodes.open)


def test_every_pair_of_three_coins_is_a_pool() -> None:
    third = b"x" * 32
    stage = make()
    run(stage, feed(coins(10**13, 10**13, 10**13), pair(2, 1.01, (USDT, third))))
    assert open_cycles(stage) == 1
    row = run(make(), feed(coins(10**13, 10**13, 10**13), pair(2, 1.01, (USDT, third))))["opportunities"].to_pylist()[0]
    assert {leg["pool"] for leg in row["legs"]} == {A, B}
    assert {row["legs"][0]["mint_in"], row["legs"][0]["mint_out"]} == {USDT, third}


def test_an_exchange_moves_every_face() -> None:
    third = b"x" * 32
    state = StableState((10**13,) * 3, (10**30,) * 3, 2_000, 1, 1_000_000, 0)
    amount = 9 * 10**12
    got = stable_swap.quote_exact_in(state, 0, 2, amount).amount_out
    stage = make()
    calm = [coins(10**13, 10**13, 10**13), pair(2, 1.0)]
    run(stage, [*feed(*calm), *until(1 << 62)], end=False)
    assert not open_cycles(stage)
    # USDC is bought with the third coin's twin: the pair USDC - USDT is no longer in line.
    run(stage, [*feed(exchange(3, 0, 2, (amount, got))), *until(1 << 62)], end=False)
    assert open_cycles(stage) == 1
    assert stage._market.book.info[0].curve.balances == (10**13 + amount, 10**13, 10**13 - got)
    assert third in {mint for _, mint in stage._market.book.mints}


def test_a_swap_that_the_rule_does_not_give_ends_what_is_known() -> None:
    stage = make()
    run(stage, [*feed(coins(10**13, 10**13, 10**13), pair(2, 1.01)), *until(1 << 62)], end=False)
    assert open_cycles(stage) == 1
    run(stage, [*feed(exchange(3, 0, 2, (10**9, 10**9))), *until(1 << 62)], end=False)
    assert not open_cycles(stage)
    run(stage, [*feed(coins(10**13, 10**13, 10**13, slot=4)), *until(1 << 62)], end=False)
    assert open_cycles(stage) == 1, "a snapshot brings it back"


def test_a_coin_whose_rate_is_not_told_has_no_price() -> None:
    """Its units are in nothing else: six decimals read as eighteen would make everything of it a bargain."""
    wrong = coins(10**13, 10**13, slot=4)
    wrong.stable.coins[1].rate = b""
    stage = make()
    errors = run(stage, [*feed(coins(10**13, 10**13), pair(2, 1.01), wrong), *until(1 << 62)], end=False)["errors"]
    assert errors["reason"].to_pylist() == ["impossible"]
    assert not open_cycles(stage), "what it was before does not hold either"


@pytest.mark.parametrize("first", [(USDC, USDT), (USDT, USDC)])
def test_reserves_are_of_the_coins_that_their_row_names(first: tuple[bytes, bytes]) -> None:
    """The row that a pool is made from may name its coins the other way round than the contract numbers them."""
    stage = make()
    begun = swap(1, b"p", (1, 1), mints=first, venue=market.VENUE_CURVE_STABLE, fee_pips=0)
    added = coins(10**13, 10**13, slot=3)
    added.ClearField("stable")
    added.mint_a, added.mint_b = first
    added.reserve_a, added.reserve_b = (u128(2 * 10**13 if mint == USDC else 3 * 10**13) for mint in first)
    run(stage, [*feed(begun, coins(10**13, 10**13, slot=2), added), *until(1 << 62)], end=False)
    assert stage._market.book.info[0].curve.balances == (2 * 10**13, 3 * 10**13)


def weighted(slot: int = 1, **changes: object) -> market.PoolUpdate:
    """A Balancer pool of three dollars, six decimals each, that are a half, three tenths and a fifth of it."""
    stated = coins(5 * 10**13, 3 * 10**13, 2 * 10**13, slot=slot)
    stated.venue = market.VENUE_BALANCER_WEIGHTED
    stated.stable.amp, stated.stable.fee_numerator, stated.stable.fee_denominator = 0, 10**14, 10**18
    for coin, tenths in zip(stated.stable.coins, (5, 3, 2), strict=True):
        coin.weight = u128(tenths * 10**17)
    for name, value in changes.items():
        (
            setattr(stated.stable.coins[0], name, value)
            if name in ("rate", "weight")
            else setattr(stated.stable, name, value)
        )
    return stated


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weight": u128(4 * 10**17)}, "impossible"),
        ({"weight": b""}, "impossible"),
        ({"weight": b"\1"}, "bad_amount"),
        ({"rate": b""}, "impossible"),
        ({"fee_numerator": 0}, "impossible"),
        ({"fee_numerator": 10**18}, "impossible"),
    ],
)
def test_a_weighted_pool_that_no_vault_holds_is_refused(changes: dict[str, object], reason: str) -> None:
    stage = make()
    errors = run(stage, [*feed(weighted(), pair(2, 1.01), weighted(4, **changes)), *until(1 << 62)], end=False)[
        "errors"
    ]
    assert errors["reason"].to_pylist() == [reason]
    assert stage._market.book.info[0].curve is None


def test_a_swap_of_coins_that_a_weighted_pool_does_not_have_leaves_nothing_known() -> None:
    """What it moves is taken as it stands, so it must be of the pool."""
    stage = make()
    run(stage, [*feed(weighted(), pair(2, 1.01)), *until(1 << 62)], end=False)
    assert open_cycles(stage) == 1
    venue = market.VENUE_BALANCER_WEIGHTED
    run(stage, [*feed(exchange(3, 0, 1, (10**10, 10**10), venue=venue)), *until(1 << 62)], end=False)
    assert stage._market.book.info[0].curve.balances == (5 * 10**13 + 10**10, 3 * 10**13 - 10**10, 2 * 10**13)
    strange = exchange(4, 0, 1, (10**10, 10**10), venue=venue, mint_out=b"z" * 32)
    run(stage, [*feed(strange), *until(1 << 62)], end=False)
    assert stage._market.book.info[0].curve is None
    run(stage, [*feed(weighted(5)), *until(1 << 62)], end=False)
    nameless = exchange(6, 0, 1, (10**10, 10**10), venue=venue, mint_in=b"", mint_out=b"")
    run(stage, [*feed(nameless), *until(1 << 62)], end=False)
    assert stage._market.book.info[0].curve is None, "of three coins nobody knows which"


def test_a_late_exchange_puts_in_doubt_what_was_worked_out_without_it() -> None:
    stage = make()
    run(stage, [*feed(coins(10**13, 10**13, 10**13), pair(2, 1.01), coins(10**13, 10**13, 10**13, slot=5)),
                *until(1 << 62)], end=False)  # fmt: skip
    assert open_cycles(stage) == 1
    run(stage, [*feed(exchange(4, 0, 2, (10**9, 10**9))), *until(1 << 62)], end=False)
    assert not open_cycles(stage)


def test_a_skipped_slot_puts_in_doubt_what_came_after() -> None:
    stage = make()
    state = StableState((10**13,) * 3, (10**30,) * 3, 2_000, 1, 1_000_000, 0)
    first = stable_swap.quote_exact_in(state, 0, 2, 10**9)
    second = stable_swap.quote_exact_in(first.applied_to(state), 0, 2, 10**9)
    swaps = [exchange(3, 0, 2, (10**9, first.amount_out)), exchange(4, 0, 2, (10**9, second.amount_out))]
    run(stage, [*feed(coins(10**13, 10**13, 10**13), pair(2, 1.01), *swaps), *until(1 << 62)], end=False)
    assert open_cycles(stage) == 1
    skipped = market.PoolUpdate(chain=market.CHAIN_SOLANA, slot=3, timestamp_us=START_US + 3 * SLOT_US)
    skipped.kind = market.PoolUpdate.KIND_SKIPPED
    run(stage, [*feed(skipped), *until(1 << 62)], end=False)
    assert not open_cycles(stage)


def test_a_denied_mint_denies_its_faces_only() -> None:
    third = b"x" * 32
    for mints, paying in (((USDC, USDT), 1), ((USDT, third), 0)):
        stage = make()
        spec = {"min_profit_usd": 0.0, "deny_mints": [base58.b58encode(third).decode()]}
        ack = stage.on_control(Command("c1", "policy", "found", 1, json.dumps(spec).encode()))
        assert ack is not None
        assert ack.status == "APPLIED"
        run(stage, feed(coins(10**13, 10**13, 10**13), pair(2, 1.01, mints)))
        assert open_cycles(stage) == paying


REFUSED = {
    "bad_coins": lambda: coins(10**13, 10**13, mints=(USDC, USDC)),
    "impossible": lambda: coins(10**13, 10**13, mints=(USDT, b"x" * 32)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_coins_that_cannot_be_are_dead_letters(reason: str) -> None:
    row = REFUSED[reason]()
    row.slot, row.mint_a, row.mint_b = 2, USDC, USDT
    stage = make()
    tables = run(stage, feed(coins(10**13, 10**13, 10**13), row))
    assert [letter["reason"] for letter in tables["errors"].to_pylist()] == [reason]
    assert stage._market.book.info[0].curve is None, "what the row did to the pool is not known"
