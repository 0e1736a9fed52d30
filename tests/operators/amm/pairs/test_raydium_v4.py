"""Raydium AMM v4 by properties, and one swap by hand: no recorded result of it is at hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.pairs import raydium_v4
from mevflow.operators.amm.pairs.raydium_v4 import AmmV4State

reserves = st.integers(10**4, 2**63)


@given(reserves, reserves, st.booleans(), st.integers(1, 2**63))
def test_the_product_never_falls(a: int, b: int, a_to_b: bool, amount: int) -> None:
    state = AmmV4State(a, b)
    try:
        quote = raydium_v4.quote_exact_in(state, a_to_b, amount)
    except AmmError:
        return
    assert quote.reserve_a_after * quote.reserve_b_after >= a * b
    assert quote.fee_amount == -(-amount * 25 // 10_000)
    after = raydium_v4.after_swap(state, a_to_b, amount, quote.amount_out)
    assert (after.reserve_a, after.reserve_b) == (quote.reserve_a_after, quote.reserve_b_after)


@given(reserves, reserves, st.booleans(), st.data())
def test_exact_out_buys_what_it_says(a: int, b: int, a_to_b: bool, data: st.DataObject) -> None:
    state = AmmV4State(a, b)
    wanted = data.draw(st.integers(1, (b if a_to_b else a) // 2))
    quote = raydium_v4.quote_exact_out(state, a_to_b, wanted)
    assert raydium_v4.quote_exact_in(state, a_to_b, quote.amount_in).amount_out >= wanted
    assert quote.reserve_a_after * quote.reserve_b_after >= a * b


def test_fee_and_product_round_against_the_trader() -> None:
    state = AmmV4State(1_000_000, 1_000_000)
    # 1,000 in: fee ceil(2.5) = 3, then floor(1,000,000 * 997 / 1,000,997) = 996.
    assert raydium_v4.quote_exact_in(state, True, 1_000).amount_out == 996
    # 996 out: ceil(1,000,000 * 996 / 999,004) = 997, then ceil(997 * 10,000 / 9,975) = 1,000.
    assert raydium_v4.quote_exact_out(state, True, 996).amount_in == 1_000
    assert raydium_v4.marginal_price(state, True) == pytest.approx(0.9975)


def test_what_the_program_refuses() -> None:
    state = AmmV4State(10**6, 10**6)
    for attempt in (
        lambda: raydium_v4.quote_exact_in(state, True, 0),
        lambda: raydium_v4.quote_exact_in(state, True, 1),
        lambda: raydium_v4.quote_exact_in(state, True, 2**64),
        lambda: raydium_v4.quote_exact_out(state, True, 10**6),
        lambda: raydium_v4.quote_exact_in(AmmV4State(0, 1), True, 5),
        lambda: raydium_v4.after_swap(state, True, 1, 10**6),
    ):
        with pytest.raises(AmmError):
            attempt()
