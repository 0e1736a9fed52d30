"""Swaps backwards: what explains them contains what happened."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_x64, whirlpool
from mevflow.operators.amm.concentrated.curve import ConcentratedState, position_amounts
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.amm.inverse import Pricing, first_true, price_explaining, prices_before, prices_moving
from tests.operators.amm.pools import states


def pricing_of(state: ConcentratedState) -> Pricing:
    ticks = TickMap((t, n, abs(n) or 1) for t, n in zip(state.ticks, state.liquidity_net, strict=True))
    return Pricing(ticks, state.fee_pips, state.tick_spacing, 0)


@given(
    threshold=st.integers(-1_000, 1_000),
    guess=st.integers(-2_000, 2_000),
    low=st.integers(-900, 0),
    high=st.integers(0, 900),
)
def test_first_true_finds_the_threshold(threshold: int, guess: int, low: int, high: int) -> None:
    found = first_true(lambda x: x >= threshold, guess, low, high)
    assert found == (None if threshold > high else max(threshold, low))


@given(state=states(whirlpool), amount=st.integers(1, 10**12), a_to_b=st.booleans())
def test_the_price_before_is_among_those_that_explain(state: ConcentratedState, amount: int, a_to_b: bool) -> None:
    quote = whirlpool.quote_exact_in(state, a_to_b, amount)
    assume(quote.filled and quote.crossed <= 1)
    after = quote.sqrt_price_after, quote.sqrt_price_after
    before = prices_before(pricing_of(state), after, a_to_b, amount, quote.amount_out)
    assert before is not None
    assert before[0] <= state.sqrt_price <= before[1]


@given(state=states(whirlpool), amount=st.integers(10**6, 10**10), a_to_b=st.booleans(), off=st.integers(1, 10**9))
def test_a_price_that_explains_does(state: ConcentratedState, amount: int, a_to_b: bool, off: int) -> None:
    quote = whirlpool.quote_exact_in(state, a_to_b, amount)
    near = state.sqrt_price + off
    found = price_explaining(pricing_of(state), near, a_to_b, amount, quote.amount_out, near // 100)
    if found is not None:
        assert whirlpool.quote_exact_in(pricing_of(state).at(found), a_to_b, amount).amount_out == quote.amount_out


@given(
    price=st.integers(tick_math_x64.price_at(-3_000), tick_math_x64.price_at(3_000)),
    lower=st.integers(-30, 29),
    width=st.integers(1, 30),
    liquidity=st.integers(1, 10**15),
    round_up=st.booleans(),
)
def test_prices_moving_is_exactly_where_the_amounts_are(
    price: int, lower: int, width: int, liquidity: int, round_up: bool
) -> None:
    low, high = lower * 128, (lower + width) * 128

    def worth(at: int) -> tuple[int, int]:
        return position_amounts(whirlpool.RULES, at, tick_math_x64.tick_at(at), low, high, liquidity, round_up)

    within = (price - (1 << 50), price + (1 << 50))
    found = prices_moving(within, low, high, liquidity, round_up, worth(price))
    assert found is not None
    assert found[0] <= price <= found[1]
    assert worth(found[0]) == worth(found[1]) == worth(price)
    assert found[0] == within[0] or worth(found[0] - 1) != worth(price)
    assert found[1] == within[1] or worth(found[1] + 1) != worth(price)
