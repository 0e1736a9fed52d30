"""Weighted pools of Balancer v2: what the compiled contracts answered, and what must hold."""

from __future__ import annotations

import gzip
import json

import pytest

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.log_exp import ONE, power, power_up
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.sizing.legs import WeightedLeg
from tests.operators.amm.recorded import DATA


def cases() -> list[tuple[bool, WeightedState, int, int | None]]:
    """(exact input, pool, amount, the contract's answer or None where it reverts)."""
    with gzip.open(DATA / "balancer_weighted.json.gz", "rt") as file:
        rows = json.load(file)["cases"]
    return [
        (bool(row[0]), WeightedState((row[1], row[3]), (row[2], row[4]), _scales(row[7:9]), row[6]), row[5], row[9])
        for row in rows
    ]


def _scales(decimals: list[int]) -> tuple[int, ...]:
    return tuple(10 ** (36 - each) for each in decimals)


def test_every_answer_of_the_contract_is_quoted_to_the_unit() -> None:
    """Weights 1 to 99 %, decimals 2 to 18, both directions; what reverts is refused."""
    counted = [0, 0]
    for exact_in, state, amount, answer in cases():
        try:
            if exact_in:
                found = weighted.quote_exact_in(state, 0, 1, amount).amount_out
            else:
                found = weighted.quote_exact_out(state, 0, 1, amount).amount_in
        except AmmError:
            assert answer is None
            counted[1] += 1
            continue
        assert found == answer
        counted[0] += 1
    assert counted == [1_200 - 18, 18]


def test_a_swap_leaves_all_of_its_input_in_the_pool() -> None:
    for exact_in, state, amount, answer in cases()[::5]:
        if exact_in or answer is None:
            continue
        quote = weighted.quote_exact_out(state, 0, 1, amount)
        after = quote.applied_to(state)
        assert after == weighted.after_swap(state, 0, 1, answer, amount)
        assert after.balances == (state.balances[0] + answer, state.balances[1] - amount)


def test_the_curve_in_floats_follows_the_quotes() -> None:
    for exact_in, state, amount, answer in cases()[::7]:
        if exact_in and answer is not None and min(amount, answer) > 10**7 and amount > state.balances[0] // 10**6:
            curve = WeightedLeg(state, 0, 1).curve()
            out, price = curve.at(float(amount))
            assert out == pytest.approx(answer, rel=1e-6)
            first = weighted.marginal_price(state, 0, 1)
            assert curve.at(0.0)[1] == pytest.approx(first, rel=1e-12)
            assert curve.taken(price * (1 - 1e-9)) >= amount * (1 - 1e-6)


def test_powers_are_rounded_up_and_are_products_where_they_can_be() -> None:
    assert power_up(3 * ONE, 2 * ONE) == 9 * ONE
    assert power_up(2 * ONE, 4 * ONE) == 16 * ONE
    assert power_up(7, ONE) == 7
    assert power(0, ONE) == 0
    assert power(5, 0) == ONE
    assert power_up(2 * ONE, ONE // 2) >= 1_414_213_562_373_095_048
    for x, y in ((1 << 255, ONE), (ONE, 1 << 250), (10**30, 130 * ONE)):
        with pytest.raises(AmmError):
            power(x, y)


@pytest.mark.parametrize(("i", "j", "amount"), [(0, 0, 5), (0, 2, 5), (0, 1, 0), (0, 1, 4 * 10**17), (1, 0, 1 << 112)])
def test_what_the_pool_or_the_vault_refuses_is_refused(i: int, j: int, amount: int) -> None:
    state = WeightedState((ONE, ONE), (ONE // 2, ONE // 2), (ONE, ONE), ONE // 1000)
    with pytest.raises(AmmError):
        weighted.quote_exact_in(state, i, j, amount)
    with pytest.raises(AmmError):
        weighted.quote_exact_out(state, i, j, amount)
    with pytest.raises(AmmError):
        weighted.quote_exact_in(WeightedState((ONE, 0), state.weights, state.scales, 0), 0, 1, 5)
    full = WeightedState(((1 << 112) - 10, ONE), state.weights, state.scales, 0)
    with pytest.raises(AmmError, match="112 bits"):
        weighted.quote_exact_in(full, 0, 1, 11)
