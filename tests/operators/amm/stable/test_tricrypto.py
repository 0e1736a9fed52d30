"""Curve tricrypto: every recorded result, and what must hold around them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import tricrypto
from mevflow.operators.amm.stable.tricrypto import CryptoState
from mevflow.operators.amm.stable.tricrypto_math import newton_d
from tests.operators.amm.recorded import coins, degenbot, results


def pool() -> tuple[CryptoState, list[str]]:
    recorded = degenbot("curve_tricrypto_state")
    state = CryptoState(
        balances=tuple(recorded["balances"]),
        precisions=tuple(10 ** (18 - token["decimals"]) for token in recorded["tokens"]),
        price_scale=tuple(recorded["price_scale"]),
        ann=recorded["a_coefficient"],
        gamma=recorded["gamma"],
        d=recorded["d"],
        mid_fee=recorded["mid_fee"],
        out_fee=recorded["out_fee"],
        fee_gamma=recorded["fee_gamma"],
        multiplier=1,
    )
    return state, [token["symbol"] for token in recorded["tokens"]]


def test_recorded_get_dy() -> None:
    state, symbols = pool()
    recorded = results("curve_tricrypto_get_dy")
    assert len(recorded) == 18
    for (_, _, pair, amount), value in recorded:
        assert tricrypto.get_dy(state, *coins(pair, symbols), int(amount)) == value


def test_the_stored_invariant_is_that_of_the_balances() -> None:
    state, _ = pool()
    d = newton_d(state.ann, state.gamma, state.scaled(state.balances), state.multiplier)
    assert abs(d - state.d) <= state.d // 10**12


@given(st.permutations(range(3)), st.integers(1, 250_000))
def test_there_and_back_never_pays(order: list[int], share: int) -> None:
    state, _ = pool()
    i, j = order[:2]
    amount = max(state.balances[i] * share // 10**6, 1)
    quote = tricrypto.quote_exact_in(state, i, j, amount)
    after = tricrypto.after_swap(state, i, j, amount, quote.amount_out)
    # The fee stays in the pool, so the invariant grows but for its own precision.
    assert after.d >= state.d - state.d // 10**12
    if quote.amount_out:
        assert tricrypto.quote_exact_in(after, j, i, quote.amount_out).amount_out <= amount


@given(st.permutations(range(3)), st.integers(1_000, 200_000))
def test_exact_out_is_enough_and_near_the_least(order: list[int], share: int) -> None:
    state, _ = pool()
    i, j = order[:2]
    wanted = state.balances[j] * share // 10**6
    quote = tricrypto.quote_exact_out(state, i, j, wanted)
    assert quote.amount_out >= wanted
    # The contract's own iteration is only so precise: output is monotone in input but for its last digits.
    less = quote.amount_in - max(quote.amount_in // 10**9, 1)
    if less > 0:
        assert tricrypto.quote_exact_in(state, i, j, less).amount_out <= wanted


@pytest.mark.parametrize(("i", "j"), [(0, 1), (1, 2), (2, 0), (2, 1)])
def test_marginal_price(i: int, j: int) -> None:
    state, _ = pool()
    amount = state.balances[i] // 10**4
    out = tricrypto.get_dy(state, i, j, amount)
    assert out / amount == pytest.approx(tricrypto.marginal_price(state, i, j), rel=2e-3)


def test_a_ramp_computes_the_invariant_anew() -> None:
    state, _ = pool()
    stale = replace(state, d=state.d // 2, ramping=True)
    assert tricrypto.get_dy(stale, 0, 1, 10**9) == pytest.approx(tricrypto.get_dy(state, 0, 1, 10**9), rel=1e-6)


@pytest.mark.parametrize(("i", "j", "amount"), [(0, 0, 1), (0, 3, 1), (0, 1, 0), (0, 1, 10**40)])
def test_what_the_contract_refuses(i: int, j: int, amount: int) -> None:
    with pytest.raises(AmmError):
        tricrypto.quote_exact_in(pool()[0], i, j, amount)
