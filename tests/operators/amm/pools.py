"""Concentrated pools for property tests, in either resolution."""

from __future__ import annotations

from types import ModuleType

from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96, uniswap_v3, whirlpool
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.concentrated.tick_map import TickMap

MATH: dict[ModuleType, ModuleType] = {whirlpool: tick_math_x64, uniswap_v3: tick_math_x96}


@st.composite
def states(draw: st.DrawFn, program: ModuleType) -> ConcentratedState:
    """A pool of one to eight positions within ±8,000 ticks, its price anywhere around them.

    Ticks are known to ±20,000, so that a swap through emptiness ends soon.
    """
    math = MATH[program]
    spacing = draw(st.sampled_from([1, 8, 10, 60, 64, 128]))
    bound = 8_000 // spacing
    ticks = TickMap()
    for _ in range(draw(st.integers(1, 8))):
        lower = draw(st.integers(-bound, bound - 1))
        upper = draw(st.integers(lower + 1, bound))
        ticks.change(lower * spacing, upper * spacing, draw(st.integers(1, 10**14)))
    low, high = math.price_at(-9_000), math.price_at(9_000)
    price = draw(st.integers(low, high))
    tick = math.tick_at(price)
    initialized, nets = ticks.arrays()
    return ConcentratedState(
        sqrt_price=price,
        liquidity=ticks.active_at(tick),
        tick=tick,
        fee_pips=draw(st.sampled_from([100, 500, 2_000, 2_500, 3_000, 10_000])),
        tick_spacing=spacing,
        ticks=initialized,
        liquidity_net=nets,
        known_tick_lower=-20_000,
        known_tick_upper=20_000,
        protocol_fee_bps=300,
    )
