"""What an update does to a pool: what it states, what follows of it, and what news that comes late may change."""

from __future__ import annotations

from google.protobuf.message import Message

from mevflow.operators.amm.concentrated import tick_math_x64
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import items, make, run, until
from tests.operators.detect.market_messages import SLOT_US, batch, swap, u128
from tests.operators.detect.random_market import SOL, START_US, USDC

LIQUIDITY, DELTA = 10**12, 10**11


def update(slot: int, kind: int, **changes: object) -> market.PoolUpdate:
    fields: dict[str, object] = {
        "chain": market.CHAIN_SOLANA,
        "slot": slot,
        "timestamp_us": START_US + slot * SLOT_US,
        "venue": market.VENUE_ORCA_WHIRLPOOL,
        "pool": b"w" * 32,
        "kind": kind,
        "mint_a": SOL,
        "mint_b": USDC,
    }
    return market.PoolUpdate(**{**fields, **changes})


def snapshot(slot: int) -> market.PoolUpdate:
    price = u128(tick_math_x64.price_at(5))
    state = {"sqrt_price_x64": price, "liquidity": u128(LIQUIDITY), "tick": 5, "tick_spacing": 64, "fee_pips": 3_000}
    return update(slot, market.PoolUpdate.KIND_SNAPSHOT, **state)


def position(slot: int, lower: int, upper: int, delta: int = DELTA) -> market.PoolUpdate:
    raw = delta.to_bytes(16, "little", signed=True)
    return update(slot, market.PoolUpdate.KIND_LIQUIDITY, tick_lower=lower, tick_upper=upper, liquidity_delta=raw)


def active(*messages: Message) -> int:
    stage = make()
    for message in messages:
        run(stage, [*items([batch(message)]), *until(1 << 62)], end=False)
    pool = stage._market.book.pools[0]
    return int.from_bytes(pool["liquidity"].tobytes(), "little")


def test_a_position_about_the_price_adds_to_the_active_liquidity() -> None:
    assert active(snapshot(1), position(2, -64, 64)) == LIQUIDITY + DELTA
    assert active(snapshot(1), position(2, -64, 64), position(3, -64, 64, -DELTA)) == LIQUIDITY
    assert active(snapshot(1), position(2, 64, 128)) == LIQUIDITY
    assert active(snapshot(1), position(2, -64, 0)) == LIQUIDITY


def test_more_than_there_is_cannot_be_taken_out() -> None:
    stage = make()
    feed = [*items([batch(snapshot(1))]), *until(1 << 62), *items([batch(position(2, -64, 64, -2 * LIQUIDITY))])]
    errors = run(stage, feed)["errors"].to_pylist()
    assert [row["reason"] for row in errors] == ["impossible"]


def test_an_update_that_comes_late_leaves_the_newer_state() -> None:
    newer = swap(
        5, b"w", (0, 0), sqrt_price_x64=u128(tick_math_x64.price_at(9)), liquidity=u128(7), tick=9,
        reserve_a=b"", reserve_b=b"", venue=market.VENUE_ORCA_WHIRLPOOL,
    )  # fmt: skip
    assert active(snapshot(1), newer) == 7
    assert active(snapshot(1), newer, snapshot(3)) == 7
    assert active(snapshot(1), newer, snapshot(6)) == LIQUIDITY
