"""The tick map under positions that come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.concentrated.tick_map import TickMap

POSITIONS = st.lists(
    st.tuples(st.integers(-50, 49), st.integers(1, 50), st.integers(1, 10**20)), min_size=1, max_size=20
)


@given(positions=POSITIONS, at=st.integers(-60, 110))
def test_active_is_the_sum_of_positions_around(positions: list[tuple[int, int, int]], at: int) -> None:
    ticks = TickMap()
    for lower, width, size in positions:
        ticks.change(lower, lower + width, size)
    assert ticks.active_at(at) == sum(size for lower, width, size in positions if lower <= at < lower + width)


@given(positions=POSITIONS)
def test_undoing_every_position_leaves_nothing(positions: list[tuple[int, int, int]]) -> None:
    ticks = TickMap()
    for lower, width, size in positions:
        ticks.change(lower, lower + width, size)
    assert sum(net for _, net, _ in ticks) == 0
    for lower, width, size in positions:
        ticks.change(lower, lower + width, -size)
    assert (len(ticks), ticks.arrays()) == (0, ((), ()))


def test_a_tick_whose_net_is_zero_stays_while_somebody_uses_it() -> None:
    ticks = TickMap()
    ticks.change(0, 10, 5)
    ticks.change(10, 20, 5)
    assert list(ticks) == [(0, 5, 5), (10, 0, 10), (20, -5, 5)]


@pytest.mark.parametrize(("lower", "upper", "delta"), [(0, 10, -6), (0, 20, -1), (10, 10, 1), (10, 0, 1)])
def test_an_impossible_change_changes_nothing(lower: int, upper: int, delta: int) -> None:
    ticks = TickMap()
    ticks.change(0, 10, 5)
    with pytest.raises(AmmError):
        ticks.change(lower, upper, delta)
    assert list(ticks) == [(0, 5, 5), (10, -5, 5)]


def test_a_tick_that_a_map_known_in_part_does_not_hold_has_the_least_that_its_net_implies() -> None:
    ticks = TickMap([(0, 5, 7)])
    ticks.change_known(0, 10, -6)
    assert list(ticks) == [(0, -1, 1), (10, 6, 6)]
    ticks.change_known(0, 10, 1)
    assert list(ticks) == [(0, 0, 2), (10, 5, 7)]


@pytest.mark.parametrize(("lower", "upper", "delta"), [(0, 10, 1 << 128), (10, 10, 1), (10, 0, 1)])
def test_an_impossible_change_of_a_map_known_in_part_changes_nothing(lower: int, upper: int, delta: int) -> None:
    ticks = TickMap([(0, 5, 5), (10, -5, 5)])
    with pytest.raises(AmmError):
        ticks.change_known(lower, upper, delta)
    assert list(ticks) == [(0, 5, 5), (10, -5, 5)]
