"""Random markets: the same opportunities as brute force, over two and three legs and every kind of pool."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operators.detect.compare import compare
from tests.operators.detect.feeding import items, make, run
from tests.operators.detect.random_market import RandomMarket

#: Some of these pools hold a few hundred units in all: there a unit lost to rounding in the first leg costs a dozen.
DUST = 16


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), hops=st.sampled_from((2, 3)))
def test_what_is_found_is_what_brute_force_finds(seed: int, hops: int) -> None:
    batches = RandomMarket(seed).batches()
    tables = run(make(max_hops=hops), items(batches))
    assert "errors" not in tables
    compare(batches, tables, max_hops=hops, units=DUST)


def test_many_pools_and_events() -> None:
    seen = Counter[str]()
    for seed in range(4):
        batches = RandomMarket(seed, pools=9, events=150).batches()
        seen += compare(batches, run(make(), items(batches)), every=7, units=DUST)
    assert seen["open"] > 300, "these markets have many gaps"
