"""Raydium CPMM by properties: fees on either side, and the product without them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.pairs import raydium_cpmm
from mevflow.operators.amm.pairs.raydium_cpmm import CpmmState

pools = st.builds(
    CpmmState,
    reserve_a=st.integers(10**4, 2**63),
    reserve_b=st.integers(10**4, 2**63),
    fee_pips=st.sampled_from([100, 2_500, 10_000, 40_000]),
    protocol_fee_pips=st.sampled_from([0, 120_000]),
    fund_fee_pips=st.sampled_from([0, 40_000]),
    creator_fee_pips=st.sampled_from([0, 500, 2_000]),
    creator_fee_on=st.integers(0, 2),
)


@given(pools, st.booleans(), st.integers(1, 2**63))
def test_the_product_of_what_stays_never_falls(state: CpmmState, a_to_b: bool, amount: int) -> None:
    try:
        quote = raydium_cpmm.quote_exact_in(state, a_to_b, amount)
    except AmmError:
        return
    assert quote.reserve_a_after * quote.reserve_b_after >= state.reserve_a * state.reserve_b
    after = raydium_cpmm.after_swap(state, a_to_b, amount, quote.amount_out)
    assert (after.reserve_a, after.reserve_b) == (quote.reserve_a_after, quote.reserve_b_after)


@given(pools, st.booleans(), st.data())
def test_exact_out_buys_what_it_says(state: CpmmState, a_to_b: bool, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, (state.reserve_b if a_to_b else state.reserve_a) // 2))
    try:
        quote = raydium_cpmm.quote_exact_out(state, a_to_b, wanted)
    except AmmError:
        return
    assert raydium_cpmm.quote_exact_in(state, a_to_b, quote.amount_in).amount_out >= wanted


def test_one_swap_by_hand() -> None:
    state = CpmmState(1_000_000, 2_000_000, 2_500, 120_000, 40_000)
    quote = raydium_cpmm.quote_exact_in(state, True, 10_000)
    # Fee 25, of which 3 go to the protocol and 1 to the fund; 9,975 * 2,000,000 / 1,009,975 = 19,752.9…
    assert (quote.amount_out, quote.fee_amount) == (19_752, 25)
    assert (quote.reserve_a_after, quote.reserve_b_after) == (1_009_996, 1_980_248)
    assert raydium_cpmm.marginal_price(state, True) == pytest.approx(2 * 0.9975)


def test_the_creator_is_paid_on_one_side_or_the_other() -> None:
    pays_in = CpmmState(10**9, 10**9, 2_500, creator_fee_pips=2_000, creator_fee_on=1)
    quote = raydium_cpmm.quote_exact_in(pays_in, True, 10**6)
    assert quote.fee_amount == 4_500
    # 2,000 of the 4,500 are the creator's and leave the reserves.
    assert quote.reserve_a_after == 10**9 + 10**6 - 2_000
    pays_out = raydium_cpmm.quote_exact_in(pays_in, False, 10**6)
    assert pays_out.fee_amount == 2_500
    assert pays_out.reserve_a_after == 10**9 - pays_out.amount_out - -(-996_505 * 2_000 // 10**6)


def test_what_the_program_refuses() -> None:
    state = CpmmState(10**6, 10**6, 2_500)
    for attempt in (
        lambda: raydium_cpmm.quote_exact_in(state, True, 0),
        lambda: raydium_cpmm.quote_exact_in(state, True, 1),
        lambda: raydium_cpmm.quote_exact_out(state, True, 10**6),
        lambda: raydium_cpmm.quote_exact_in(state, True, 2**64),
        lambda: raydium_cpmm.after_swap(state, True, 10_000, 1),
    ):
        with pytest.raises(AmmError):
            attempt()
