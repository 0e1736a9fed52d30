"""Solana transactions to swaps: recorded DLMM swaps, every program's event by its layout, and no input that raises."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from pathlib import Path
from typing import Any

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.accounts import registry
from mevflow.operators.amm.pairs import raydium_v4
from mevflow.operators.amm.pairs.raydium_v4 import AmmV4State
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.instructions import is_swap
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.v1 import market_pb2 as market
from tests.operators.amm.recorded import NOT_AT_HAND
from tests.operators.parse.solana.messages import MINT_A, MINT_B, POOL, anchor, logged, numbers, transaction

DATA = Path(__file__).parents[3] / "data" / "carbon_transactions.json.gz"
SHARED = Path(__file__).parents[5] / "shared" / "data" / "solana_fixtures"
TRANSACTIONS: dict[str, Any] = json.loads(gzip.decompress(DATA.read_bytes()))

AMOUNTS = ("amount_in", "amount_out", "reserve_a", "reserve_b", "sqrt_price_x64", "liquidity")


def parse(*documents: Any) -> tuple[list[dict[str, Any]], list[ParseError]]:
    errors: list[ParseError] = []
    parser = SolanaSwaps(errors.append)
    for index, document in enumerate(documents):
        parser.add(document, slot=9, tx_index=index, timestamp_us=1)
    rows = []
    for batch in parser.flush():
        if batch.schema.metadata[b"message"] == b"mevflow.v1.Swap":
            rows += batch.to_pylist()
        else:
            assert batch.num_rows == len(errors)
    for row in rows:
        for name in AMOUNTS:
            row[name] = int.from_bytes(row[name], "little") if row[name] else None
    return rows, errors


def key(text: str) -> bytes:
    return base58.b58decode(text)


def test_recorded_swaps() -> None:
    rows, errors = parse(*TRANSACTIONS.values())
    assert errors == []
    first, second = rows
    # Amounts as the token transfers of the same transactions moved them.
    assert (first["amount_in"], first["amount_out"], first["a_to_b"]) == (9_372_599_925_000, 1_700_985_700_449, False)
    assert first["mint_in"] == key("AFbX8oGjGpmVFywbVouvhQSRmiW2aR1mohfahi4Y2AdB")
    assert first["mint_out"] == key("7i5KKsX2weiTkry7jA4ZwSuXGhs5eJBEjY8vVxR4pfRx")
    assert (second["amount_in"], second["amount_out"], second["a_to_b"]) == (1_998_271_723, 15_972_391_931, True)
    assert second["mint_out"] == key("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
    for row in rows:
        assert (row["chain"], row["slot"], row["venue"]) == (market.CHAIN_SOLANA, 9, market.VENUE_METEORA_DLMM)
        assert len(row["pool"]) == 32


def test_whirlpool_event() -> None:
    event = anchor("event", "Traded") + POOL + b"\1" + numbers(16, 5, 6) + numbers(8, 70, 80, 0, 0, 1, 0)
    (row,), errors = parse(transaction(registry.WHIRLPOOL, anchor("global", "swap_v2"), logged(event)))
    assert errors == []
    assert (row["venue"], row["pool"], row["a_to_b"]) == (market.VENUE_ORCA_WHIRLPOOL, POOL, True)
    assert (row["amount_in"], row["amount_out"], row["sqrt_price_x64"]) == (70, 80, 6)


def test_raydium_clmm_event() -> None:
    event = anchor("event", "SwapEvent") + POOL + bytes(96) + numbers(8, 70, 0, 80, 0) + b"\0" + numbers(16, 5, 6)
    event += (-7).to_bytes(4, "little", signed=True)
    (row,), _ = parse(transaction(registry.RAYDIUM_CLMM, anchor("global", "swap"), logged(event)))
    assert (row["amount_in"], row["amount_out"], row["a_to_b"]) == (80, 70, False)
    assert (row["sqrt_price_x64"], row["liquidity"], row["tick"]) == (5, 6, -7)


def test_raydium_cpmm_event() -> None:
    event = anchor("event", "SwapEvent") + POOL + numbers(8, 1, 2, 70, 80, 0, 0) + b"\1"
    call = anchor("global", "swap_base_input")
    rows, _ = parse(
        transaction(registry.RAYDIUM_CPMM, call, logged(event + MINT_B + MINT_A)),
        transaction(registry.RAYDIUM_CPMM, call, logged(event)),
    )
    assert [(row["amount_in"], row["amount_out"], row["a_to_b"]) for row in rows] == [(70, 80, False)] * 2
    assert (rows[0]["mint_in"], rows[0]["mint_out"]) == (MINT_B, MINT_A)


@pytest.mark.parametrize("a_to_b", [True, False])
def test_ray_log_is_what_the_rule_says(a_to_b: bool) -> None:
    before = AmmV4State(10**12, 4 * 10**10)
    quote = raydium_v4.quote_exact_in(before, a_to_b, 10**9)
    direction = 2 if a_to_b else 1
    into = b"\3" + numbers(8, 10**9, 0, direction, 5 * 10**9, before.reserve_a, before.reserve_b, quote.amount_out)
    out = b"\4" + numbers(8, 2**63, quote.amount_out, direction, 0, before.reserve_a, before.reserve_b, 10**9)
    lines = [f"Program log: ray_log: {base64.b64encode(entry).decode()}" for entry in (into, out)]
    rows, errors = parse(*(transaction(registry.RAYDIUM_AMM_V4, b"\x09" + bytes(16), [line]) for line in lines))
    assert errors == []
    for row in rows:
        assert (row["pool"], row["a_to_b"], row["amount_in"], row["amount_out"]) == (
            POOL,
            a_to_b,
            10**9,
            quote.amount_out,
        )
        assert (row["reserve_a"], row["reserve_b"]) == (quote.reserve_a_after, quote.reserve_b_after)


def refused(document: Any) -> str:
    rows, errors = parse(document)
    assert rows == []
    (error,) = errors
    return error.reason


def test_reasons() -> None:
    assert refused(transaction(registry.WHIRLPOOL, b"whatever", [])) == "unknown_instruction"
    assert refused(transaction(registry.RAYDIUM_AMM_V4, b"\x63", [])) == "unknown_instruction"
    assert refused(transaction(registry.RAYDIUM_AMM_V4, b"\x09" + bytes(16), [])) == "no_outcome"
    assert refused(transaction(registry.METEORA_DLMM, anchor("global", "swap"), [])) == "no_outcome"
    cut = anchor("event", "Traded") + POOL
    assert refused(transaction(registry.WHIRLPOOL, anchor("global", "swap"), logged(cut))) == "malformed"
    assert refused(transaction(registry.WHIRLPOOL, anchor("global", "swap"), ["Program data: ***"])) == "malformed"
    assert refused(transaction(registry.WHIRLPOOL, anchor("global", "swap"), ["Log truncated"])) == "log_truncated"
    ray = base64.b64encode(b"\3" + numbers(8, 5, 0, 2, 5, 100, 100, 4)).decode()
    nameless = transaction(registry.RAYDIUM_AMM_V4, b"\x09" + bytes(16), [f"Program log: ray_log: {ray}"])
    nameless["transaction"]["message"]["accountKeys"] = []
    assert refused(nameless) == "unknown_pool"


def test_what_is_not_a_swap_gives_nothing() -> None:
    quiet = transaction(registry.WHIRLPOOL, anchor("global", "collect_fees_v2"), [])
    stranger = transaction(bytes([7]) * 32, b"whatever", logged(anchor("event", "Traded") + bytes(200)))
    failed = copy.deepcopy(TRANSACTIONS["cpi_tx"])
    failed["err"] = {"InstructionError": [3, {"Custom": 1}]}
    assert parse(quiet, stranger, failed) == ([], [])


@pytest.mark.skipif(not SHARED.exists(), reason=NOT_AT_HAND)
def test_every_instruction_fixture_is_known() -> None:
    programs = {
        "orca-whirlpool": registry.WHIRLPOOL,
        "raydium-clmm": registry.RAYDIUM_CLMM,
        "meteora-dlmm": registry.METEORA_DLMM,
    }
    seen = 0
    for path in SHARED.glob("carbon__*-decoder__*_ix.json"):
        decoder, name = path.name.removeprefix("carbon__").removesuffix("_ix.json").split("-decoder__")
        if decoder not in programs:
            continue
        data = bytes.fromhex(json.loads(path.read_text())["data"])
        assert is_swap(programs[decoder], data) == ("swap" in name and "address" not in name), name
        seen += 1
    assert seen > 60


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8) | st.just("1" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for name, child in items for place in places(child, (*path, name)))]


@given(st.sampled_from(sorted(TRANSACTIONS)), st.data())
def test_a_changed_transaction_never_raises(name: str, data: st.DataObject) -> None:
    document = copy.deepcopy(TRANSACTIONS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([place for place in places(document) if place]))
        node = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = data.draw(values)
    parse(document)


@given(values)
def test_no_document_raises(document: Any) -> None:
    parse(document)


@given(
    st.sampled_from([registry.WHIRLPOOL, registry.RAYDIUM_AMM_V4, registry.METEORA_DLMM]),
    st.binary(max_size=60),
    st.binary(max_size=250),
)
def test_no_bytes_raise(program: bytes, data: bytes, event: bytes) -> None:
    for first in (b"", anchor("event", "Traded"), anchor("event", "Swap"), b"\3"):
        lines = [*logged(first + event), f"Program log: ray_log: {base64.b64encode(first + event).decode()}"]
        parse(transaction(program, data, lines))
