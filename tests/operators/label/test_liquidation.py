"""Liquidations are labelled with the swaps of their transactions, and taken back with them."""

from __future__ import annotations

from typing import Any

from mevflow.operators.label.settings import LabelSettings
from mevflow.operators.label.stage import Label
from mevflow.operators.stage import StageContext
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import make as detector
from tests.operators.detect.feeding import run
from tests.operators.label.swap_rows import CAUGHT_UP, END, batch, swap
from tests.operators.label.test_jit import fed, gone_back, labels, move, traded, updates

LIQUIDATION = market.PoolUpdate.KIND_LIQUIDATION


def liquidated(slot: int, tx: int, **changes: Any) -> dict[str, Any]:
    told = {"kind": LIQUIDATION, "tick_lower": 0, "tick_upper": 0, "liquidity_delta": b"", "pool": b"lender"}
    told |= {"mint_a": b"A", "mint_b": b"B", "reserve_a": bytes(16), "reserve_b": bytes(16), "signer": b"who"}
    return {**move(slot, tx, 1), **told, **changes}


def said(rows: list[dict[str, Any]]) -> list[tuple[int, int, str, list[int]]]:
    return [(row["slot"], row["tx_index"], row["kind"], row["swap_ix"]) for row in rows]


NEWER = batch([swap(slot, 0, 0, "A>B", (1, 1), "z") for slot in (9, 10)])


def test_a_liquidation_is_joined_with_the_swaps_of_its_transaction() -> None:
    swaps = batch([traded(5), traded(5, pool="q", ix_index=3), traded(6), traded(4, slot=8)])
    found = labels(fed(), swaps, updates(liquidated(7, 5, ix_index=9), liquidated(8, 2)), END)
    assert said(found) == [(7, 5, "liquidation", [0, 3]), (8, 2, "liquidation", [])]
    assert [row["signer"] for row in found] == [b"who", b"who"]
    assert not any(row[name] for row in found for name in ("profit_mint", "start_amount", "end_amount", "profit"))
    assert len({row["group"] for row in found}) == 2


def test_a_liquidation_waits_for_its_slot_and_is_no_change_of_liquidity() -> None:
    whole, again = fed(), fed()
    rows = updates(liquidated(7, 5), move(7, 4, 10), move(7, 6, -10))
    assert labels(whole, batch([traded(5)]), rows, CAUGHT_UP) == []
    again.restore(whole.snapshot())
    assert again.snapshot() == whole.snapshot()
    kinds = ["jit_mint", "jit_victim", "liquidation", "jit_burn"]
    for stage in (whole, again):
        assert [kind for _, _, kind, _ in said(labels(stage, END))] == kinds


def test_a_liquidation_of_a_fork_that_ended_is_taken_back() -> None:
    stage = fed()
    before = labels(stage, batch([traded(5)]), updates(liquidated(7, 5)), NEWER, CAUGHT_UP)
    assert said(before) == [(7, 5, "liquidation", [0])]
    back = labels(stage, updates(gone_back(7)), updates(liquidated(7, 8)), batch([traded(8)]), END)
    assert said(back) == [(7, 5, "undone", []), (7, 8, "liquidation", [0])]
    assert back[0]["group"] == before[0]["group"]
    waiting = fed()
    assert labels(waiting, updates(liquidated(7, 5)), updates(gone_back(7)), batch([traded(5)]), END) == []


def test_each_shard_labels_the_liquidations_of_its_slots() -> None:
    rows = updates(liquidated(7, 5), liquidated(8, 5))
    found = []
    for shard in (0, 1):
        stage = Label(
            LabelSettings(), StageContext("t", "labelled", shard=shard, shards=2, inputs=frozenset({"in", "updates"}))
        )
        found.append(said(labels(stage, rows, batch([traded(1), traded(1, slot=8)]), END)))
    assert found == [[(8, 5, "liquidation", [])], [(7, 5, "liquidation", [])]]


def test_detection_takes_no_lending_market_for_a_pool() -> None:
    tables = run(detector(), [updates(liquidated(7, 5), liquidated(7, 6))])
    assert "errors" not in tables
    assert "updates" not in tables or tables["updates"].num_rows == 0
