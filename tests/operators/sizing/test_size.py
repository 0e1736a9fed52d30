"""The proposed input against a fine search, by kind of pool."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.sizing.size import ConcentratedLeg, Leg, ReservesLeg, best_input, known_stretch, quote, size

reserves = st.integers(10**9, 10**18)


def pair(a: int, b: int, a_to_b: bool = True, fee_pips: int = 3_000) -> Leg:
    return ReservesLeg((a, b), fee_pips, a_to_b)


def pool(
    tick: int,
    liquidity: int,
    ticks: dict[int, int],
    a_to_b: bool,
    x64: bool = True,
    known: tuple[int, int] = (-400_000, 400_000),
) -> Leg:
    price = (tick_math_x64 if x64 else tick_math_x96).price_at(tick)
    state = ConcentratedState(price, liquidity, tick, 500, 64, tuple(ticks), tuple(ticks.values()), *known)
    return ConcentratedLeg(state, a_to_b, 1 << (64 if x64 else 96))


def profit(legs: list[Leg], amount: int) -> int:
    amounts = quote(legs, amount)
    return amounts[-1] - amount if amounts else -1


def searched(legs: list[Leg], near: int) -> int:
    """The best profit at inputs from a thousandth of ``near`` to a thousand times it."""
    tried = {max(1, int(near * 10 ** (step / 100))) for step in range(-300, 301)}
    return max(profit(legs, amount) for amount in tried)


@given(reserves, reserves, st.floats(0.9, 1.2))
def test_two_pairs_have_the_closed_form(a: int, b: int, gap: float) -> None:
    legs = [pair(a, b), pair(int(a * gap), b, a_to_b=False)]
    # sqrt(k1 k2) against the fees: the textbook optimum of two constant-product pools.
    keep = 1 - 0.003
    top = keep * math.sqrt(float(a) * b * int(a * gap) * b) - float(a) * b
    found = best_input(legs)
    if top <= 0:
        assert found == pytest.approx(0.0, abs=1e-3 * a)
    else:
        assert found == pytest.approx(top / (keep * b + keep * keep * b), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(reserves, reserves, reserves, st.floats(0.99, 1.1))
def test_three_pairs_are_sized_at_their_best(a: int, b: int, c: int, gap: float) -> None:
    legs = [pair(a, b), pair(b, c), pair(int(c), int(a * gap))]
    amounts = size(legs)
    if amounts is None:
        assert profit(legs, max(1, int(best_input(legs)))) <= 0
    else:
        rounding = 3 * (1 + a / b + a / c)  # a unit lost in each leg, at the price of the start token
        assert profit(legs, amounts[0]) >= searched(legs, amounts[0]) * (1 - 1e-6) - rounding


@pytest.mark.parametrize("x64", [True, False])
def test_ticks_are_crossed_on_the_way(x64: bool) -> None:
    ticks = {-6_400: 10**12, -640: 9 * 10**12, 0: 10**13, 640: -(10**13), 6_400: -(10**13)}
    legs = [pool(700, 10**13, ticks, a_to_b=True, x64=x64), pair(12 * 10**13, 10**14, a_to_b=False)]
    amounts = size(legs)
    assert amounts is not None
    alone = 10**13 * (math.exp(-640 / 2 * math.log(1.0001)) - math.exp(-700 / 2 * math.log(1.0001)))
    assert amounts[0] > 2 * alone, "the tick at 640 is crossed"
    assert profit(legs, amounts[0]) >= searched(legs, amounts[0]) * (1 - 1e-9)


def test_nothing_is_sized_beyond_what_is_known() -> None:
    everything = [pool(0, 10**12, {}, True), pair(10**13, 2 * 10**13, a_to_b=True)]
    known = [pool(0, 10**12, {}, True, known=(-10, 10)), everything[1]]
    bound, free = size(known), size(everything)
    assert bound is not None
    assert free is not None
    edge = 10**12 * (math.exp(5 * math.log(1.0001)) - 1) / (1 - 0.0005)
    assert bound[0] <= edge * (1 + 1e-6)
    assert bound[0] > edge * (1 - 1e-6)
    assert free[0] > 100 * bound[0]


def test_a_stretch_without_liquidity_is_not_crossed() -> None:
    ticks = {-64_000: 10**12, -6_400: -(10**12), -640: 10**12, 640: -(10**12)}
    legs = [pool(0, 10**12, ticks, True), pair(10**13, 4 * 10**13, a_to_b=True)]
    amounts = size(legs)
    assert amounts is not None
    edge = 10**12 * (math.exp(320 * math.log(1.0001)) - 1) / (1 - 0.0005)
    assert amounts[0] == pytest.approx(edge, rel=1e-6)


def test_a_whirlpool_swap_ends_with_its_third_tick_array() -> None:
    far = [pool(0, 10**12, {}, True, x64=True), pair(10**13, 10**16, a_to_b=True)]
    whirlpool = size(far)
    uniswap = size([pool(0, 10**12, {}, True, x64=False), far[1]])
    assert whirlpool is not None
    assert uniswap is not None
    # Three arrays of 88 ticks, 64 apart, from the one that holds tick 0: down to -11,264.
    edge = 10**12 * (math.exp(11_264 / 2 * math.log(1.0001)) - 1) / (1 - 0.0005)
    assert whirlpool[0] == pytest.approx(edge, rel=1e-6)
    assert uniswap[0] > 2 * whirlpool[0]


def test_no_gain_is_no_size() -> None:
    assert size([pair(10**12, 10**12), pair(10**12, 10**12, a_to_b=False)]) is None
    assert size([pair(10, 10), pair(10, 11, a_to_b=True)]) is None


@pytest.mark.parametrize(("tick", "stretch"), [(0, (0, 64)), (63, (0, 64)), (-1, (-64, 0)), (-64, (-64, 0))])
def test_between_two_multiples_of_the_spacing_liquidity_is_constant(tick: int, stretch: tuple[int, int]) -> None:
    assert known_stretch(tick, 64) == stretch
