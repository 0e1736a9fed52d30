"""Uniswap v2 logs of three recorded blocks: every swap within the pair's own bound, and no input that raises."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap.v2_logs import SWAP, SYNC, UniswapV2Logs
from mevflow.operators.parse.uniswap.v2_pools import PAIR_CREATED, TRANSFER, V2Pool
from mevflow.v1 import market_pb2 as market

BLOCKS: list[dict[str, Any]] = json.loads(
    gzip.decompress((Path(__file__).parents[3] / "data" / "evm_blocks.json.gz").read_bytes())
)


def parse(*blocks: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[ParseError]]:
    errors: list[ParseError] = []
    parser = UniswapV2Logs(errors.append)
    for block in blocks:
        parser.add_block(block, file="blocks")
    rows: dict[bytes, list[dict[str, Any]]] = {}
    for batch in parser.flush():
        rows[batch.schema.metadata[b"message"]] = batch.to_pylist()
    swaps, updates = rows.get(b"mevflow.v1.Swap", []), rows.get(b"mevflow.v1.PoolUpdate", [])
    for row in (*swaps, *updates):
        for name in ("amount_in", "amount_out", "reserve_a", "reserve_b"):
            if name in row:
                row[name] = int.from_bytes(row[name], "little")
    return swaps, updates, errors


def test_recorded_blocks() -> None:
    swaps, updates, errors = parse(*BLOCKS)
    assert errors == []
    assert (len(swaps), len(updates)) == (52, 4)
    assert {row["venue"] for row in swaps} == {market.VENUE_UNISWAP_V2}
    whole = 0
    for row in swaps:
        into, out = row["amount_in"], row["amount_out"]
        moved = (into, -out) if row["a_to_b"] else (-out, into)
        before = PairState(row["reserve_a"] - moved[0], row["reserve_b"] - moved[1])
        most = uniswap_v2.quote_exact_in(before, row["a_to_b"], into).amount_out
        # The pair pays what is asked for if the product holds; routers ask for the most but for rounding.
        assert out <= most
        whole += out == most
    assert whole == 49


def block(*logs: dict[str, Any]) -> dict[str, Any]:
    transaction = {"hash": "0x" + "1" * 64, "from": "0x" + "2" * 40, "receipt": {"logs": list(logs)}}
    return {"height": "5", "timestamp": "2023-04-07T23:59:59Z", "ethereum": {"transactions": [transaction]}}


def log(topic: str, *words: int, pool: str = "3", index: int = 0) -> dict[str, Any]:
    data = "0x" + "".join(f"{word:064x}" for word in words)
    return {"topics": [topic], "address": "0x" + pool * 40, "logIndex": str(index), "data": data}


def test_a_swap_has_the_reserves_of_its_sync() -> None:
    swaps, updates, errors = parse(block(log(SYNC, 110, 91), log(SWAP, 10, 0, 0, 9, index=1), log(SYNC, 7, 8, index=2)))
    assert errors == []
    (swap,), (update,) = swaps, updates
    assert (swap["amount_in"], swap["amount_out"], swap["a_to_b"], swap["ix_index"]) == (10, 9, True, 1)
    assert (swap["reserve_a"], swap["reserve_b"], swap["slot"]) == (110, 91, 5)
    assert (update["reserve_a"], update["reserve_b"], update["kind"]) == (7, 8, market.PoolUpdate.KIND_SNAPSHOT)


def test_what_is_taken_back_is_not_input() -> None:
    (swap,), _, _ = parse(block(log(SYNC, 110, 91), log(SWAP, 50, 0, 40, 9, index=1)))
    assert (swap["amount_in"], swap["amount_out"]) == (10, 9)


def test_reasons() -> None:
    def reasons(*logs: dict[str, Any]) -> list[str]:
        return [error.reason for error in parse(block(*logs))[2]]

    assert reasons(log(SWAP, 10, 0, 0, 9)) == ["no_sync"]
    assert reasons(log(SYNC, 1, 2, pool="4"), log(SWAP, 10, 0, 0, 9)) == ["no_sync"]
    assert reasons(log(SYNC, 1, 2), log(SWAP, 10, 5, 0, 0)) == ["not_a_swap"]
    assert reasons(log(SYNC, 1)) == ["malformed"]
    assert reasons(log(SYNC, 1, 1 << 112)) == ["malformed"]
    assert reasons(log(SYNC, 1, 2), log(SWAP, 1 << 128, 0, 0, 9)) == ["malformed"]
    assert reasons({"topics": [SYNC]}) == ["malformed"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8) | st.just("0x" + "0" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(values)
def test_no_document_raises(document: Any) -> None:
    parse(document)


@given(st.data())
def test_a_changed_block_never_raises(data: st.DataObject) -> None:
    document = copy.deepcopy(block(log(SYNC, 110, 91), log(SWAP, 10, 0, 0, 9, index=1)))
    transaction = document["ethereum"]["transactions"][0]
    target = data.draw(
        st.sampled_from([document, document["ethereum"], transaction, transaction["receipt"]["logs"][1]])
    )
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(values)
    parse(document)


FAULTS = Path(__file__).parents[3] / "data" / "faults"
PAIR, TOKEN_0, TOKEN_1 = b"\x11" * 20, b"\x22" * 20, b"\x33" * 20
FACTORY = bytes.fromhex("5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f")


def words(*values: int) -> str:
    return "0x" + b"".join(value.to_bytes(32, "big") for value in values).hex()


def entry(address: bytes, topics: list[str], *values: int, index: int = 0) -> dict[str, Any]:
    return {"address": "0x" + address.hex(), "topics": topics, "data": words(*values), "logIndex": str(index)}


def account(raw: bytes) -> str:
    return "0x" + raw.rjust(32, b"\0").hex()


def exchange(paid: int, fee_pips: int) -> list[dict[str, Any]]:
    """A swap of ``paid`` token 0 at a fee, as a receipt has it: both transfers, Sync, Swap."""
    before = PairState(10**22, 2 * 10**22, fee_pips, fee_pips, 10**6)
    got = uniswap_v2.quote_exact_in(before, True, paid).amount_out
    somebody = account(b"\x77" * 20)
    return [
        entry(TOKEN_0, [TRANSFER, somebody, account(PAIR)], paid, index=1),
        entry(TOKEN_1, [TRANSFER, account(PAIR), somebody], got, index=2),
        entry(PAIR, [SYNC], before.reserve_a + paid, before.reserve_b - got, index=3),
        entry(PAIR, [SWAP, somebody, somebody], paid, 0, 0, got, index=4),
    ]


def test_removed_logs_are_not_taken_and_say_that_the_chain_went_back() -> None:
    swaps, updates, errors = parse(json.loads((FAULTS / "v2_removed.json").read_text()))
    assert swaps == []
    assert [(row["kind"], row["slot"], row["pool"]) for row in updates] == [(market.PoolUpdate.KIND_REORG, 100, b"")]
    assert [error.reason for error in errors] == ["removed"]


def test_a_flash_swap_paid_back_in_its_own_token_leaves_the_reserves_of_its_sync() -> None:
    swaps, (row,), errors = parse(json.loads((FAULTS / "v2_flash_same_token.json").read_text()))
    assert (swaps, errors) == ([], [])
    assert (row["reserve_a"], row["reserve_b"], row["kind"]) == (
        1_000_000_004, 2_000_000_000, market.PoolUpdate.KIND_SNAPSHOT
    )  # fmt: skip


def test_upper_case_topics_are_topics() -> None:
    logs = exchange(10**18, 3_000)
    for each in logs:
        each["topics"] = ["0x" + topic[2:].upper() for topic in each["topics"]]
    swaps, _, errors = parse(block(*logs))
    assert (len(swaps), errors) == (1, [])


@pytest.mark.parametrize("fee_pips", [2_500, 3_000, 10_000])
def test_transfers_tell_the_tokens_and_the_product_tells_the_fee(fee_pips: int) -> None:
    (row,), _, _ = parse(block(*exchange(10**18, fee_pips)))
    assert (row["mint_in"], row["mint_out"], row["fee_pips"]) == (TOKEN_0, TOKEN_1, fee_pips)


def test_what_a_small_or_a_careless_swap_tells_is_no_lower_fee() -> None:
    (row,), _, _ = parse(block(*exchange(10**5, 3_000)))
    assert row["fee_pips"] == 0, "so few units fit many fees"
    logs = exchange(10**18, 3_000)
    logs[-1]["data"] = words(10**18, 0, 0, 10**18)
    (row,), _, _ = parse(block(*logs))
    assert row["fee_pips"] == 0


def test_a_factory_tells_a_pair() -> None:
    made = entry(FACTORY, [PAIR_CREATED, account(TOKEN_0), account(TOKEN_1)], int.from_bytes(PAIR, "big"), 1)
    (swap,), (created,), errors = parse(block(made, *exchange(10**18, 3_000)[2:]))
    assert errors == []
    assert (created["kind"], created["pool"], created["fee_pips"]) == (market.PoolUpdate.KIND_CREATE, PAIR, 3_000)
    assert (swap["mint_in"], swap["mint_out"], swap["fee_pips"]) == (TOKEN_0, TOKEN_1, 3_000)


def test_pools_that_the_caller_knows() -> None:
    parser = UniswapV2Logs(pools={PAIR: V2Pool(TOKEN_0, TOKEN_1, 2_500)})
    parser.add_block(block(*exchange(10**18, 3_000)[2:]))
    ((row,),) = (batch.to_pylist() for batch in parser.flush())
    assert (row["mint_in"], row["mint_out"], row["fee_pips"]) == (TOKEN_0, TOKEN_1, 2_500)


def test_a_swap_without_its_sync_puts_the_pair_in_doubt() -> None:
    _, (row,), (error,) = parse(block(exchange(10**18, 3_000)[-1]))
    assert (error.reason, row["pool"], row["kind"]) == ("no_sync", PAIR, market.PoolUpdate.KIND_UNSPECIFIED)


def test_recorded_pairs_have_tokens_and_fees() -> None:
    swaps, _, _ = parse(*BLOCKS)
    assert sum(bool(row["mint_in"]) for row in swaps) == 49, "the others moved two tokens, or one that takes a fee"
    assert {row["fee_pips"] for row in swaps} == {0, 3_000}
