"""Stable pools of Aerodrome and Velodrome: what the compiled contracts answered and did, and what must hold."""

from __future__ import annotations

import gzip
import json
from typing import NamedTuple

import pytest

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import solidly
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.sizing.legs import SolidlyLeg
from tests.operators.amm.recorded import DATA


class Case(NamedTuple):
    """``quoted``: ``getAmountOut`` did not revert; ``swapped``: ``swap`` for that output did not either."""

    state: SolidlyState
    a_to_b: bool
    amount_in: int
    quoted: int
    amount_out: int
    swapped: int
    reserve_a_after: int
    reserve_b_after: int


def cases() -> list[Case]:
    with gzip.open(DATA / "aerodrome_stable.json.gz", "rt") as file:
        rows = json.load(file)["cases"]
    return [
        Case(SolidlyState(row[2], row[3], 10 ** row[0], 10 ** row[1], row[4] * 100), bool(row[5]), *row[6:])
        for row in rows
    ]


def test_every_swap_of_the_contract_is_quoted_to_the_unit() -> None:
    """Decimals 2 to 18, fees 0 to 3 %, balances up to 30 times apart; what it refuses is refused."""
    refused = 0
    for case in cases():
        try:
            found = solidly.quote_exact_in(case.state, case.a_to_b, case.amount_in)
        except AmmError:
            assert not case.swapped
            refused += 1
            continue
        assert case.quoted
        assert case.swapped
        after = found.amount_out, found.reserve_a_after, found.reserve_b_after
        assert after == (case.amount_out, case.reserve_a_after, case.reserve_b_after)
    assert (len(cases()), refused) == (1200, 95)


def test_an_amount_that_the_quote_refuses_the_pool_takes_all_the_same() -> None:
    state = SolidlyState(11887067, 7846673, 10**6, 10**6, 100)
    with pytest.raises(AmmError, match="overflows"):
        solidly.quote_exact_in(state, True, 5409893)
    around = [solidly.quote_direct(state, True, 5409893 + step).amount_out for step in (-2, -1, 0, 1, 2)]
    assert around == sorted(around)
    assert around[-1] - around[0] <= 4
    for case in cases()[::3]:
        if case.swapped:
            found = solidly.quote_direct(case.state, case.a_to_b, case.amount_in)
            assert (found.amount_out, found.reserve_a_after) == (case.amount_out, case.reserve_a_after)


def test_an_output_costs_the_least_input_that_pays_it() -> None:
    for case in cases()[::7]:
        if not case.swapped:
            continue
        found = solidly.quote_exact_out(case.state, case.a_to_b, case.amount_out)
        assert found.amount_out >= case.amount_out
        assert found.amount_in <= case.amount_in
        if found.amount_in > 1:
            try:
                less = solidly.quote_exact_in(case.state, case.a_to_b, found.amount_in - 1).amount_out
            except AmmError:
                less = 0
            assert less < case.amount_out


def test_the_curve_in_floats_follows_the_quotes() -> None:
    for case in cases()[::5]:
        state = case.state
        least = min(state.reserve_a * 10**18 // state.unit_a, state.reserve_b * 10**18 // state.unit_b)
        # Of less than that the contract has but a few digits.
        if case.swapped and min(case.amount_in, case.amount_out) > 10**7 and least > 10**12:
            curve = SolidlyLeg(case.state, case.a_to_b).curve()
            out, price = curve.at(float(case.amount_in))
            assert out == pytest.approx(case.amount_out, rel=1e-6)
            first = solidly.marginal_price(case.state, case.a_to_b)
            assert curve.at(0.0)[1] == pytest.approx(first, rel=1e-9)
            assert price <= first
            assert curve.taken(price * (1 - 1e-9)) >= case.amount_in * (1 - 1e-6)


@pytest.mark.parametrize(("reserves", "amount"), [((0, 5), 1), ((10**40, 10**40), 1), ((10**6, 10**6), 0)])
def test_what_the_contract_cannot_compute_is_refused(reserves: tuple[int, int], amount: int) -> None:
    state = SolidlyState(*reserves, 10**6, 10**6, 500)
    with pytest.raises(AmmError):
        solidly.quote_exact_in(state, True, amount)
    with pytest.raises(AmmError):
        solidly.quote_exact_out(state, True, 10**41)
