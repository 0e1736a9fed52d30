"""What every swap keeps to, whichever program rounds it."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mevflow.operators.amm.concentrated import uniswap_v3, whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from tests.operators.amm.pools import MATH, states

PROGRAMS = pytest.mark.parametrize("program", [whirlpool, uniswap_v3], ids=["whirlpool", "uniswap_v3"])
AMOUNTS = st.integers(1, 10**13)


@PROGRAMS
@given(data=st.data(), amount=AMOUNTS, a_to_b=st.booleans(), exact_in=st.booleans())
def test_a_swap_keeps_to_its_bounds(
    program: ModuleType, data: st.DataObject, amount: int, a_to_b: bool, exact_in: bool
) -> None:
    state: ConcentratedState = data.draw(states(program))
    quote = program.swap(state, a_to_b, amount, exact_in)
    given_side = quote.amount_in if exact_in else quote.amount_out
    assert given_side <= amount
    assert quote.filled == (given_side == amount)
    assert 0 <= quote.fee_amount <= quote.amount_in
    assert quote.protocol_fee <= quote.fee_amount
    if a_to_b:
        assert quote.sqrt_price_after <= state.sqrt_price
    else:
        assert quote.sqrt_price_after >= state.sqrt_price
    assert quote.liquidity_after >= 0
    # The price lies in the tick, or exactly on the upper edge of it after a crossing downwards.
    math = MATH[program]
    assert math.price_at(quote.tick_after) <= quote.sqrt_price_after <= math.price_at(quote.tick_after + 1)


@PROGRAMS
@given(data=st.data(), amount=AMOUNTS, a_to_b=st.booleans())
def test_liquidity_after_is_that_of_the_ticks(
    program: ModuleType, data: st.DataObject, amount: int, a_to_b: bool
) -> None:
    state: ConcentratedState = data.draw(states(program))
    quote = program.quote_exact_in(state, a_to_b, amount)
    below = sum(n for t, n in zip(state.ticks, state.liquidity_net, strict=True) if t <= quote.tick_after)
    assert quote.liquidity_after == below


@PROGRAMS
@given(data=st.data(), amount=AMOUNTS, a_to_b=st.booleans())
def test_there_and_back_never_gains(program: ModuleType, data: st.DataObject, amount: int, a_to_b: bool) -> None:
    state: ConcentratedState = data.draw(states(program))
    there = program.quote_exact_in(state, a_to_b, amount)
    if there.amount_out == 0:
        return
    back = program.quote_exact_in(there.applied_to(state), not a_to_b, there.amount_out)
    assert back.amount_out <= there.amount_in


@PROGRAMS
@given(data=st.data(), amount=AMOUNTS, more=AMOUNTS, a_to_b=st.booleans())
def test_more_in_gives_no_less_out(
    program: ModuleType, data: st.DataObject, amount: int, more: int, a_to_b: bool
) -> None:
    state: ConcentratedState = data.draw(states(program))
    small, large = (program.quote_exact_in(state, a_to_b, each) for each in (amount, amount + more))
    # Rounding down at each crossing may cost a unit that one step fewer would not.
    assert large.amount_out >= small.amount_out - large.crossed


@PROGRAMS
@given(data=st.data(), amount=AMOUNTS, a_to_b=st.booleans(), offset=st.integers(0, 2_000))
def test_nothing_is_sized_beyond_the_known_ticks(
    program: ModuleType, data: st.DataObject, amount: int, a_to_b: bool, offset: int
) -> None:
    state: ConcentratedState = data.draw(states(program))
    known = replace(state, known_tick_lower=state.tick - offset, known_tick_upper=state.tick + 1 + offset)
    quote = program.quote_exact_in(known, a_to_b, amount)
    math = MATH[program]
    assert math.price_at(known.known_tick_lower) <= quote.sqrt_price_after
    assert quote.sqrt_price_after <= math.price_at(known.known_tick_upper)
    whole = program.quote_exact_in(state, a_to_b, amount)
    if not quote.filled:
        return
    if quote.sqrt_price_after in (math.price_at(known.known_tick_lower), math.price_at(known.known_tick_upper)):
        # The input that reaches the edge is rounded up to a unit, and a part of a unit may go far in a thin pool.
        assert (quote.amount_in, quote.fee_amount) == (whole.amount_in, whole.fee_amount)
        assert quote.amount_out <= whole.amount_out
    else:
        assert quote == whole


@PROGRAMS
@given(data=st.data(), amount=AMOUNTS, a_to_b=st.booleans(), share=st.integers(1, 99))
def test_a_price_limit_is_kept(program: ModuleType, data: st.DataObject, amount: int, a_to_b: bool, share: int) -> None:
    state: ConcentratedState = data.draw(states(program))
    end = program.quote_exact_in(state, a_to_b, amount).sqrt_price_after
    limit = state.sqrt_price + (end - state.sqrt_price) * share // 100
    quote = program.quote_exact_in(state, a_to_b, amount, limit)
    assert quote.sqrt_price_after >= limit if a_to_b else quote.sqrt_price_after <= limit


@PROGRAMS
@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_is_positive(program: ModuleType, amount: int) -> None:
    state = ConcentratedState(1 << 64, 1, 0, 500, 10)
    with pytest.raises(AmmError, match="positive"):
        program.quote_exact_in(state, True, amount)
