"""What a transaction does not tell of a pool is doubt or a refusal of the pool, never its old state."""

from __future__ import annotations

from typing import Any

import pytest

from mevflow.operators.accounts import registry
from mevflow.v1 import market_pb2 as market
from tests.operators.parse.solana.messages import MINT_A, MINT_B, anchor, logged, numbers
from tests.operators.parse.solana.transactions import (
    ACCOUNTS,
    OTHER,
    SIGNER,
    TOKEN_PROGRAM,
    Recorded,
    clmm_swap,
    parse,
    traded,
)

UPDATE = market.PoolUpdate


def lost(rows: list[dict[str, Any]]) -> list[tuple[bytes, int]]:
    return [(row["pool"], row["kind"]) for row in rows]


@pytest.mark.parametrize(
    ("program", "name", "places", "kind", "reason"),
    [
        (registry.WHIRLPOOL, "two_hop_swap", (2, 3), UPDATE.KIND_UNSPECIFIED, "no_outcome"),
        (registry.WHIRLPOOL, "two_hop_swap_v2", (0, 1), UPDATE.KIND_UNSPECIFIED, "no_outcome"),
        (registry.WHIRLPOOL, "set_fee_rate", (1,), UPDATE.KIND_REMOVE, "truncated"),
        (registry.METEORA_DLMM, "swap2", (0,), UPDATE.KIND_UNSPECIFIED, "no_outcome"),
        (registry.METEORA_DLMM, "add_liquidity_by_strategy2", (1,), UPDATE.KIND_LIQUIDITY, "truncated"),
        (registry.METEORA_DLMM, "remove_liquidity_by_range2", (1,), UPDATE.KIND_LIQUIDITY, "truncated"),
        (registry.METEORA_DLMM, "go_to_a_bin", (0,), UPDATE.KIND_LIQUIDITY, "truncated"),
        (registry.METEORA_DLMM, "place_limit_order", (0,), UPDATE.KIND_LIQUIDITY, "limit_order"),
        (registry.METEORA_DLMM, "cancel_limit_order", (0,), UPDATE.KIND_LIQUIDITY, "truncated"),
        (registry.METEORA_DLMM, "update_base_fee_parameters", (0,), UPDATE.KIND_REMOVE, "truncated"),
    ],
)
def test_a_call_without_its_outcome_puts_every_pool_of_it_in_doubt(
    program: bytes, name: str, places: tuple[int, ...], kind: int, reason: str
) -> None:
    swaps, updates, (error,) = parse(Recorded().call(program, anchor("global", name), []).document())
    assert swaps == []
    assert error.reason == reason
    assert lost(updates) == [(ACCOUNTS[place], kind) for place in places]
    assert len({row["ix_index"] for row in updates}) == len(places)


def test_a_fee_in_steps_that_nobody_told_removes_the_pair() -> None:
    data = anchor("global", "update_base_fee_parameters") + numbers(2, 500, 20) + b"\0"
    _, updates, (error,) = parse(Recorded().call(registry.METEORA_DLMM, data, []).document())
    assert (error.reason, lost(updates)) == ("unknown_pool", [(ACCOUNTS[0], UPDATE.KIND_REMOVE)])


@pytest.mark.parametrize("name", ["swap_router_base_in", "of_2027"])
def test_pools_of_a_router_or_an_unknown_instruction_are_found_by_what_was_told_before(name: str) -> None:
    pools = [ACCOUNTS[6], ACCOUNTS[9]]
    seen = [Recorded().call(registry.RAYDIUM_CLMM, anchor("global", "swap_v2"), clmm_swap(pool)) for pool in pools]
    other = Recorded().call(registry.WHIRLPOOL, anchor("global", "swap"), traded(ACCOUNTS[7]))
    last = Recorded().call(registry.RAYDIUM_CLMM, anchor("global", name), [])
    _, updates, (error,) = parse(*(one.document() for one in (*seen, other, last)))
    assert error.reason in ("no_outcome", "unknown_instruction")
    kind = UPDATE.KIND_UNSPECIFIED if name.startswith("swap") else UPDATE.KIND_LIQUIDITY
    assert lost(updates) == [(pool, kind) for pool in pools]


def test_a_cut_log_tells_what_came_before_the_cut() -> None:
    """The second call is cut in its middle, after the first of its two events; the third has no line at all."""
    calls = Recorded().call(registry.WHIRLPOOL, anchor("global", "swap"), traded(OTHER))
    calls.call(registry.WHIRLPOOL, anchor("global", "two_hop_swap"), traded(ACCOUNTS[2]) + traded(ACCOUNTS[3]))
    calls.call(registry.RAYDIUM_CLMM, anchor("global", "swap_v2"), clmm_swap(ACCOUNTS[2]))
    whole, _, errors = parse(calls.document())
    assert (len(whole), errors) == (4, [])
    swaps, updates, errors = parse(calls.document(lines=5))
    assert [row["pool"] for row in swaps] == [OTHER]
    assert [error.reason for error in errors] == ["log_truncated"] * 2
    assert [row["pool"] for row in updates] == [ACCOUNTS[2], ACCOUNTS[3], ACCOUNTS[2]]
    assert [row["venue"] for row in updates] == [market.VENUE_ORCA_WHIRLPOOL] * 2 + [market.VENUE_RAYDIUM_CLMM]
    places = [row["ix_index"] for row in (*swaps, *updates)]
    assert places == sorted(set(places))


def dlmm_swap(sent: int, mint: bytes = MINT_A, event: str = "Swap") -> Recorded:
    """1,000 of X for 990 of Y; ``sent`` of X left the sender."""
    accounts = [*ACCOUNTS[:6], MINT_A, MINT_B]
    told = anchor("event", event) + ACCOUNTS[0] + SIGNER + numbers(4, 5, 6) + numbers(8, 1000, 990) + b"\1" + bytes(48)
    within = [
        (TOKEN_PROGRAM, b"\x0c" + numbers(8, sent) + b"\6", [ACCOUNTS[4], mint, ACCOUNTS[2], SIGNER]),
        (TOKEN_PROGRAM, b"\x0c" + numbers(8, 990) + b"\6", [ACCOUNTS[3], MINT_B, ACCOUNTS[5], SIGNER]),
        (registry.METEORA_DLMM, bytes.fromhex("e445a52e51cb9a1d") + told, []),
    ]
    return Recorded().call(registry.METEORA_DLMM, anchor("global", "swap2"), [], accounts, within)


@pytest.mark.parametrize("lines", [None, 0, 3])
def test_calls_that_a_program_makes_to_itself_are_read_without_the_log(lines: int | None) -> None:
    (row,), updates, errors = parse(dlmm_swap(1000).document(lines))
    assert (updates, errors) == ([], [])
    assert (row["mint_in"], row["mint_out"], row["amount_out"]) == (MINT_A, MINT_B, (990).to_bytes(16, "little"))


def test_a_cut_log_without_depths_is_refused_and_puts_known_pools_in_doubt() -> None:
    calls = dlmm_swap(1000)
    before = calls.document()
    cut = calls.document(3)
    for one in cut["meta"]["innerInstructions"][0]["instructions"]:
        one["stackHeight"] = None
    swaps, updates, (error,) = parse(before, cut)
    assert (swaps, error.reason) == ([], "log_truncated")
    assert lost(updates) == [(ACCOUNTS[0], UPDATE.KIND_LIQUIDITY)]


def test_what_a_mint_kept_of_a_transfer_into_a_pair_removes_it() -> None:
    (swap,), (removed,), errors = parse(dlmm_swap(1010).document())
    assert errors == []
    assert (swap["mint_in"], int.from_bytes(swap["amount_in"], "little")) == (MINT_A, 1000)
    assert (removed["kind"], removed["pool"]) == (UPDATE.KIND_REMOVE, ACCOUNTS[0])
    assert (removed["mint_a"], removed["mint_b"]) == (MINT_A, MINT_B)


def test_a_swap_whose_program_told_it_in_another_event_has_no_outcome() -> None:
    swaps, updates, (error,) = parse(dlmm_swap(1000, event="SwapOf2027").document())
    assert (swaps, error.reason) == ([], "no_outcome")
    assert lost(updates) == [(ACCOUNTS[0], UPDATE.KIND_UNSPECIFIED)]


def whirlpool_moved(kept: int) -> bytes:
    event = anchor("event", "LiquidityIncreased") + ACCOUNTS[0] + OTHER + numbers(4, 8, 16) + numbers(16, 5)
    return event + numbers(8, 100, 100, 0, kept)


def whirlpool_repositioned(kept: int) -> bytes:
    event = anchor("event", "LiquidityRepositioned") + ACCOUNTS[0] + OTHER + numbers(4, 8, 16, 24, 32)
    return event + numbers(16, 5, 7) + bytes(32) + numbers(8, 9, 0) + b"\1" + numbers(8, 9, kept) + b"\1"


def clmm_opened(kept: int) -> bytes:
    event = anchor("event", "CreatePersonalPositionEvent") + ACCOUNTS[0] + bytes(64) + numbers(4, 8, 16)
    return event + numbers(16, 5) + numbers(8, 100, 100, kept, 0)


def cpmm_deposited(kept: int) -> bytes:
    return anchor("event", "LpChangeEvent") + ACCOUNTS[0] + numbers(8, 1, 1000, 2000, 100, 200, kept, 0) + b"\0"


@pytest.mark.parametrize(
    ("program", "event"),
    [
        (registry.WHIRLPOOL, whirlpool_moved),
        (registry.WHIRLPOOL, whirlpool_repositioned),
        (registry.RAYDIUM_CLMM, clmm_opened),
        (registry.RAYDIUM_CPMM, cpmm_deposited),
    ],
)
def test_what_a_mint_kept_of_a_deposit_removes_the_pool(program: bytes, event: Any) -> None:
    for kept in (0, 3):
        _, updates, errors = parse(Recorded().call(program, anchor("global", "any"), logged(event(kept))).document())
        assert errors == []
        assert {row["pool"] for row in updates} == {ACCOUNTS[0]}
        assert (updates[-1]["kind"] == UPDATE.KIND_REMOVE) is bool(kept)


def test_liquidity_of_a_position_of_a_mint_with_a_fee_removes_its_clmm_pool() -> None:
    event = anchor("event", "DecreaseLiquidityEvent") + OTHER + numbers(16, 5) + numbers(8, 1, 1, 0, 0, 0, 0, 0, 2, 0)
    change = anchor("event", "LiquidityChangeEvent") + ACCOUNTS[3] + numbers(4, 9, 8, 16) + numbers(16, 10, 5)
    data = anchor("global", "decrease_liquidity_v2") + numbers(16, 5) + bytes(16)
    document = Recorded().call(registry.RAYDIUM_CLMM, data, logged(change) + logged(event)).document()
    _, updates, errors = parse(document)
    assert errors == []
    assert lost(updates) == [(ACCOUNTS[3], UPDATE.KIND_LIQUIDITY), (ACCOUNTS[3], UPDATE.KIND_REMOVE)]


@pytest.mark.parametrize(
    ("program", "data", "pool"),
    [
        (registry.WHIRLPOOL, anchor("global", "initialize_pool_with_adaptive_fee") + numbers(16, 1 << 64) + b"\0", 7),
        (registry.WHIRLPOOL, anchor("global", "set_fee_rate_by_delegated_fee_authority") + numbers(2, 3000), 0),
        (registry.WHIRLPOOL, anchor("global", "set_adaptive_fee_constants") + bytes(7), 0),
        (registry.RAYDIUM_CLMM, anchor("global", "create_customizable_pool") + numbers(16, 1 << 64) + b"\0\1", 2),
        (registry.RAYDIUM_CLMM, anchor("global", "create_customizable_pool") + numbers(16, 1 << 64) + b"\2\0", 2),
        (registry.METEORA_DLMM, anchor("global", "update_dynamic_fee_parameters") + bytes(14), 0),
        (registry.RAYDIUM_AMM_V4, b"\x06\x09" + numbers(8, 5, 1, 25, 10_000, 1, 1, 1, 3), 1),
    ],
)
def test_a_fee_that_no_row_carries_removes_the_pool(program: bytes, data: bytes, pool: int) -> None:
    _, updates, errors = parse(Recorded().call(program, data, []).document())
    assert errors == []
    assert lost(updates)[-1] == (ACCOUNTS[pool], UPDATE.KIND_REMOVE)


def test_a_customizable_clmm_pool_that_is_as_any_other_is_created() -> None:
    data = anchor("global", "create_customizable_pool") + numbers(16, 1 << 64) + b"\0\0"
    _, updates, errors = parse(Recorded().call(registry.RAYDIUM_CLMM, data, []).document())
    assert (errors, lost(updates)) == ([], [(ACCOUNTS[2], UPDATE.KIND_CREATE)])


def test_the_fee_that_an_operator_gives_a_raydium_v4_pool() -> None:
    fees = b"\x06\x09" + numbers(8, 5, 10_000, 25, 10_000, 12, 100, 40, 10_000)
    _, (row,), errors = parse(Recorded().call(registry.RAYDIUM_AMM_V4, fees, []).document())
    assert errors == []
    assert (row["pool"], row["kind"], row["fee_pips"]) == (ACCOUNTS[1], UPDATE.KIND_FEE, 4_000)
    assert parse(Recorded().call(registry.RAYDIUM_AMM_V4, b"\x06\x0b" + bytes(8), []).document()) == ([], [], [])


def test_a_record_that_cannot_be_read_puts_the_pools_in_doubt_that_it_names() -> None:
    calls = Recorded().call(registry.WHIRLPOOL, anchor("global", "swap"), traded(ACCOUNTS[2]))
    broken = calls.document()
    broken["meta"]["logMessages"].insert(0, "Program 11111111111111111111111111111111 success")
    _, updates, (error,) = parse(calls.document(), broken)
    assert (error.reason, lost(updates)) == ("malformed", [(ACCOUNTS[2], UPDATE.KIND_LIQUIDITY)])
