"""Whirlpool as a venue: Orca's own swap cases, failures included; prices; state from events."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from mevflow.operators.amm.concentrated import tick_math_x64, whirlpool, whirlpool_program
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from tests.operators.amm.pools import states
from tests.operators.amm.recorded import SHARED, needs_shared

CASES = SHARED / "amm_vectors" / "orca_whirlpool_swap_test_cases_splash_pool.json"


@needs_shared
def test_orcas_splash_pool_cases() -> None:
    cases = json.loads(CASES.read_text())
    assert len(cases) == 2_880
    for case in cases:
        # The cases' pools hold their liquidity over all prices and have no initialized tick.
        state = ConcentratedState(
            sqrt_price=tick_math_x64.price_at(case["currTickIndex"]),
            liquidity=int(case["liquidity"]),
            tick=case["currTickIndex"],
            fee_pips=case["feeRate"],
            tick_spacing=case["tickSpacing"],
            protocol_fee_bps=case["protocolFeeRate"],
        )
        a_to_b, amount = case["aToB"], int(case["tradeAmount"])
        quote_of = whirlpool_program.quote_exact_in if case["amountIsInput"] else whirlpool_program.quote_exact_out
        expected = case["expectation"]
        if expected["exception"]:
            with pytest.raises(AmmError):
                quote_of(state, a_to_b, amount)
            continue
        quote = quote_of(state, a_to_b, amount)
        moved_a, moved_b = (quote.amount_in, quote.amount_out) if a_to_b else (quote.amount_out, quote.amount_in)
        assert (moved_a, moved_b) == (int(expected["amountA"]), int(expected["amountB"])), case["description"]
        assert (quote.liquidity_after, quote.tick_after, quote.sqrt_price_after, quote.protocol_fee) == (
            int(expected["nextLiquidity"]),
            expected["nextTickIndex"],
            int(expected["nextSqrtPrice"]),
            int(expected["nextProtocolFee"]),
        )


@given(states(whirlpool), st.booleans(), st.integers(1, 10**13))
def test_exact_out_is_enough(state: ConcentratedState, a_to_b: bool, amount: int) -> None:
    try:
        quote = whirlpool_program.quote_exact_out(state, a_to_b, amount)
    except AmmError:
        return
    assume(quote.filled)
    assert quote.amount_out == amount
    assert whirlpool_program.quote_exact_in(state, a_to_b, quote.amount_in).amount_out >= amount


@given(states(whirlpool), st.booleans(), st.integers(1, 10**13))
def test_state_follows_from_the_price_of_an_event(state: ConcentratedState, a_to_b: bool, amount: int) -> None:
    quote = whirlpool_program.quote_exact_in(state, a_to_b, amount)
    after = quote.applied_to(state)
    assert whirlpool_program.after_swap(state, quote.sqrt_price_after, quote.liquidity_after, quote.tick_after) == after
    # Without the tick, it is the price's own; on a tick's very price the program may have stored one less.
    if tick_math_x64.price_at(tick_math_x64.tick_at(after.sqrt_price)) != after.sqrt_price:
        assert whirlpool_program.after_swap(state, quote.sqrt_price_after) == after
    assume(after.tick < state.known_tick_upper)
    with pytest.raises(AmmError, match="known ticks give"):
        whirlpool_program.after_swap(state, after.sqrt_price, after.liquidity + 1, after.tick)


@given(states(whirlpool), st.booleans())
def test_the_marginal_price_bounds_every_quote(state: ConcentratedState, a_to_b: bool) -> None:
    price = whirlpool_program.marginal_price(state, a_to_b)
    if state.liquidity == 0:
        assert price == 0.0
        return
    quote = whirlpool_program.quote_exact_in(state, a_to_b, 10**8)
    assert quote.amount_out <= quote.amount_in * price * (1 + 1e-9) + 1


def test_amounts_are_of_64_bits() -> None:
    state = ConcentratedState(1 << 64, 10**9, 0, 3_000, 64)
    with pytest.raises(AmmError, match="64 bits"):
        whirlpool_program.quote_exact_in(state, True, 1 << 64)
    with pytest.raises(AmmError, match="cannot hold"):
        whirlpool_program.quote_exact_in(
            replace(state, liquidity=1 << 120, sqrt_price=10**28, tick=402_000), True, 10**19
        )
