"""Rows that no chain would give, or that somebody made to break a detector: none of them stops the stream."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import Tables, items, make, run, unsigned, until
from tests.operators.detect.market_messages import batch, swap, u128
from tests.operators.detect.random_market import SOL, START_US, USDC

ONE_X64 = u128(1 << 64)
SNAPSHOT, LIQUIDITY = market.PoolUpdate.KIND_SNAPSHOT, market.PoolUpdate.KIND_LIQUIDITY


def update(slot: int, **changes: Any) -> market.PoolUpdate:
    """A concentrated SOL/USDC pool stated whole."""
    fields: dict[str, Any] = {
        "chain": market.CHAIN_SOLANA,
        "slot": slot,
        "timestamp_us": START_US + slot * 400_000,
        "pool": b"u" * 32,
        "kind": SNAPSHOT,
        "mint_a": SOL,
        "mint_b": USDC,
        "fee_pips": 500,
        "tick_spacing": 16,
        "sqrt_price_x64": ONE_X64,
        "liquidity": u128(10**12),
    }
    return market.PoolUpdate(**{**fields, **changes})


def priced(slot: int, pool: bytes, **changes: Any) -> market.Swap:
    """A swap that leaves a concentrated pool at a price of one."""
    state: dict[str, Any] = {"reserve_a": b"", "reserve_b": b"", "sqrt_price_x64": ONE_X64}
    return swap(slot, pool, (1, 1), **{**state, "liquidity": u128(10**12), **changes})


def feed(*messages: Message) -> Tables:
    """Everything at once."""
    rows = [[m for m in messages if m.DESCRIPTOR.name == name] for name in ("PoolUpdate", "Swap")]
    return run(make(), items([batch(*each) for each in rows if each]))


BAD_UPDATES: dict[str, tuple[str, dict[str, Any]]] = {
    "a price too wide": ("bad_amount", {"sqrt_price_x64": b"\1" * 25}),
    "a price too narrow": ("bad_amount", {"sqrt_price_x64": b"\1" * 8}),
    "liquidity too wide": ("bad_amount", {"liquidity": b"\1" * 17}),
    "reserves too narrow": ("bad_amount", {"reserve_a": b"\1", "reserve_b": b"\1"}),
    "a change too wide": ("bad_amount", {"kind": LIQUIDITY, "liquidity_delta": b"\x7f" * 40}),
    "a tick's liquidity too wide": ("bad_amount", {"ticks": [{"tick": 16, "liquidity_net": b"\1" * 17}]}),
    "no pool": ("no_pool", {"pool": b""}),
    "no chain": ("no_chain", {"chain": 0}),
    "all of it is fee": ("bad_fee", {"fee_pips": 1_000_000}),
    "two prices": ("two_prices", {"sqrt_price_x96": b"\1" * 20}),
    "ticks too far apart": ("bad_tick", {"tick_spacing": (1 << 32) - 1}),
    "a price beyond every tick": ("bad_tick", {"tick": (1 << 31) - 1}),
    "a tick beyond every tick": ("bad_tick", {"ticks": [{"tick": -(1 << 31), "liquidity_net": u128(1)}]}),
    "more known than there is": ("bad_tick", {"known_range_set": True, "known_tick_upper": (1 << 31) - 1}),
    "more decimals than a byte holds": ("bad_decimals", {"decimals_b": 400}),
    "a range the wrong way": ("bad_tick", {"kind": LIQUIDITY, "tick_lower": 16, "tick_upper": -16}),
}


@pytest.mark.parametrize("name", BAD_UPDATES)
def test_an_update_that_cannot_be_is_a_dead_letter_and_changes_nothing(name: str) -> None:
    reason, changes = BAD_UPDATES[name]
    good = [swap(2, b"p", (10**12, 10**12)), priced(3, b"q"), swap(4, b"p", (10**12, 2 * 10**12))]
    clean, dirty = feed(*good), feed(update(1, **changes), *good)
    (error,) = dirty.pop("errors").to_pylist()
    assert (error["reason"], error["stage"]) == (reason, "found")
    assert market.PoolUpdate.FromString(error["payload"]) == update(1, **changes)
    assert dirty == clean


@pytest.mark.parametrize("tick", [(1 << 31) - 1, -(1 << 31), 900_000])
def test_a_swap_to_a_tick_that_no_venue_has_is_a_dead_letter(tick: int) -> None:
    tables = feed(priced(1, b"p", tick=tick), swap(2, b"q", (10**12, 2 * 10**12)))
    assert [row["reason"] for row in tables["errors"].to_pylist()] == ["bad_tick"]


def test_a_pool_is_not_made_from_a_row_that_is_rejected() -> None:
    nameless = priced(2, b"u", mint_in=b"", mint_out=b"")
    bad = update(1, fee_pips=1_000_000)
    whole = feed(bad, nameless)
    assert [row["reason"] for row in whole["errors"].to_pylist()] == ["unknown_pool", "bad_fee"]
    cut = run(make(), [*items([batch(bad)]), *until(1 << 62), *items([batch(nameless)])])
    assert sorted(row["reason"] for row in cut["errors"].to_pylist()) == ["bad_fee", "unknown_pool"]


EXTREMES: dict[str, Callable[[], market.Swap]] = {
    "the dearest Q64.96 price": lambda: priced(
        1, b"p", sqrt_price_x64=b"", sqrt_price_x96=b"\xff" * 20, liquidity=b"\xff" * 16, tick=887_271
    ),
    "the cheapest Q64.96 price": lambda: priced(
        1, b"p", sqrt_price_x64=b"", sqrt_price_x96=b"\1".ljust(20, b"\0"), liquidity=b"\xff" * 16, tick=-887_272
    ),
    "the dearest Q64.64 price": lambda: priced(
        1, b"p", sqrt_price_x64=b"\xff" * 16, liquidity=b"\xff" * 16, tick=443_636
    ),
    "a tick far from the price": lambda: priced(1, b"p", tick=5_000),
    "all the reserves that there can be": lambda: swap(1, b"p", ((1 << 128) - 1, (1 << 128) - 1)),
    "all against a unit": lambda: swap(1, b"p", (1, (1 << 128) - 1)),
    "a unit against all": lambda: swap(1, b"p", ((1 << 128) - 1, 1)),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_amounts_at_the_end_of_their_range_stop_nothing(name: str) -> None:
    others = [
        priced(3, b"q"),
        swap(4, b"r", (10**9, 2 * 10**9)),
        priced(5, b"s", sqrt_price_x64=b"", sqrt_price_x96=(1 << 96).to_bytes(20, "little"), liquidity=u128(1 << 127)),
    ]
    stage = make()
    tables = run(stage, items([batch(EXTREMES[name](), *others)]))
    assert "errors" not in tables
    make().restore(stage.snapshot())
    for row in tables["opportunities"].to_pylist():
        assert row["closed"] or 0 < unsigned(row["amount_in"]) < unsigned(row["amount_out"]) < 1 << 127


def test_a_cost_that_the_start_token_cannot_pay_is_held_within_its_bytes() -> None:
    x, y = b"x" * 32, b"y" * 32
    worthless = swap(1, b"a", (1 << 127, 1), mints=(x, USDC))
    sol = swap(1, b"b", (10**12, 10**11), tx_index=1)
    round_trip = [swap(2, name, (10**20, rest), mints=(x, y)) for name, rest in ((b"c", 10**20), (b"d", 2 * 10**20))]
    found = run(make(costs={"solana": {"tip": {"absolute": 10**18}}}), items([batch(worthless, sol, *round_trip)]))[
        "opportunities"
    ].to_pylist()
    assert found
    assert all(unsigned(row["cost"]) > 10**37 for row in found)


def test_liquidity_that_no_account_can_hold_is_a_dead_letter() -> None:
    most = ((1 << 127) - 1).to_bytes(16, "little")
    added = [update(slot, kind=LIQUIDITY, tick_lower=-16, tick_upper=16, liquidity_delta=most) for slot in (2, 3, 4, 5)]
    for known in ({}, {"known_range_set": True, "known_tick_lower": -160, "known_tick_upper": 160}):
        tables = feed(update(1, **known), *added)
        assert [row["reason"] for row in tables["errors"].to_pylist()] == ["impossible"], "its ticks are unknown then"
        assert tables["pools"].num_rows == 4


def scrambled(random: Random, slot: int) -> Message:
    """A swap or an update with a few fields at random values of their types."""
    message: Any = update(slot) if random.random() < 0.5 else priced(slot, random.choice((b"u", b"v")))
    for field in random.sample(list(message.DESCRIPTOR.fields), random.randint(0, 4)):
        if field.name in ("timestamp_us", "slot"):
            continue
        values: dict[int, Callable[[], object]] = {
            field.TYPE_BYTES: lambda: random.randbytes(random.choice((0, 1, 16, 16, 16, 20, 32, 40))),
            field.TYPE_SINT32: lambda: random.choice((0, 16, -16, 887_272, (1 << 31) - 1, -(1 << 31))),
            field.TYPE_UINT32: lambda: random.choice((0, 1, 999_999, 1_000_000, (1 << 32) - 1)),
            field.TYPE_ENUM: lambda: random.choice((0, 1, 2, 3, 5, 9)),
            field.TYPE_BOOL: lambda: random.random() < 0.5,
        }
        if field.type in values:
            setattr(message, field.name, values[field.type]())
    return message


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_no_row_stops_the_stream(seed: int) -> None:
    random = Random(seed)
    messages = [scrambled(random, slot) for slot in range(1, 30)]
    stage = make(costs={"ethereum": {"base_fee_wei": 10**9}})
    rows = [[m for m in messages if m.DESCRIPTOR.name == name] for name in ("PoolUpdate", "Swap")]
    tables = run(stage, items([batch(*each) for each in rows if each]))
    given_back = sum(tables[port].num_rows for port in ("swaps", "pools", "errors") if port in tables)
    assert given_back == len(messages), "a row goes on or is a dead letter"
    again = make(costs={"ethereum": {"base_fee_wei": 10**9}})
    again.restore(stage.snapshot())
    assert again.snapshot() == stage.snapshot()
