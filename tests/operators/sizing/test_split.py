"""Splits against a convex solver, against the single pool, and against themselves in integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mevflow.operators.sizing.legs import Leg, ReservesLeg
from mevflow.operators.sizing.size import size
from mevflow.operators.sizing.split import split
from tests.operators.sizing.cases import KINDS, legs

reserves = st.integers(10**11, 10**14)


def pair(a: int, b: int, fee_pips: int = 3_000) -> ReservesLeg:
    return ReservesLeg((a, b), fee_pips, True)


def solved(hops: Sequence[Sequence[ReservesLeg]]) -> float:
    """The best profit by SLSQP over the parts of every pool, from several starts."""
    scale = float(min(leg.reserves[0] for leg in hops[0]))
    sizes = [len(hop) for hop in hops]
    ends = np.cumsum(sizes)

    def out(hop: Sequence[ReservesLeg], parts: np.ndarray) -> np.ndarray:
        x = np.array([leg.reserves[0] for leg in hop]) / scale
        y = np.array([leg.reserves[1] for leg in hop]) / scale
        net = np.maximum(parts, 0) * np.array([1 - leg.fee_pips / 1e6 for leg in hop])
        return y * net / (x + net)

    def parts(values: np.ndarray) -> list[np.ndarray]:
        return np.split(values, ends[:-1])

    def loss(values: np.ndarray) -> float:
        split_up = parts(values)
        return 1e3 * float(split_up[0].sum() - out(hops[-1], split_up[-1]).sum())

    flows: list[dict[str, Any]] = [
        {
            "type": "ineq",
            "fun": lambda v, n=n: 1e3 * (out(hops[n], parts(v)[n]).sum() - parts(v)[n + 1].sum()),
        }
        for n in range(len(hops) - 1)
    ]
    best = 0.0
    for start in (1e-4, 1e-3, 1e-2, 1e-1):
        values = np.full(sum(sizes), start)
        found = minimize(
            loss, values, method="SLSQP", bounds=[(0, None)] * len(values), constraints=flows,
            options={"maxiter": 500, "ftol": 1e-15},
        )  # fmt: skip
        if all(flow["fun"](found.x) > -1e-9 for flow in flows):
            best = max(best, -found.fun / 1e3 * scale)
    return best


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(reserves, min_size=1, max_size=3), min_size=2, max_size=3), st.data())
def test_as_good_as_a_convex_solver(depths: list[list[int]], data: st.DataObject) -> None:
    hops = [
        [pair(a, int(a * data.draw(st.floats(0.99, 1.04))), data.draw(st.sampled_from([500, 3_000]))) for a in hop]
        for hop in depths
    ]
    best = solved(hops)
    found = split(hops)
    ours = found.profit if found else 0
    # The solver is exact to some 1e-7 of what it moves; ours is in whole units.
    assert ours >= best * (1 - 1e-6) - 1e-7 * min(depths[0]) * 0.01 - 12


def check(hops: Sequence[Sequence[Leg]], cost: int) -> None:
    found = split(hops, cost)
    singles = [
        amounts[-1] - amounts[0]
        for first in hops[0]
        for last in hops[-1]
        if (amounts := size([first, last])) is not None
    ]
    if found is None:
        assert not singles
        return
    assert found.single_profit == max(singles, default=0)
    assert found.profit >= max(singles, default=0)
    assert found.profit > 0
    used = 0
    for hop, into, out in zip(hops, found.amounts_in, found.amounts_out, strict=True):
        for leg, amount, bought in zip(hop, into, out, strict=True):
            assert bought == (leg.quote(amount) if amount else 0)
            used += amount > 0
    assert sum(found.amounts_out[0]) == sum(found.amounts_in[1])
    assert found.swaps == used
    assert found.extra_cost == cost * max(used - len(hops), 0)
    assert found.amount_out - found.amount_in - found.extra_cost == found.profit


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.sampled_from([0, 10, 10**4, 10**7]))
def test_never_worse_than_one_pool_whatever_the_pools(data: st.DataObject, cost: int) -> None:
    hops = [
        [data.draw(legs(data.draw(st.sampled_from(KINDS)), 10**11)) for _ in range(data.draw(st.integers(1, 3)))]
        for _ in range(2)
    ]
    check(hops, cost)


def test_a_twin_pool_takes_half() -> None:
    hop = [pair(10**12, 11 * 10**11), pair(10**12, 11 * 10**11)]
    found = split([hop, [pair(10**15, 10**15)]])
    assert found is not None
    first, second = found.amounts_in[0]
    assert first == pytest.approx(second, rel=1e-9)
    assert found.profit > 1.9 * found.single_profit


def test_a_swap_that_costs_more_than_it_brings_is_not_made() -> None:
    hops = [[pair(10**12, 11 * 10**11), pair(10**9, 11 * 10**8)], [pair(10**15, 10**15)]]
    free = split(hops)
    assert free is not None
    assert free.swaps == 3
    brought = free.profit - free.single_profit
    assert brought > 0
    dear = split(hops, cost_per_swap=brought + 1)
    assert dear is not None
    assert (dear.swaps, dear.extra_cost, dear.profit) == (2, 0, free.single_profit)


def test_nothing_to_gain() -> None:
    assert split([[pair(10**9, 10**9), pair(10**9, 10**9)], [pair(10**9, 10**9)]]) is None
