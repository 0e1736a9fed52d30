"""Just-in-time liquidity: around others' swaps, by one owner, within one block."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mevflow.operators.label import moves as liquidity
from mevflow.operators.label.stage import UPDATE, Label
from mevflow.operators.stage import Watermark
from mevflow.sources.recorded import open_recorded
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import located, message_of
from tests.operators.label.swap_rows import CAUGHT_UP, END, SLOT_US, batch, make, swap

DATA = Path(__file__).resolve().parents[3] / "examples" / "data"
LIQUIDITY, REORG = market.PoolUpdate.KIND_LIQUIDITY, market.PoolUpdate.KIND_REORG
JIT = [(4, "jit_mint"), (5, "jit_victim"), (6, "jit_burn")]


def updates(*rows: dict[str, Any]) -> tuple[str, pa.RecordBatch]:
    nothing: dict[str, Any] = {}
    for field in UPDATE:
        kind = field.type
        if pa.types.is_binary(kind):
            nothing[field.name] = b""
        elif pa.types.is_boolean(kind) or pa.types.is_integer(kind):
            nothing[field.name] = False if pa.types.is_boolean(kind) else 0
        else:
            nothing[field.name] = [] if pa.types.is_list(kind) else None
    return "updates", pa.RecordBatch.from_pylist([{**nothing, **row} for row in rows], schema=UPDATE)


def move(slot: int, tx: int, delta: int, **changes: Any) -> dict[str, Any]:
    """Liquidity of one position of the pool ``p``, from tick -60 to 60."""
    return {
        "chain": market.CHAIN_SOLANA,
        "slot": slot,
        "tx_index": tx,
        "ix_index": 0,
        "timestamp_us": slot * SLOT_US,
        "signature": f"1/{slot}/{tx}".encode(),
        "signer": b"jit",
        "pool": b"p",
        "kind": LIQUIDITY,
        "tick_lower": -60,
        "tick_upper": 60,
        "liquidity_delta": delta.to_bytes(16, "little", signed=True),
        "source_topic": "pool-updates-proto",
        "source_partition": 2,
        "source_offset": 9,
        **changes,
    }


def gone_back(slot: int, fork: int = 0) -> dict[str, Any]:
    where = {"chain": market.CHAIN_SOLANA, "slot": slot, "timestamp_us": slot * SLOT_US}
    return {**where, "kind": REORG, "fork": fork, "source_topic": "pool-updates-proto"}


def traded(tx: int, tick: int = 0, slot: int = 7, **changes: Any) -> dict[str, Any]:
    return swap(slot, tx, 0, "A>B", (10, 9), changes.pop("pool", "p"), **{"tick": tick, **changes})


def labels(stage: Label, *items: pa.RecordBatch | Watermark | tuple[str, Any]) -> list[dict[str, Any]]:
    """Rows of labels; a watermark without a port is of both, the updates' last."""
    out: list[dict[str, Any]] = []
    for item in items:
        steps = [("in", item), ("updates", item)] if isinstance(item, Watermark) else [item]
        for port, given in (("in", one) if isinstance(one, pa.RecordBatch) else one for one in steps):
            rows = stage.on_watermark(port, given) if isinstance(given, Watermark) else stage.process(port, given)
            out += [row for to, found in rows if to == "labels" for row in found.to_pylist()]
    return out


def fed() -> Label:
    stage = make()
    stage._inputs = frozenset({"in", "updates"})
    return stage


def found(*items: pa.RecordBatch | Watermark | tuple[str, Any]) -> list[tuple[int, str]]:
    return [(row["tx_index"], row["kind"]) for row in labels(fed(), *items, END)]


def test_it_is_a_row_a_transaction() -> None:
    mint, burn = updates(move(7, 4, 500)), updates(move(7, 6, -500))
    for order in itertools.permutations([mint, batch([traded(5)]), burn]):
        rows = labels(fed(), *order, END)
        assert [(row["tx_index"], row["kind"]) for row in rows] == JIT
        assert len({row["group"] for row in rows}) == 1
        assert [row["swap_ix"] for row in rows] == [[], [0], []]
        assert (rows[0]["signer"], rows[0]["signature"], rows[0]["source_offset"]) == (b"jit", b"1/7/4", 9)
        assert not any(row[name] for row in rows for name in ("profit", "start_amount", "end_amount", "profit_mint"))


@pytest.mark.parametrize(
    ("burn", "swaps"),
    [
        ({"liquidity_delta": (-499).to_bytes(16, "little", signed=True)}, [traded(5)]),
        ({"tick_upper": 120}, [traded(5)]),
        ({"signer": b"other"}, [traded(5)]),
        ({"pool": b"q"}, [traded(5)]),
        ({"slot": 8}, [traded(5)]),
        ({"tx_index": 3}, [traded(5)]),
        ({}, [traded(5, pool="q")]),
        ({}, [traded(5, signer="jit")]),
        ({}, [traded(4), traded(6)]),
        ({}, [traded(5, slot=8)]),
        ({}, [traded(5, tick=61)]),
        ({}, [traded(3, tick=-70), traded(5, tick=-61)]),
    ],
)
def test_what_is_none(burn: dict[str, Any], swaps: list[dict[str, Any]]) -> None:
    assert found(updates(move(7, 4, 500), {**move(7, 6, -500), **burn}), batch(swaps)) == []


@pytest.mark.parametrize("ticks", [(0, 0), (-70, 0), (0, 90), (-70, 90), (90, -70), (-60, -60), (-70, -60)])
def test_a_swap_meets_it_where_its_price_is_or_passes(ticks: tuple[int, int]) -> None:
    swaps = batch([traded(3, tick=ticks[0]), traded(5, tick=ticks[1])])
    assert found(updates(move(7, 4, 500), move(7, 6, -500)), swaps) == JIT


def test_a_price_that_comes_without_its_tick_tells_it() -> None:
    price = {(1 << 64) * 2: False, 1 << 64: True}
    for at, met in price.items():
        swaps = batch([traded(5, sqrt_price_x64=at.to_bytes(16, "little"))])
        assert bool(found(updates(move(7, 4, 500), move(7, 6, -500)), swaps)) is met


def test_each_removal_takes_the_last_addition_of_its_amount() -> None:
    moves = updates(move(7, 1, 500), move(7, 2, 70), move(7, 4, 500), move(7, 6, -500), move(7, 8, -70))
    rows = labels(fed(), moves, batch([traded(3), traded(5)]), END)
    groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append((row["tx_index"], row["kind"]))
    assert sorted(groups.values()) == [
        [(2, "jit_mint"), (3, "jit_victim"), (5, "jit_victim"), (8, "jit_burn")],
        JIT,
    ]


def test_a_move_that_comes_twice_counts_once() -> None:
    moves = updates(move(7, 4, 500), move(7, 6, -500))
    assert found(moves, moves, batch([traded(5)])) == JIT


def test_a_fork_takes_it_back_and_says_it_anew() -> None:
    newer = batch([swap(slot, 0, 0, "A>B", (1, 1), "z") for slot in (8, 9)])
    stage = fed()
    moves = updates(move(7, 4, 500), move(7, 6, -500))
    assert len(labels(stage, moves, batch([traded(5)]), newer, CAUGHT_UP)) == 3
    again = fed()
    again.restore(stage.snapshot())
    assert again.snapshot() == stage.snapshot()
    for each in (stage, again):
        rows = labels(each, updates(gone_back(7)), updates(move(7, 2, 500), move(7, 9, -500)), batch([traded(8)]), END)
        assert [(row["tx_index"], row["kind"]) for row in rows] == [
            (4, "undone"),
            (2, "jit_mint"),
            (8, "jit_victim"),
            (9, "jit_burn"),
        ]


def test_an_addition_and_a_removal_of_two_forks_are_none() -> None:
    old, new = updates(move(7, 4, 500, fork=3)), updates(move(7, 6, -500, fork=4))
    reorg = updates(gone_back(7, fork=4))
    swaps = batch([traded(5) | {"fork": 4}, swap(6, 0, 0, "A>B", (1, 1), "z") | {"fork": 3}])
    for order in ([old, reorg, new], [old, new, reorg], [old, reorg, new, old]):
        assert found(*order, swaps) == []
    whole = [updates(move(7, 4, 500, fork=4)), new]
    assert found(old, *whole, reorg, swaps) == JIT


def test_a_snapshot_between_the_two_changes_nothing() -> None:
    stage = fed()
    assert labels(stage, updates(move(7, 4, 500)), batch([traded(5)]), CAUGHT_UP) == []
    again = fed()
    again.restore(stage.snapshot())
    rows = labels(again, updates(move(7, 6, -500)), END)
    assert [(row["tx_index"], row["kind"]) for row in rows] == JIT


def test_the_uniswap_day() -> None:
    """29 on the recorded day, as looking at every row of every block finds them."""
    batches = [located(one) for one in open_recorded(*sorted(DATA.glob("uniswap-v3-*.csv.gz")))]
    items: list[Any] = [one if message_of(one).endswith("Swap") else ("updates", one) for one in batches]
    rows = [row for row in labels(fed(), *items, END) if row["kind"].startswith("jit")]
    by_group = defaultdict(list)
    for row in rows:
        by_group[row["group"]].append((row["slot"], row["tx_index"], row["kind"].removeprefix("jit_")))
    assert sorted(map(sorted, by_group.values())) == sorted(map(sorted, _by_hand(batches)))
    assert len(by_group) == 29


def _by_hand(batches: list[pa.RecordBatch]) -> list[list[tuple[int, int, str]]]:
    """The same in plain loops, of positions of one range and amount."""
    moved, swapped = defaultdict(list), defaultdict(list)
    for one in batches:
        is_swap = message_of(one).endswith("Swap")
        for row in one.select([name for name in one.schema.names if name in WANTED]).to_pylist():
            where = row["slot"], row["pool"]
            if is_swap:
                swapped[where].append(row)
            elif row["kind"] == LIQUIDITY:
                moved[where].append(row)
    out = []
    for where, moves in moved.items():
        amounts = [int.from_bytes(row["liquidity_delta"], "little", signed=True) for row in moves]
        for (i, mint), (j, burn) in itertools.permutations(enumerate(moves), 2):
            same = all(mint[name] == burn[name] for name in ("signer", "tick_lower", "tick_upper"))
            if not same or amounts[i] <= 0 or amounts[j] != -amounts[i]:
                continue
            ticks = [row["tick"] for row in swapped[where]]
            victims = [
                (where[0], row["tx_index"], "victim")
                for at, row in enumerate(swapped[where])
                if mint["tx_index"] < row["tx_index"] < burn["tx_index"]
                and row["signer"] != mint["signer"]
                and min(ticks[max(at - 1, 0) : at + 1]) < mint["tick_upper"]
                and max(ticks[max(at - 1, 0) : at + 1]) >= mint["tick_lower"]
            ]
            if victims:
                ends = (where[0], mint["tx_index"], "mint"), (where[0], burn["tx_index"], "burn")
                out.append([*ends, *dict.fromkeys(victims)])
    return out


WANTED = {"slot", "pool", "tx_index", "tick", "signer", "kind", "tick_lower", "tick_upper", "liquidity_delta"}


@pytest.mark.parametrize("cut", [1, 2, 3, 9])
def test_the_newest_changes_are_kept_and_no_more_however_they_come(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setattr(liquidity, "_MOST", 5)
    _, rows = updates(*(move(slot, 1, 10) for slot in range(1, 10)))
    held = liquidity.OpenMoves()
    for at in range(0, 9, cut):
        held.add(liquidity.moves_of(rows.slice(at, cut)))
    assert held.take({market.CHAIN_SOLANA: 9}).column("slot").to_pylist() == [5, 6, 7, 8, 9]
