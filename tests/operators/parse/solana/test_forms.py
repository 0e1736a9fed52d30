"""Transactions of the forms and calls that trip parsers: precompiles, two events of one call, transfer fees."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import base58
import pytest

from mevflow.operators.accounts import registry
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.v1 import market_pb2 as market
from tests.operators.parse.solana.messages import POOL, anchor, logged, numbers, transaction

FAULTS = Path(__file__).parents[3] / "data" / "faults"
AMOUNTS = ("amount_in", "amount_out", "reserve_a", "reserve_b", "sqrt_price_x64", "liquidity")
TOKEN_A = base58.b58decode("8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR")
TOKEN_B = base58.b58decode("CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8")
PRECOMPILES = (
    "Ed25519SigVerify111111111111111111111111111",
    "KeccakSecp256k11111111111111111111111111111",
    "Secp256r1SigVerify1111111111111111111111111",
)


def fault(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FAULTS / f"{name}.json").read_text())
    return document


def parse(document: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[ParseError]]:
    """Swaps and updates with amounts as integers, and what was refused."""
    errors: list[ParseError] = []
    parser = SolanaSwaps(errors.append)
    parser.add(document, slot=9, tx_index=0)
    rows: dict[bytes, list[dict[str, Any]]] = {}
    for batch in parser.flush():
        rows[batch.schema.metadata[b"message"]] = batch.to_pylist()
    swaps, updates = rows.get(b"mevflow.v1.Swap", []), rows.get(b"mevflow.v1.PoolUpdate", [])
    for row in (*swaps, *updates):
        for name in AMOUNTS:
            row[name] = int.from_bytes(row[name], "little") if row.get(name) else None
    return swaps, updates, errors


def swaps_of(document: Any) -> list[dict[str, Any]]:
    swaps, _, errors = parse(document)
    assert errors == []
    return swaps


@pytest.mark.parametrize("name", PRECOMPILES)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_precompile_shifts_nothing(name: str, where: int) -> None:
    document = fault("precompile_two_raydium")
    message = document["transaction"]["message"]
    message["accountKeys"][1] = name
    message["instructions"].insert(where, message["instructions"].pop(0))
    pools = [base58.b58encode(row["pool"]).decode()[:4] for row in swaps_of(document)]
    assert pools == ["4vJ9", "8qbH"]
    assert [row["amount_in"] for row in swaps_of(document)] == [1000, 499]


def test_a_precompile_before_inner_calls_and_without_outer_instructions() -> None:
    document = fault("two_hop")
    message, group = document["transaction"]["message"], document["meta"]["innerInstructions"][0]
    message["accountKeys"].append(PRECOMPILES[0])
    message["instructions"].insert(0, {"programIdIndex": len(message["accountKeys"]) - 1, "accounts": [], "data": "1"})
    group["index"] = 1
    assert [row["mint_in"] for row in swaps_of(document)] == [TOKEN_A, TOKEN_B]
    assert [row["amount_in"] for row in swaps_of(document["meta"])] == [1000, 2000]


def test_an_instruction_of_another_program_than_the_log_names_is_refused() -> None:
    document = fault("precompile_two_raydium")
    document["transaction"]["message"]["accountKeys"][1] = "ComputeBudget111111111111111111111111111111"
    _, _, (error,) = parse(document)
    assert error.reason == "malformed"


def test_two_events_of_one_call_have_a_coordinate_each() -> None:
    first, second = swaps_of(fault("two_hop"))
    assert first["ix_index"] < second["ix_index"]
    assert (first["mint_in"], first["mint_out"]) == (second["mint_out"], second["mint_in"]) == (TOKEN_A, TOKEN_B)


def test_rows_of_one_call_and_of_the_calls_after_it_have_coordinates_in_order() -> None:
    event = anchor("event", "Traded") + POOL + b"\1" + numbers(16, 5, 6) + numbers(8, 70, 80, 0, 0, 1, 0)
    document = transaction(registry.WHIRLPOOL, anchor("global", "two_hop_swap"), logged(event) * 3)
    instructions, lines = document["transaction"]["message"]["instructions"], document["meta"]["logMessages"]
    instructions += instructions
    lines += lines
    places = [row["ix_index"] for row in swaps_of(document)]
    assert places == [0, 1, 2, 3, 4, 5]


def test_a_transfer_fee_is_no_part_of_what_the_pool_receives() -> None:
    (row,) = swaps_of(fault("whirlpool_transfer_fee"))
    assert (row["amount_in"], row["amount_out"], row["mint_in"], row["mint_out"]) == (950, 900, TOKEN_A, TOKEN_B)


def test_cpmm_states_its_vaults_and_its_old_event_has_mints_by_its_transfers() -> None:
    (row,) = swaps_of(fault("cpmm_transfer_fee_old_event"))
    assert (row["a_to_b"], row["mint_in"], row["mint_out"]) == (True, TOKEN_A, TOKEN_B)
    assert (row["amount_in"], row["amount_out"]) == (950, 900)
    assert (row["reserve_a"], row["reserve_b"]) == (1_000_000 + 950, 1_000_000 - 900)


@pytest.mark.parametrize("a_to_b", [True, False])
def test_clmm_pays_the_fee_of_what_it_sends(a_to_b: bool) -> None:
    sides = [(950, 50), (891, 9)]
    amounts = [number for side in (sides if a_to_b else sides[::-1]) for number in side]
    event = anchor("event", "SwapEvent") + POOL + bytes(96) + numbers(8, *amounts)
    event += bytes([a_to_b]) + numbers(16, 5, 6) + numbers(4, 7)
    (row,) = swaps_of(transaction(registry.RAYDIUM_CLMM, anchor("global", "swap_v2"), logged(event)))
    assert (row["amount_in"], row["amount_out"], row["a_to_b"]) == (950, 900, a_to_b)


@pytest.mark.parametrize(("change", "reserves"), [(0, (1100, 2200)), (1, (895, 1790))])
def test_cpmm_withdrawals_pay_the_transfer_fee_too(change: int, reserves: tuple[int, int]) -> None:
    event = anchor("event", "LpChangeEvent") + POOL + numbers(8, 1, 1000, 2000, 100, 200, 5, 10) + bytes([change])
    document = transaction(registry.RAYDIUM_CPMM, anchor("global", "whatever"), logged(event))
    _, (row, removed), errors = parse(document)
    assert errors == []
    assert (row["reserve_a"], row["reserve_b"]) == reserves
    assert (removed["kind"], removed["pool"]) == (market.PoolUpdate.KIND_REMOVE, POOL)


def cpmm(trade_fee: int, creator_fee: int, on_input: bool, amount_in: int = 10**9) -> dict[str, Any]:
    event = anchor("event", "SwapEvent") + POOL + numbers(8, 10**12, 10**12, amount_in, 5 * 10**8, 0, 0) + b"\1"
    event += TOKEN_A + TOKEN_B + numbers(8, trade_fee, creator_fee) + bytes([on_input])
    (row,) = swaps_of(transaction(registry.RAYDIUM_CPMM, anchor("global", "swap_base_input"), logged(event)))
    return row


def test_cpmm_tells_its_fee_by_what_it_took() -> None:
    assert cpmm(2_500_000, 0, True)["fee_pips"] == 2_500
    assert cpmm(1, 0, True, amount_in=100)["fee_pips"] == 0, "many rates would take one of a hundred"


def test_a_creators_fee_leaves_the_reserves_and_is_no_fee_that_a_row_can_carry() -> None:
    on_input, on_output = cpmm(2_500_000, 5_000_000, True), cpmm(2_500_000, 5_000_000, False)
    assert on_input["fee_pips"] == on_output["fee_pips"] == 0
    assert on_input["reserve_a"] == 10**12 + 10**9 - 5_000_000
    assert on_output["reserve_b"] == 10**12 - 5 * 10**8 - 5_000_000


def test_events_are_read_whatever_their_instruction_is_called() -> None:
    traded = anchor("event", "Traded") + POOL + b"\1" + numbers(16, 5, 6) + numbers(8, 70, 80, 0, 0, 1, 0)
    moved = anchor("event", "LiquidityIncreased") + POOL + POOL + numbers(4, 8, 16) + numbers(16, 5) + bytes(32)
    for event, counts in ((traded, (1, 0)), (moved, (0, 1))):
        swaps, updates, errors = parse(transaction(registry.WHIRLPOOL, anchor("global", "of_2027"), logged(event)))
        assert (len(swaps), len(updates), errors) == (*counts, [])
    _, _, (error,) = parse(transaction(registry.WHIRLPOOL, anchor("global", "of_2027"), []))
    assert error.reason == "unknown_instruction"


def test_a_repositioned_whirlpool_position_leaves_one_range_and_enters_another() -> None:
    event = anchor("event", "LiquidityRepositioned") + POOL + POOL + numbers(4, 8, 16, 24, 32) + numbers(16, 5, 7)
    document = transaction(registry.WHIRLPOOL, anchor("global", "reposition_liquidity_v2"), logged(event + bytes(66)))
    _, rows, errors = parse(document)
    assert errors == []
    assert [(row["tick_lower"], row["tick_upper"]) for row in rows] == [(8, 16), (24, 32)]
    deltas = [int.from_bytes(row["liquidity_delta"], "little", signed=True) for row in rows]
    assert deltas == [-5, 7]
    assert rows[0]["ix_index"] < rows[1]["ix_index"]


def test_a_call_that_cannot_be_read_puts_its_pool_in_doubt() -> None:
    document = transaction(registry.RAYDIUM_AMM_V4, b"\x09" + bytes(16), [])
    _, (row,), (error,) = parse(document)
    assert (error.reason, row["pool"], row["kind"]) == ("no_outcome", POOL, market.PoolUpdate.KIND_UNSPECIFIED)


def test_jsonparsed() -> None:
    (row,) = swaps_of(fault("jsonparsed_dlmm"))
    assert (row["mint_in"], row["mint_out"], row["amount_in"], row["amount_out"]) == (TOKEN_A, TOKEN_B, 1000, 990)


def signed_bytes(document: dict[str, Any], versioned: bool) -> bytes:
    """The transaction as it goes over the wire; lengths here take one byte."""
    message = document["transaction"]["message"]
    parts = [bytes([1]), bytes(64), *([b"\x80"] if versioned else []), bytes([1, 0, 1])]
    parts += [bytes([len(message["accountKeys"])]), *(base58.b58decode(key) for key in message["accountKeys"])]
    parts += [bytes(32), bytes([len(message["instructions"])])]
    for each in message["instructions"]:
        data = base58.b58decode(each["data"])
        parts += [bytes([each["programIdIndex"], len(each["accounts"]), *each["accounts"], len(data)]), data]
    return b"".join([*parts, *([b"\0"] if versioned else [])])


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("name", ["two_hop", "cpmm_transfer_fee_old_event", "whirlpool_transfer_fee"])
def test_encoded_transactions_are_read_as_plain_ones(name: str, versioned: bool) -> None:
    document = fault(name)
    plain, raw = swaps_of(document), signed_bytes(document, versioned)
    for encoded in (
        [base64.b64encode(raw).decode(), "base64"],
        [base58.b58encode(raw).decode(), "base58"],
        base58.b58encode(raw).decode(),
    ):
        assert swaps_of({**document, "transaction": encoded}) == plain


def test_an_encoding_that_is_not_read_is_refused_by_name() -> None:
    _, _, (error,) = parse({**fault("two_hop"), "transaction": ["KLUv/Q", "base64+zstd"]})
    assert (error.reason, "base64+zstd" in error.message) == ("unsupported_encoding", True)


def test_status_as_old_records_have_it() -> None:
    document = fault("two_hop")
    del document["meta"]["err"]
    document["meta"]["status"] = {"Ok": None}
    assert len(swaps_of(document)) == 2
    document["meta"]["status"] = {"Err": {"InstructionError": [0, {"Custom": 1}]}}
    assert parse(copy.deepcopy(document)) == ([], [], [])
    document["meta"]["status"] = "fine"
    _, _, (error,) = parse(document)
    assert error.reason == "malformed"


@pytest.mark.parametrize("name", ["whirlpool_transfer_fee", "cpmm_transfer_fee_old_event"])
def test_a_pool_of_a_mint_with_a_transfer_fee_is_given_as_removed(name: str) -> None:
    (swap,), (row,), errors = parse(fault(name))
    assert errors == []
    assert (row["kind"], row["pool"], row["mint_a"]) == (market.PoolUpdate.KIND_REMOVE, swap["pool"], TOKEN_A)
    assert row["ix_index"] < swap["ix_index"]


def test_limit_orders_put_a_pool_in_doubt() -> None:
    document = transaction(registry.RAYDIUM_CLMM, anchor("global", "open_limit_order") + bytes(20), [])
    _, (row,), (error,) = parse(document)
    assert (error.reason, row["pool"], row["kind"]) == ("limit_order", POOL, market.PoolUpdate.KIND_LIQUIDITY)
