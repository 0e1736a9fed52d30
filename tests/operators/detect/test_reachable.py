"""Which of the Uniswap day's opportunities another transaction could have met: the figures of docs/detection.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import permutations
from typing import Any

import pytest

from mevflow.sources.recorded import open_recorded
from tests.operators.detect.feeding import UNISWAP_DAY, items, make, port_of, run, unsigned

Swaps = list[dict[str, Any]]


def place(row: dict[str, Any]) -> tuple[int, int]:
    return row["tx_index"], row["ix_index"]


def within_a_transaction(row: dict[str, Any], block: Swaps) -> bool:
    """Whether another log of the same transaction follows on one of the two pools."""
    return any(each["tx_index"] == row["tx_index"] and each["ix_index"] > row["ix_index"] for each in block)


def within_a_sandwich(row: dict[str, Any], block: Swaps) -> bool:
    """Whether a sender swaps before and swaps what it got (to one per cent) back after, in the same pool."""
    return any(
        place(front) <= place(row) < place(back)
        and front["tx_index"] < back["tx_index"]
        and (front["signer"], front["pool"]) == (back["signer"], back["pool"])
        and front["a_to_b"] != back["a_to_b"]
        and unsigned(front["amount_out"]) == pytest.approx(unsigned(back["amount_in"]), rel=0.01)
        for front, back in permutations(block, 2)
    )


def test_half_of_the_uniswap_days_gaps_stood_where_nobody_else_could_trade() -> None:
    batches = list(open_recorded(*UNISWAP_DAY))
    blocks: dict[int, Swaps] = defaultdict(list)
    for batch in batches:
        if port_of(batch) == "swaps":
            for swap in batch.to_pylist():
                blocks[swap["slot"]].append(swap)
    count, dollars = Counter[str](), Counter[str]()
    for row in run(make(), items(batches))["opportunities"].to_pylist():
        if row["closed"]:
            continue
        block = blocks[row["slot"]]
        kind = "inside" if within_a_transaction(row, block) else "sandwich" if within_a_sandwich(row, block) else "open"
        count[kind] += 1
        dollars[kind] += row["gross_profit_usd"]
    assert count == {"inside": 7, "sandwich": 20, "open": 24}
    assert sum(dollars.values()) == pytest.approx(26_165, abs=1)
    assert dollars["open"] == pytest.approx(4_367, abs=1)
