"""Raydium CLMM: Uniswap v3's loop in Q64.64, stopping at initialized ticks only.

Rule and rounding: raydium-io/raydium-clmm, ``programs/amm/src/libraries/{swap_math,sqrt_price_math,liquidity_math}.rs``
and ``instructions/swap.rs``. Covered is the fee on the input at the configured rate; a pool with a dynamic fee, with
fees on one token only, or with limit orders on its ticks follows further rules that are not.
"""

from __future__ import annotations

from functools import partial

from mevflow.operators.amm.concentrated import tick_math_raydium as ticks
from mevflow.operators.amm.concentrated import whirlpool
from mevflow.operators.amm.concentrated.curve import ConcentratedState, Rules, next_initialized, run_swap
from mevflow.operators.amm.concentrated.venue import Venue


def _next_target(state: ConcentratedState, tick: int, a_to_b: bool) -> int:
    """The next initialized tick, however far; the last price where there is none, and no liquidity on the way."""
    found = next_initialized(state.ticks, tick, a_to_b)
    if found is None:
        return ticks.MIN_TICK if a_to_b else ticks.MAX_TICK
    return found


#: Amounts and prices round as Whirlpool's do: one exact quotient, up where the pool receives.
RULES = Rules(
    delta_a=whirlpool.delta_a,
    delta_b=whirlpool.delta_b,
    next_price_a=whirlpool.next_price_a,
    next_price_b=whirlpool.next_price_b,
    price_at=ticks.price_at,
    tick_at=ticks.tick_at,
    next_target=_next_target,
    min_tick=ticks.MIN_TICK,
    max_tick=ticks.MAX_TICK,
    max_amount=(1 << 64) - 1,
    inside=1,
)
_VENUE = Venue(partial(run_swap, RULES), RULES, bits=64)
quote_exact_in, quote_exact_out = _VENUE.quote_exact_in, _VENUE.quote_exact_out
marginal_price, after_swap = _VENUE.marginal_price, _VENUE.after_swap
