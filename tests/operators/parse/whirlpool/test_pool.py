"""A pool that the record corrects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_x64, whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, position_amounts
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.parse.whirlpool.pool import Pool


def pool(price: int) -> Pool:
    ticks = TickMap()
    ticks.change(-1280, 1280, 10**13)
    tick = tick_math_x64.tick_at(price)
    return Pool(
        mint_a=bytes(32),
        mint_b=bytes(32),
        symbols=("A", "B"),
        decimals=(6, 6),
        tick_spacing=128,
        fee_pips=2500,
        protocol_fee_bps=300,
        sqrt_price=price,
        liquidity=ticks.active_at(tick),
        tick=tick,
        ticks=ticks,
    )


PRICES = st.integers(tick_math_x64.price_at(-500), tick_math_x64.price_at(500))
OFF = st.integers(-(1 << 52), 1 << 52)


@given(price=PRICES, off=OFF, amount=st.integers(10**6, 10**11), a_to_b=st.booleans())
def test_a_swap_brings_a_wrong_price_back(price: int, off: int, amount: int, a_to_b: bool) -> None:
    right, wrong = pool(price), pool(price + off)
    truth = whirlpool.quote_exact_in(right.state(), a_to_b, amount)
    moved = truth.amount_in, truth.amount_out
    assert right.swap(a_to_b, amount, True, None, moved)
    wrong.swap(a_to_b, amount, True, None, moved)
    # An output fixes the price to about 2**64 / (2 * amount): any price in that interval explains it.
    assert abs(wrong.sqrt_price - right.sqrt_price) <= min(abs(off), (1 << 65) // amount) + (1 << 65) // amount
    if wrong.figures.reanchored:
        # From where it was put, the amounts that moved follow; so the next swaps do again.
        assert whirlpool.quote_exact_in(right.state(), a_to_b, amount).amount_out == pytest.approx(
            whirlpool.quote_exact_in(wrong.state(), a_to_b, amount).amount_out, abs=3
        )


@given(price=PRICES, off=OFF, size=st.integers(10**9, 10**13))
def test_a_liquidity_change_brings_a_wrong_price_back(price: int, off: int, size: int) -> None:
    right, wrong = pool(price), pool(price + off)
    if right.tick != wrong.tick:
        return
    moved = position_amounts(whirlpool.RULES, right.sqrt_price, right.tick, -1280, 1280, size, True)
    assert right.change(-1280, 1280, size, moved)
    exact = wrong.change(-1280, 1280, size, moved)
    assert (
        position_amounts(whirlpool.RULES, wrong.sqrt_price, wrong.tick, -1280, 1280, size, True) == moved or not exact
    )
    assert abs(wrong.sqrt_price - right.sqrt_price) <= abs(off) + (1 << 66) // size
    assert wrong.liquidity == right.liquidity == 10**13 + size


def test_more_than_there_is_changes_nothing() -> None:
    state = pool(1 << 64)
    with pytest.raises(AmmError, match="cannot become"):
        state.change(-1280, 1280, -(10**13) - 1, (0, 0))
    with pytest.raises(AmmError, match="holds"):
        state.change(-128, 128, -1, (0, 0))
    assert state.liquidity == 10**13
    assert len(state.ticks) == 2
    assert state.figures.changes == 0
