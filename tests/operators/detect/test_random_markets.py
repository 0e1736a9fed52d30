"""Random markets: the same opportunities as brute force, over two to four legs and every kind of pool."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operators.detect.compare import compare
from tests.operators.detect.feeding import items, make, run
from tests.operators.detect.random_market import RandomMarket

#: Some of these pools hold a few hundred units in all: there a unit lost to rounding in the first leg costs a dozen.
DUST = 16


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), hops=st.sampled_from((2, 3, 4)))
def test_what_is_found_is_what_brute_force_finds(seed: int, hops: int) -> None:
    batches = RandomMarket(seed).batches()
    tables = run(make(max_hops=hops), items(batches))
    assert "errors" not in tables
    compare(batches, tables, max_hops=hops, units=DUST)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_what_rows_leave_out_is_worked_out_or_in_doubt(seed: int) -> None:
    batches = RandomMarket(seed, lacking=0.5).batches()
    tables = run(make(), items(batches))
    compare(batches, tables, units=DUST)
    refused = tables["errors"].to_pylist() if "errors" in tables else []
    assert {row["reason"] for row in refused} <= {"bad_fee"}


@pytest.mark.parametrize("hot", [0, 8], ids=lambda hot: f"trees-above-{hot}-ways")
def test_many_pools_and_events(hot: int) -> None:
    seen = Counter[str]()
    with patch("mevflow.operators.detect.book.cycle_index.HOT", hot):
        for seed in range(2):
            batches = RandomMarket(seed, pools=9, events=150).batches()
            seen += compare(batches, run(make(), items(batches)), every=7, units=DUST)
    assert seen["open"] > 200, "these markets have many gaps"


def test_four_legs_of_many_pools() -> None:
    seen = Counter[str]()
    for seed in range(2):
        batches = RandomMarket(seed, pools=12, events=60).batches()
        seen += compare(batches, run(make(max_hops=4), items(batches)), every=50, max_hops=4, units=DUST)
    assert seen["open"] > 100, "these markets have many gaps"
