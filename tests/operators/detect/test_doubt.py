"""What a row does not tell is never zero, and what a rejected row did is not known: such pools have no rate."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from mevflow.operators.amm.concentrated import tick_math_x64
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import items, make, run, unsigned
from tests.operators.detect.market_messages import batch, swap, u128
from tests.operators.detect.random_market import SOL, START_US, USDC

UPDATE = market.PoolUpdate
ORCA, V4, CPMM = market.VENUE_ORCA_WHIRLPOOL, market.VENUE_RAYDIUM_V4, market.VENUE_RAYDIUM_CPMM
LIQUIDITY = 10**13
LEVEL = 10**12


def i128(value: int) -> bytes:
    return value.to_bytes(16, "little", signed=True)


def update(slot: int, pool: bytes, kind: int, **fields: Any) -> market.PoolUpdate:
    place = {"chain": market.CHAIN_SOLANA, "slot": slot, "timestamp_us": START_US + slot * 400_000}
    return UPDATE(**{**place, "pool": pool * 32, "kind": kind, "venue": ORCA, **fields})


def whirlpool(slot: int, pool: bytes, known: bool = True) -> market.PoolUpdate:
    """A level pool whose liquidity lies within 8,000 ticks of the price, and half of it within 800."""
    half = LIQUIDITY // 2
    ticks = [(-8000, half), (-800, half), (800, -half), (8000, -half)]
    return update(
        slot, pool, UPDATE.KIND_SNAPSHOT, mint_a=SOL, mint_b=USDC, fee_pips=3_000, tick_spacing=8,
        sqrt_price_x64=u128(1 << 64), liquidity=u128(LIQUIDITY),
        ticks=[{"tick": tick, "liquidity_net": i128(net), "liquidity_gross": u128(half)} for tick, net in ticks],
        **({} if known else {"known_range_set": True, "known_tick_lower": -400, "known_tick_upper": 400}),
    )  # fmt: skip


def traded(slot: int, pool: bytes, tick: int) -> market.Swap:
    """What Orca's event tells: amounts, direction and the price; neither tick, nor liquidity, nor mints, nor fee."""
    return market.Swap(
        chain=market.CHAIN_SOLANA, slot=slot, timestamp_us=START_US + slot * 400_000, venue=ORCA, pool=pool * 32,
        amount_in=u128(1), amount_out=u128(1), sqrt_price_x64=u128(tick_math_x64.price_at(tick) + 5),
    )  # fmt: skip


def reserves(slot: int, pool: bytes, venue: int, a: int, b: int, **fields: Any) -> market.PoolUpdate:
    told = {"mint_a": SOL, "mint_b": USDC, "reserve_a": u128(a), "reserve_b": u128(b)}
    return update(slot, pool, UPDATE.KIND_SNAPSHOT, **{**told, "venue": venue, **fields})


def feed(*messages: Message) -> tuple[Any, list[dict[str, Any]], list[str]]:
    """The stage, the opportunities, and the reasons of dead letters after all messages."""
    stage = make()
    rows = [[m for m in messages if m.DESCRIPTOR.name == name] for name in ("PoolUpdate", "Swap")]
    tables = run(stage, items([batch(*each) for each in rows if each]))
    found = tables["opportunities"].to_pylist() if "opportunities" in tables else []
    return stage, found, [row["reason"] for row in tables["errors"].to_pylist()] if "errors" in tables else []


def state(stage: Any, number: int) -> tuple[int, int]:
    pool = stage._market.book.pools[number]
    return int(pool["tick"]), unsigned(pool["liquidity"].tobytes())


@pytest.mark.parametrize(("tick", "liquidity"), [(500, LIQUIDITY), (1500, LIQUIDITY // 2), (-1500, LIQUIDITY // 2)])
def test_a_price_alone_moves_the_tick_and_the_liquidity(tick: int, liquidity: int) -> None:
    stage, found, errors = feed(whirlpool(1, b"a"), whirlpool(2, b"b"), traded(3, b"a", tick))
    assert errors == []
    assert state(stage, 0) == (tick, liquidity)
    assert [row["slot"] for row in found] == [3], "five or fifteen percent apart"


def test_liquidity_out_of_range_stays_out_after_a_price_alone() -> None:
    added = update(4, b"a", UPDATE.KIND_LIQUIDITY, tick_lower=-16, tick_upper=16, liquidity_delta=i128(10**15))
    stage, _, _ = feed(whirlpool(1, b"a"), traded(3, b"a", 500), added)
    assert state(stage, 0) == (500, LIQUIDITY)


def test_a_price_beyond_the_known_ticks_has_no_rate_until_it_is_back() -> None:
    other = whirlpool(2, b"b")
    _, found, _ = feed(whirlpool(1, b"a", known=False), other, traded(3, b"a", 1500))
    assert found == []
    stage, found, _ = feed(whirlpool(1, b"a", known=False), other, traded(3, b"a", 1500), traded(4, b"a", 350))
    assert [row["slot"] for row in found] == [4]
    assert state(stage, 0) == (350, LIQUIDITY)


@pytest.mark.parametrize("bad", [{"fee_pips": 1_000_000}, {"reserve_b": b""}, {"amount_in": b"\1"}])
def test_a_rejected_swap_leaves_its_pool_without_a_rate(bad: dict[str, Any]) -> None:
    """Somebody trades 50,000 into both level pools; the rows are refused. A later deposit tells one of the two."""
    level = [reserves(slot, name, CPMM, LEVEL, LEVEL, fee_pips=2_500) for slot, name in ((1, b"a"), (2, b"b"))]
    lost = [swap(slot, name, (1, 1), venue=CPMM, **bad) for slot, name in ((3, b"a"), (4, b"b"))]
    dust = reserves(5, b"b", CPMM, LEVEL + LEVEL // 4, LEVEL - LEVEL // 5)
    _, found, errors = feed(*level, *lost, dust)
    assert len(errors) == 2
    assert found == []
    _, found, _ = feed(*level, *lost, dust, reserves(6, b"a", CPMM, LEVEL, LEVEL))
    assert [row["slot"] for row in found] == [6], "told again, it trades again"


def test_a_rejected_row_closes_what_was_open() -> None:
    level = [swap(1, b"a", (LEVEL, LEVEL)), swap(2, b"b", (LEVEL, LEVEL + LEVEL // 50))]
    _, found, errors = feed(*level, swap(3, b"a", (1, 1), fee_pips=1_000_000))
    assert errors == ["bad_fee"]
    assert [(row["slot"], row["closed"]) for row in found] == [(2, False), (3, True)]


def test_a_rejected_change_of_liquidity_leaves_the_ticks_unknown() -> None:
    wrong = update(3, b"a", UPDATE.KIND_LIQUIDITY, tick_lower=16, tick_upper=-16, liquidity_delta=i128(5))
    stage, found, errors = feed(whirlpool(1, b"a"), whirlpool(2, b"b"), wrong, traded(4, b"a", 500))
    assert (errors, found) == (["bad_tick"], [])
    assert stage._market.book.info[0].ticks is None


def test_liquidity_that_moved_by_nobody_knows_how_much_is_doubt() -> None:
    for first, silent in (
        (whirlpool(1, b"a"), update(3, b"a", UPDATE.KIND_LIQUIDITY)),
        (reserves(1, b"a", CPMM, LEVEL, LEVEL, fee_pips=2_500), update(3, b"a", UPDATE.KIND_LIQUIDITY, venue=CPMM)),
    ):
        away = reserves(2, b"b", CPMM, LEVEL, LEVEL, fee_pips=2_500)
        gap = reserves(4, b"b", CPMM, LEVEL, 2 * LEVEL)
        assert feed(first, away, gap)[1]
        assert feed(first, away, silent, gap)[1] == []


@pytest.mark.parametrize(("percent", "found"), [(30, 0), (60, 1)])
def test_the_fee_that_raydium_v4_gives_every_pool(percent: int, found: int) -> None:
    """Two pools seen first in transactions: 0.3 % apart pays no fee of twice 0.25 %, 0.6 % does."""
    rows = [
        swap(slot, name, (LEVEL, LEVEL + LEVEL * more // 10_000), fee_pips=0, venue=V4)
        for slot, name, more in ((1, b"a", 0), (2, b"b", percent))
    ]
    assert len(feed(*rows)[1]) == found


def test_a_fee_that_nobody_told_is_no_rate() -> None:
    rows = [swap(slot, name, (LEVEL, LEVEL * slot), fee_pips=0, venue=CPMM) for slot, name in ((1, b"a"), (2, b"b"))]
    assert feed(*rows)[1] == []
    told = [update(slot, name, UPDATE.KIND_FEE, venue=CPMM) for slot, name in ((3, b"a"), (4, b"b"))]
    assert [row["slot"] for row in feed(*rows, *told)[1]] == [4], "a KIND_FEE of zero says that there is none"


def test_a_pool_that_is_removed_stays_so_until_it_is_stated_whole() -> None:
    level = [reserves(slot, name, CPMM, LEVEL, LEVEL, fee_pips=2_500) for slot, name in ((1, b"a"), (2, b"b"))]
    gone = update(3, b"a", UPDATE.KIND_REMOVE, venue=CPMM)
    gap = swap(4, b"a", (LEVEL, 2 * LEVEL), venue=CPMM)
    assert feed(*level, gap)[1]
    assert feed(*level, gone, gap)[1] == []
    assert [row["slot"] for row in feed(*level, gone, gap, reserves(5, b"a", CPMM, LEVEL, 2 * LEVEL))[1]] == [5]


def test_a_pool_whose_removal_was_rejected_stays_without_a_rate() -> None:
    """Why it is to be left alone does not end with its next swap; only a row that states it whole does."""
    level = [reserves(slot, name, CPMM, LEVEL, LEVEL, fee_pips=2_500) for slot, name in ((1, b"a"), (2, b"b"))]
    gone = update(3, b"a", UPDATE.KIND_REMOVE, venue=CPMM, tick_spacing=1 << 16)
    gap = swap(4, b"a", (LEVEL, 2 * LEVEL), venue=CPMM)
    _, found, errors = feed(*level, gone, gap)
    assert (errors, found) == (["bad_tick"], [])
    whole = reserves(5, b"a", CPMM, LEVEL, 2 * LEVEL, fee_pips=2_500)
    assert [row["slot"] for row in feed(*level, gone, gap, whole)[1]] == [5]


@pytest.mark.parametrize("fee_pips", [0, 2_500])
def test_the_fee_of_a_rejected_snapshot_is_not_the_old_one(fee_pips: int) -> None:
    """Nobody knows what the snapshot said: a swap that tells no fee leaves the pool without a rate, one that does not.

    Aerodrome's pools are such: their fee may change, and small swaps do not show it.
    """
    venue = market.VENUE_AERODROME_VOLATILE
    level = [reserves(slot, name, venue, LEVEL, LEVEL, fee_pips=100) for slot, name in ((1, b"a"), (2, b"b"))]
    lost = reserves(3, b"a", venue, LEVEL, LEVEL, fee_pips=1_000_000)
    _, found, errors = feed(*level, lost, swap(4, b"a", (LEVEL, 2 * LEVEL), venue=venue, fee_pips=fee_pips))
    assert errors == ["bad_fee"]
    assert [row["slot"] for row in found] == ([4] if fee_pips else [])


def test_the_last_tick_that_may_lie_between_decides_what_is_known() -> None:
    """At tick 390 of spacing 8 no tick beyond 384 has been passed: a range known up to 385 is enough."""
    known = whirlpool(1, b"a", known=False)
    known.known_tick_upper = 385
    stage, found, _ = feed(known, whirlpool(2, b"b"), traded(3, b"a", 390))
    assert state(stage, 0) == (390, LIQUIDITY)
    assert [row["slot"] for row in found] == [3]


@pytest.mark.parametrize("mints", [(USDC, SOL), (SOL, b"X" * 32)], ids=["in the other order", "others"])
def test_an_update_that_names_other_mints_than_its_pool_has_is_refused(mints: tuple[bytes, bytes]) -> None:
    """Its reserves would be the other token's: a gap of a factor of four that nobody can trade."""
    level = [reserves(slot, name, CPMM, LEVEL, 2 * LEVEL, fee_pips=2_500) for slot, name in ((1, b"a"), (2, b"b"))]
    turned = reserves(3, b"a", CPMM, 2 * LEVEL, LEVEL, fee_pips=2_500, mint_a=mints[0], mint_b=mints[1])
    _, found, errors = feed(*level, turned, reserves(4, b"b", CPMM, LEVEL, 3 * LEVEL, fee_pips=2_500))
    assert (errors, found) == (["other_mints"], []), "nor is the pool what it was before"
    right = reserves(5, b"a", CPMM, LEVEL, 2 * LEVEL, fee_pips=2_500)
    assert feed(*level, turned, reserves(4, b"b", CPMM, LEVEL, 3 * LEVEL, fee_pips=2_500), right)[1]
