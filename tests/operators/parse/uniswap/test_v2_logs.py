"""Uniswap v2 logs of three recorded blocks: every swap within the pair's own bound, and no input that raises."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap.v2_logs import SWAP, SYNC, UniswapV2Logs
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
