"""Knowledge of liquidity by segment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.parse.uniswap.segments import Segments


def known(spacing: int, liquidity: dict[int, int]) -> Segments:
    segments = Segments(spacing)
    segments.learn(liquidity)
    return segments


def test_around_is_the_known_stretch_that_holds_the_tick() -> None:
    segments = known(10, {0: 5, 1: 7, 2: 7, 4: 9})
    assert segments.around(15) == (0, 30, {10: 2})
    assert segments.around(45) == (40, 50, {})


def test_a_position_changes_what_it_covers() -> None:
    segments = known(10, {-1: 4, 0: 5, 1: 7, 2: 7})
    segments.change(0, 20, 3)
    assert [segments.at(tick) for tick in (-10, 0, 10, 20)] == [4, 8, 10, 7]
    segments.change(-10, 10, -6)
    # Less than nothing cannot be: that knowledge was wrong.
    assert [segments.at(tick) for tick in (-10, 0, 10, 20)] == [None, 2, 10, 7]


def test_paths_place_one_change_in_every_unknown_stretch() -> None:
    segments = known(10, {0: 5})
    assert list(segments.paths(5, 35, 5, 8)) == [
        {0: 5, 1: 8, 2: 8, 3: 8},
        {0: 5, 1: 5, 2: 8, 3: 8},
        {0: 5, 1: 5, 2: 5, 3: 8},
    ]
    assert next(iter(segments.paths(35, 5, 8, 5))) == {3: 8, 2: 5, 1: 5, 0: 5}
    assert list(segments.paths(5, 35, 5, 5)) == [{0: 5, 1: 5, 2: 5, 3: 5}]


def test_paths_keep_to_what_is_known() -> None:
    segments = known(10, {0: 5, 2: 6, 4: 9})
    paths = list(segments.paths(0, 49, 5, 9))
    assert len(paths) == 4
    assert all(path[2] == 6 for path in paths)


def test_paths_are_bounded() -> None:
    segments = known(1, {})
    segments.learn({k: k for k in range(0, 200, 4)})
    assert len(list(segments.paths(0, 199, 0, 7))) == 128
    assert list(segments.paths(0, 300, 0, 7)) == []


@given(
    liquidity=st.dictionaries(st.integers(-30, 30), st.integers(0, 10**6), min_size=1),
    tick=st.integers(-300, 309),
)
def test_nets_sum_to_the_liquidity_of_every_segment_around(liquidity: dict[int, int], tick: int) -> None:
    segments = known(10, liquidity)
    if segments.at(tick) is None:
        return
    lower, upper, nets = segments.around(tick)
    assert lower <= tick < upper
    base = liquidity[lower // 10]
    for at in range(lower, upper, 10):
        assert base + sum(net for t, net in nets.items() if t <= at) == liquidity[at // 10]
