"""Stable-swap and bins in the stream: what brute force finds is found, and forks and restarts leave no trace."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operators.detect.compare import compare
from tests.operators.detect.feeding import items, make, run
from tests.operators.detect.random_curves import CURVES
from tests.operators.detect.random_market import PLAIN, RandomMarket

KINDS = (*PLAIN, *CURVES, *CURVES)
#: Every bin on the way rounds the fee, the input and the output.
DUST = 64


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), hops=st.sampled_from((2, 3)))
def test_what_is_found_is_what_brute_force_finds(seed: int, hops: int) -> None:
    batches = RandomMarket(seed, kinds=KINDS).batches()
    tables = run(make(max_hops=hops), items(batches))
    assert "errors" not in tables
    compare(batches, tables, max_hops=hops, units=DUST)


def test_many_pools_and_events() -> None:
    seen = Counter[str]()
    for seed in range(2):
        batches = RandomMarket(seed, pools=8, events=80, kinds=KINDS).batches()
        seen += compare(batches, run(make(), items(batches)), every=7, units=DUST)
    assert seen["open"] > 100, "these markets have many gaps"
