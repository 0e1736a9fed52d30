"""Raydium CLMM by properties: its ticks' prices, and swaps over any positions."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from mevflow.operators.amm.concentrated import raydium_clmm, tick_math_raydium, tick_math_x64, whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from tests.operators.amm.pools import states


def test_the_ends_are_the_programs_own() -> None:
    assert tick_math_raydium.price_at(tick_math_raydium.MIN_TICK) == tick_math_raydium.MIN_SQRT_PRICE
    assert tick_math_raydium.price_at(tick_math_raydium.MAX_TICK) == tick_math_raydium.MAX_SQRT_PRICE
    for wrong in (tick_math_raydium.MIN_TICK - 1, tick_math_raydium.MAX_TICK + 1):
        with pytest.raises(AmmError):
            tick_math_raydium.price_at(wrong)


@given(st.integers(tick_math_raydium.MIN_TICK, tick_math_raydium.MAX_TICK - 1))
def test_ticks_and_prices(tick: int) -> None:
    price = tick_math_raydium.price_at(tick)
    assert tick_math_raydium.tick_at(price) == tick
    assert tick_math_raydium.tick_at(tick_math_raydium.price_at(tick + 1) - 1) == tick
    # Two programs, two sets of factors: the same price to some ten digits.
    assert price == pytest.approx(tick_math_x64.price_at(tick), rel=1e-8)


@given(states(whirlpool), st.booleans(), st.integers(1, 10**13))
def test_exact_out_is_enough(state: ConcentratedState, a_to_b: bool, amount: int) -> None:
    try:
        quote = raydium_clmm.quote_exact_out(state, a_to_b, amount)
    except AmmError:
        return
    assume(quote.filled)
    assert raydium_clmm.quote_exact_in(state, a_to_b, quote.amount_in).amount_out >= amount


@given(states(whirlpool), st.booleans(), st.integers(1, 10**13))
def test_an_event_moves_the_state(state: ConcentratedState, a_to_b: bool, amount: int) -> None:
    state = replace(state, tick=tick_math_raydium.tick_at(state.sqrt_price))
    quote = raydium_clmm.quote_exact_in(state, a_to_b, amount)
    after = raydium_clmm.after_swap(state, quote.sqrt_price_after, quote.liquidity_after, quote.tick_after)
    assert after == quote.applied_to(state)


@given(states(whirlpool), st.booleans())
def test_the_marginal_price_bounds_every_quote(state: ConcentratedState, a_to_b: bool) -> None:
    assume(state.liquidity > 0)
    quote = raydium_clmm.quote_exact_in(state, a_to_b, 10**8)
    price = raydium_clmm.marginal_price(state, a_to_b)
    assert quote.amount_out <= quote.amount_in * price * (1 + 1e-9) + 1


def test_amounts_are_of_64_bits() -> None:
    with pytest.raises(AmmError, match="64 bits"):
        raydium_clmm.quote_exact_in(ConcentratedState(1 << 64, 10**9, 0, 100, 1), True, 1 << 64)
