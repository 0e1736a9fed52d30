"""Saber by properties: Curve's curve of two coins in 64 bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import saber
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.swap import StableState

pools = st.integers(10**6, 10**15).flatmap(
    lambda size: st.builds(
        SaberState,
        reserve_a=st.integers(size // 5, size * 5),
        reserve_b=st.integers(size // 5, size * 5),
        amp=st.integers(1, 2_000),
        fee_numerator=st.integers(0, 50),
        fee_denominator=st.just(10_000),
        admin_fee_numerator=st.just(1),
        admin_fee_denominator=st.just(2),
    )
)


@given(pools, st.booleans(), st.integers(1, 10**6))
def test_it_is_curves_pool_in_raw_units(state: SaberState, a_to_b: bool, share: int) -> None:
    # The program lists the input's side first whichever it is, and the order of divisions shows in the last unit.
    balances = (state.reserve_a, state.reserve_b) if a_to_b else (state.reserve_b, state.reserve_a)
    amount = max(balances[0] * share // 10**6, 1)
    curve = StableState(balances, (10**18,) * 2, state.amp, 1, state.fee_numerator * 10**6, 0)
    try:
        quote = saber.quote_exact_in(state, a_to_b, amount)
    except AmmError:
        with pytest.raises(AmmError):
            stable_swap.quote_exact_in(curve, 0, 1, amount)
        return
    assert quote.amount_out == stable_swap.quote_exact_in(curve, 0, 1, amount).amount_out
    after = saber.after_swap(state, a_to_b, amount, quote.amount_out)
    assert (after.reserve_a, after.reserve_b) == (quote.reserve_a_after, quote.reserve_b_after)


@given(pools, st.booleans(), st.integers(1, 10**5))
def test_exact_out_is_the_least_input(state: SaberState, a_to_b: bool, share: int) -> None:
    wanted = max((state.reserve_b if a_to_b else state.reserve_a) * share // 10**6, 1)
    quote = saber.quote_exact_out(state, a_to_b, wanted)
    assert quote.amount_out >= wanted
    if quote.amount_in > 1:
        assert paid(state, a_to_b, quote.amount_in - 1) < wanted


def paid(state: SaberState, a_to_b: bool, amount: int) -> int:
    """The output, nothing where the amount is too little."""
    try:
        return saber.quote_exact_in(state, a_to_b, amount).amount_out
    except AmmError:
        return 0


def test_marginal_price() -> None:
    state = SaberState(10**12, 10**12, 100, 4, 10_000)
    assert saber.marginal_price(state, True) == pytest.approx(0.9996)
    assert saber.quote_exact_in(state, True, 10**6).amount_out == pytest.approx(999_600, abs=3)


def test_what_the_program_refuses() -> None:
    state = SaberState(10**6, 10**6, 100, 4, 10_000)
    for attempt in (
        lambda: saber.quote_exact_in(state, True, 0),
        lambda: saber.quote_exact_in(state, True, 2**63),
        lambda: saber.quote_exact_out(state, True, 10**6),
        lambda: saber.quote_exact_in(SaberState(0, 10**6, 100, 4, 10_000), True, 5),
        lambda: saber.after_swap(state, True, 1_000, 1),
    ):
        with pytest.raises(AmmError):
            attempt()
