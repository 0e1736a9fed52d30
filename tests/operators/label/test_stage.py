"""``label`` as a stage: rows, order, lateness, duplicates, shards, the recorded days."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.label.stage import UPDATE, Label
from mevflow.operators.stage import Watermark
from mevflow.sources.recorded import open_recorded
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import located, message_of
from tests.operators.label.swap_rows import CAUGHT_UP, END, SLOT_US, arbitrage, batch, make, run, sandwich, swap, u128

DATA = Path(__file__).resolve().parents[3] / "examples" / "data"


def signed(value: int) -> bytes:
    return value.to_bytes(16, "little", signed=True)


def test_an_arbitrage_is_one_row() -> None:
    [row] = run(make(), [batch(arbitrage(7, 4, partition=3, offset=9)), END])["labels"]
    assert (row["slot"], row["tx_index"], row["kind"], row["swap_ix"]) == (7, 4, "arbitrage", [0, 1])
    assert (row["signature"], row["signer"], row["timestamp_us"]) == (b"1/7/4", b"signer4", 7 * SLOT_US)
    assert (row["profit_mint"], row["start_amount"], row["end_amount"]) == (b"A", u128(100), u128(103))
    assert row["profit"] == signed(3)
    assert (row["source_topic"], row["source_partition"], row["source_offset"]) == ("dex-swaps-proto", 3, 9)


def test_a_sandwich_is_a_row_a_transaction_and_its_profit_stands_once() -> None:
    rows = run(make(), [batch(sandwich(7, 4)), END])["labels"]
    assert [(row["tx_index"], row["kind"]) for row in rows] == [
        (4, "sandwich_front"),
        (5, "sandwich_victim"),
        (6, "sandwich_back"),
    ]
    assert len({row["group"] for row in rows}) == 1
    assert [row["profit"] for row in rows] == [b"", b"", signed(20)]


def test_two_arbitrages_of_one_transaction_have_two_names() -> None:
    rows = [*arbitrage(1, 0), swap(1, 0, 2, "C>D", (10, 20), "r"), swap(1, 0, 3, "D>C", (20, 9), "s")]
    first, second = run(make(), [batch(rows), END])["labels"]
    assert first["group"] != second["group"]
    assert {first["profit"], second["profit"]} == {signed(3), signed(-1)}


def test_the_newest_slots_wait() -> None:
    """A live source says that it has read all there is in the middle of a slot as well."""
    first, second = arbitrage(5, 0)
    stage = make(hold_slots=2)
    assert not run(stage, [batch([first]), CAUGHT_UP])
    assert not run(stage, [batch([second]), CAUGHT_UP, batch([swap(6, 0, 0, "A>B", (1, 1), "p")]), CAUGHT_UP])
    [row] = run(stage, [batch([swap(9, 0, 0, "A>B", (1, 1), "p")]), CAUGHT_UP])["labels"]
    assert row["slot"] == 5


def test_a_swap_of_a_labelled_slot_is_late() -> None:
    stage = make(hold_slots=1)
    run(stage, [batch([swap(slot, 0, 0, "A>B", (1, 1), "p") for slot in (5, 6)]), CAUGHT_UP])
    out = run(stage, [batch(arbitrage(5, 1)), CAUGHT_UP, END])
    assert [row["reason"] for row in out["errors"]] == ["late_swap", "late_swap"]
    assert "labels" not in out


def test_a_stray_slot_far_ahead_holds_nothing_up() -> None:
    stage = make(hold_slots=2)
    stray = swap((1 << 63) + 5, 0, 0, "A>B", (1, 1), "p", timestamp_us=1)
    ordinary = [batch(arbitrage(slot, 0)) for slot in range(1, 9)]
    out = run(stage, [batch([stray]), CAUGHT_UP, *(item for one in ordinary for item in (one, CAUGHT_UP)), END])
    assert [row["slot"] for row in out["labels"]] == list(range(1, 9))
    assert "errors" not in out


def test_a_swap_that_comes_twice_counts_once() -> None:
    rows = arbitrage(5, 0)
    assert len(run(make(), [batch(rows), batch(rows), END])["labels"]) == 1


def test_two_chains_do_not_mix() -> None:
    there = swap(5, 0, 0, "A>B", (100, 200), "p")
    back = swap(5, 0, 1, "B>A", (200, 103), "q", chain=market.CHAIN_ETHEREUM)
    assert not run(make(), [batch([there, back]), END])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chain": 0}, "no_chain"),
        ({"pool": b""}, "no_pool"),
        ({"mint_out": b"A"}, "one_mint"),
        ({"amount_in": b"\1"}, "bad_amount"),
    ],
)
def test_a_swap_that_cannot_be_is_a_dead_letter(changes: dict[str, Any], reason: str) -> None:
    bad = {**swap(5, 1, 0, "A>B", (1, 1), "p"), **changes}
    out = run(make(), [batch([bad, *arbitrage(5, 0)]), END])
    [letter] = out["errors"]
    assert (letter["reason"], letter["stage"]) == (reason, "labelled")
    assert market.Swap.FromString(letter["payload"]).slot == 5
    assert len(out["labels"]) == 1


def test_amounts_beyond_128_bits_are_left_out() -> None:
    top = (1 << 128) - 1
    rows = [
        swap(1, 0, 0, "A>B", (top, 200), "p"),
        swap(1, 0, 1, "A>B", (top, 200), "q"),
        swap(1, 0, 2, "B>A", (400, 5), "r"),
    ]
    [row] = run(make(), [batch(rows), END])["labels"]
    assert (row["start_amount"], row["end_amount"], row["profit"]) == (b"", u128(5), b"")


def test_shards_share_the_slots() -> None:
    rows = [row for slot in range(20) for row in (*arbitrage(slot, 0), *sandwich(slot, 1))]
    whole = run(make(), [batch(rows), END])["labels"]
    parts = [run(make(shard, 3), [batch(rows), END])["labels"] for shard in range(3)]
    assert all(parts)
    assert sorted((row for part in parts for row in part), key=repr) == sorted(whole, key=repr)


@settings(max_examples=40, deadline=None)
@given(st.randoms(), st.integers(1, 8), st.integers(0, 3))
def test_partitions_may_interleave_in_any_way(shuffled: random.Random, cuts: int, held: int) -> None:
    """Rows in any order before the watermark, in any batches, with swaps of others among them: the same labels."""
    rows = [row for slot in range(10) for row in (*arbitrage(slot, 0), *sandwich(slot, 10))]
    others = [swap(slot, 100 + tx, 0, "C>D", (5, 7), "z") for slot in range(10) for tx in range(3)]
    whole = run(make(), [batch(rows), END])["labels"]
    mixed = [*rows, *others]
    shuffled.shuffle(mixed)
    size = len(mixed) // cuts + 1
    batches = [batch(mixed[i : i + size]) for i in range(0, len(mixed), size)]
    stage = make(hold_slots=1 + held)
    out = run(stage, [*batches, Watermark(5 * SLOT_US), CAUGHT_UP, END])
    assert out["labels"] == whole
    assert "errors" not in out


def day(*paths: Path) -> list[pa.RecordBatch]:
    return [located(one) for one in open_recorded(*paths) if message_of(one).endswith("Swap")]


def test_the_whirlpool_day() -> None:
    """20 transactions of two swaps: 13 are round trips, all through a pool not recorded; 7 are routed."""
    swaps = day(DATA / "whirlpool-transaction-20220406.jsonl.gz")
    labels = run(make(unseen_pct=10), [*swaps, END])["labels"]
    assert Counter(row["kind"] for row in labels) == {"arbitrage": 13}
    rows = [row for one in swaps for row in one.select(["signature", "mint_in", "mint_out"]).to_pylist()]
    transactions: dict[bytes, list[dict[str, Any]]] = {}
    for row in rows:
        transactions.setdefault(row["signature"], []).append(row)
    several = {name: found for name, found in transactions.items() if len(found) > 1}
    closed = {name for name, found in several.items() if found[0]["mint_in"] == found[-1]["mint_out"]}
    assert (len(several), len(closed)) == (20, 13)
    assert {row["signature"] for row in labels} == closed
    assert all(int.from_bytes(row["profit"], "little", signed=True) > 0 for row in labels)
    assert not run(make(), [*swaps, END])


def test_the_uniswap_day() -> None:
    swaps = day(*sorted(DATA.glob("uniswap-v3-*.csv.gz")))
    labels = run(make(unseen_pct=10), [*swaps, END])["labels"]
    assert Counter(row["kind"] for row in labels) == {"sandwich_front": 13, "sandwich_victim": 14, "sandwich_back": 13}
    assert all(
        int.from_bytes(row["profit"], "little", signed=True) > 0 for row in labels if row["kind"] == "sandwich_back"
    )


def gone_back(slot: int, kind: int, fork: int = 0) -> pa.RecordBatch:
    """The chain says of a slot, or from one on, that it does not hold."""
    empty = {field.name: None for field in UPDATE}
    said = {"chain": market.CHAIN_SOLANA, "slot": slot, "timestamp_us": slot * SLOT_US, "kind": kind, "fork": fork}
    numbers = {field.name: 0 for field in UPDATE if pa.types.is_integer(field.type)}
    return pa.RecordBatch.from_pylist([{**empty, **numbers, **said}], schema=UPDATE)


def forked(stage: Label, *items: pa.RecordBatch | Watermark | tuple[str, pa.RecordBatch]) -> list[dict[str, Any]]:
    """The labels of rows on either port."""
    out = []
    for item in items:
        port, given = item if isinstance(item, tuple) else ("in", item)
        rows = stage.on_watermark(port, given) if isinstance(given, Watermark) else stage.process(port, given)
        out += [row for to, batch_ in rows if to == "labels" for row in batch_.to_pylist()]
    return out


def test_swaps_of_two_forks_make_no_sandwich() -> None:
    front, victim, back = sandwich(7, 4)
    reorg = ("updates", gone_back(7, market.PoolUpdate.KIND_REORG))
    assert forked(make(), batch([front]), CAUGHT_UP, reorg, batch([victim, back]), END) == []
    assert len(forked(make(), batch([front]), CAUGHT_UP, batch([victim, back]), END)) == 3
    later = ("updates", gone_back(8, market.PoolUpdate.KIND_SKIPPED))
    assert len(forked(make(), batch([front, victim, back]), CAUGHT_UP, later, END)) == 3


def test_labels_of_a_fork_that_is_left_are_taken_back_and_said_anew() -> None:
    newer = [swap(slot, 0, 0, "A>B", (1, 1), "z") for slot in (8, 9)]
    reorg = ("updates", gone_back(6, market.PoolUpdate.KIND_REORG))
    stage = make()
    before = forked(stage, batch([*arbitrage(7, 4), *newer]), CAUGHT_UP)
    assert [row["kind"] for row in before] == ["arbitrage"]
    again = make()
    again.restore(stage.snapshot())
    for each in (stage, again):
        rows = forked(each, reorg, batch(arbitrage(7, 5)), END)
        assert [(row["kind"], row["tx_index"]) for row in rows] == [("undone", 4), ("arbitrage", 5)]
        assert (rows[0]["group"], rows[0]["profit"]) == (before[0]["group"], b"")
    assert [row["kind"] for row in forked(make(reorg_slots=0), batch([*arbitrage(7, 4), *newer]), reorg)] == []


def of_fork(found: list[dict[str, Any]], fork: int) -> pa.RecordBatch:
    return batch([row | {"fork": fork} for row in found])


@pytest.mark.parametrize("first", ["swaps", "updates"])
def test_no_sandwich_across_two_forks_whichever_topic_is_first(first: str) -> None:
    front, victim, back = sandwich(7, 4)
    known = of_fork([swap(6, 0, 0, "A>B", (1, 1), "z"), front], 3)
    new, reorg = of_fork([victim, back], 4), ("updates", gone_back(7, market.PoolUpdate.KIND_REORG, fork=4))
    parts = [new, CAUGHT_UP, reorg] if first == "swaps" else [reorg, new, CAUGHT_UP, of_fork([front], 3)]
    assert forked(make(), known, CAUGHT_UP, *parts, ("updates", END), END) == []


@pytest.mark.parametrize("first", ["swaps", "updates"])
def test_a_transaction_that_both_forks_have_is_labelled_once(first: str) -> None:
    newer = [swap(slot, 0, 0, "A>B", (1, 1), "z") for slot in (8, 9)]
    new, reorg = of_fork(arbitrage(7, 5), 4), ("updates", gone_back(7, market.PoolUpdate.KIND_REORG, fork=4))
    parts = [new, CAUGHT_UP, reorg] if first == "swaps" else [reorg, new, CAUGHT_UP]
    stage = make()
    rows = forked(stage, of_fork([*arbitrage(7, 5), *newer], 3), CAUGHT_UP, *parts, ("updates", END), END)
    assert [row["kind"] for row in rows] == ["arbitrage", "undone", "arbitrage"]


def test_swaps_of_two_pools_at_one_place_are_two_swaps() -> None:
    rows = arbitrage(7, 4)
    rows[1]["ix_index"] = rows[0]["ix_index"]
    [row] = run(make(), [batch([*rows, *rows]), END])["labels"]
    assert (row["kind"], row["profit"]) == ("arbitrage", signed(3))
