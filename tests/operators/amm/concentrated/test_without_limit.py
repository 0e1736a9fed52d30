"""A swap without a price limit that takes all there is ends where its program ends it."""

from __future__ import annotations

import pytest

from mevflow.operators.amm.concentrated import (
    raydium_clmm,
    tick_math_raydium,
    tick_math_x64,
    tick_math_x96,
    uniswap_v3,
    uniswap_v3_venue,
    uniswap_v4,
    whirlpool,
)
from mevflow.operators.amm.concentrated.curve import ConcentratedState

ALL = (1 << 63) - 1
#: (quote exact in, quote exact out, ticks, one, how far inside its ends a swap ends)
VENUES = {
    "uniswap v3": (uniswap_v3.quote_exact_in, None, tick_math_x96, 1 << 96, 1),
    "uniswap v3 venue": (uniswap_v3_venue.quote_exact_in, uniswap_v3_venue.quote_exact_out, tick_math_x96, 1 << 96, 1),
    "uniswap v4": (uniswap_v4.quote_exact_in, uniswap_v4.quote_exact_out, tick_math_x96, 1 << 96, 1),
    "raydium clmm": (raydium_clmm.quote_exact_in, raydium_clmm.quote_exact_out, tick_math_raydium, 1 << 64, 1),
}


@pytest.mark.parametrize("a_to_b", [True, False])
@pytest.mark.parametrize("name", VENUES)
def test_a_partial_fill_ends_a_unit_inside(name: str, a_to_b: bool) -> None:
    exact_in, exact_out, ticks, one, inside = VENUES[name]
    state = ConcentratedState(one, 1000, 0, 3000, 60, (-60, 60), (1000, -1000))
    end = ticks.MIN_SQRT_PRICE + inside if a_to_b else ticks.MAX_SQRT_PRICE - inside
    for quote in (exact_in, exact_out):
        if quote is not None:
            found = quote(state, a_to_b, ALL)
            assert (found.sqrt_price_after, found.filled) == (end, False)


def test_a_whirlpool_may_end_at_its_ends() -> None:
    state = ConcentratedState(1 << 64, 1000, 0, 3000, 32_768, (-32_768, 32_768), (1000, -1000))
    low, high = (whirlpool.quote_exact_in(state, way, ALL).sqrt_price_after for way in (True, False))
    assert (low, high) == (tick_math_x64.MIN_SQRT_PRICE, tick_math_x64.MAX_SQRT_PRICE)
