"""Cycles of two to four legs of every kind, against a search over exact quotes alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.sizing.legs import ConcentratedLeg, Leg, ReservesLeg, SmoothLeg
from mevflow.operators.sizing.legs.solve import rising_root
from mevflow.operators.sizing.size import best_input, quote, size, size_to_the_unit
from mevflow.operators.sizing.venues import concentrated_out
from tests.operators.amm.recorded import SHARED, needs_shared
from tests.operators.sizing.cases import KINDS, cycles, legs, searched

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def judge(cycle: list[Leg], most: int) -> None:
    best_amount, best = searched(cycle, most)
    found = size_to_the_unit(cycle)
    gained = found[-1] - found[0] if found else 0
    # A millionth, or the rounding of the legs where profits are that small.
    assert gained >= best - max(2 * len(cycle), best * 1e-6), (best_amount, best, found)
    quick = size(cycle)
    if quick is not None:
        assert quick == quote(cycle, quick[0])
        assert found is not None
        assert gained >= quick[-1] - quick[0]


@settings(SLOW, max_examples=60)
@given(cycles())
def test_within_a_millionth_of_the_best(cycle: list[Leg]) -> None:
    judge(cycle, 4 * 10**17)


@settings(SLOW, max_examples=20)
@given(cycles(10**20, 10**27))
def test_amounts_above_64_bits(cycle: list[Leg]) -> None:
    judge(cycle, 4 * 10**28)


@settings(SLOW, max_examples=40)
@given(cycles(10, 10**4))
def test_pools_of_dust(cycle: list[Leg]) -> None:
    judge(cycle, 4 * 10**5)


@settings(SLOW, max_examples=150)
@given(st.sampled_from(["whirlpool", "clmm", "uniswap_v3"]), st.data())
def test_one_step_is_what_the_venue_says(kind: str, data: st.DataObject) -> None:
    leg = data.draw(legs(kind, 10 ** data.draw(st.integers(1, 20))))
    assert isinstance(leg, ConcentratedLeg)
    amount = int(10 ** data.draw(st.floats(0, 22)))
    whole = concentrated_out(leg.venue, leg.one == 1 << 64, leg.state, leg.a_to_b, amount)
    assert leg.quote(amount) == whole


@settings(SLOW, max_examples=150)
@given(st.sampled_from(KINDS), st.data())
def test_the_floats_follow_the_quotes(kind: str, data: st.DataObject) -> None:
    leg = data.draw(legs(kind, 10**13))
    curve = leg.curve()
    before, rises = float("inf"), list(curve.rises)
    for share in (1e-6, 1e-4, 1e-2, 0.1, 0.5):
        amount = int(10**13 * share)
        out, price = curve.at(float(amount))
        exact = leg.quote(amount)
        if exact is None or price == 0.0:
            break
        assert out == pytest.approx(exact, rel=1e-6, abs=1e-3 * 10**4), share
        while rises and rises[0] <= amount:
            before = float("inf")
            rises.pop(0)
        assert price <= before * (1 + 1e-9)
        if price > 1e-6 and not curve.rises:
            taken = curve.taken(price * (1 - 1e-9))
            # At a constant price any input of the stretch is at that price, and the end of it is meant.
            assert taken >= amount * (1 - 1e-6) - 1
        before = price


@settings(SLOW, max_examples=60)
@given(st.sampled_from(KINDS), st.data())
def test_what_a_venue_asks_is_about_the_least(kind: str, data: st.DataObject) -> None:
    leg = data.draw(legs(kind, 10**12))
    out = leg.quote(10**9)
    if not out:
        return
    asked = leg.cost(out)
    if asked is not None:
        given_back = leg.quote(asked)
        assert given_back is not None
        assert given_back >= out - 1
        assert asked <= 10**9 + 2


@pytest.mark.parametrize("kind", ["curve2", "curve3", "saber"])
def test_a_stable_leg_is_smooth(kind: str) -> None:
    @settings(max_examples=3, deadline=None)
    @given(legs(kind, 10**12))
    def no_stretches(leg: SmoothLeg) -> None:
        assert not hasattr(leg, "stretches")

    no_stretches()


@given(st.floats(1e-3, 1e30), st.floats(1e-3, 1e30))
def test_roots_are_found_from_any_guess(root: float, guess: float) -> None:
    assert rising_root(lambda x: x / root - 1.0, guess) == pytest.approx(root, rel=1e-9)
    assert rising_root(lambda x: -1.0 if x < root else float("inf"), guess) == pytest.approx(root, rel=1e-9)
    assert rising_root(lambda x: 1.0 + x, guess) == 0.0


def test_nothing_comes_of_an_empty_pool() -> None:
    assert best_input([ReservesLeg((0, 10), 0, True), ReservesLeg((10, 10), 0, True)]) == 0.0


@needs_shared
@pytest.mark.parametrize("cheaper", [0.9, 0.97, 1.03, 1.2])
def test_two_recorded_pools_at_another_price(cheaper: float) -> None:
    """WBTC/WETH of Uniswap v2 and v3 at block 17,600,000, the former with some of its WETH more or less."""
    v3, v2 = (json.loads((SHARED / "degenbot" / f"golden__data__uniswap__{v}__wbtc_weth__17600000.json").read_text())
              for v in ("v3", "v2"))  # fmt: skip
    ticks = sorted((int(tick), data["liquidity_net"]) for tick, data in v3["tick_data"].items())
    words = [int(word) for word in v3["tick_bitmap"]]
    state = ConcentratedState(
        v3["sqrt_price_x96"], v3["liquidity"], v3["tick"], v3["fee"], 60,
        tuple(tick for tick, _ in ticks), tuple(net for _, net in ticks),
        min(words) * 256 * 60, (max(words) + 1) * 256 * 60 - 60,
    )  # fmt: skip
    pair = ReservesLeg((v2["reserves_token0"], int(v2["reserves_token1"] * cheaper)), 3_000, cheaper > 1, 2)
    ticked = ConcentratedLeg(state, cheaper < 1, 1 << 96, 3)
    judge([ticked, pair], 10**11) if cheaper < 1 else judge([pair, ticked], 10**11)
    assert size([replace(ticked), pair] if cheaper < 1 else [pair, ticked]) is not None
