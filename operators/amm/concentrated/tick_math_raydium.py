"""Ticks and square-root prices in Q64.64, as the Raydium CLMM program computes them.

Like Uniswap v3, a positive tick's price is the inverse of the negative one's; the factors, one per bit of ``|tick|``,
are those of raydium-io/raydium-clmm, ``programs/amm/src/libraries/tick_math.rs``.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, log

from mevflow.operators.amm.concentrated.curve import AmmError

MIN_TICK = -443636
MAX_TICK = 443636
#: ``price_at(MIN_TICK)`` and ``price_at(MAX_TICK)``.
MIN_SQRT_PRICE = 4295048016
MAX_SQRT_PRICE = 79226673521066979257578248091

_ONE = 1 << 64
_MAX_U128 = (1 << 128) - 1

#: sqrt(1.0001 ** -(2 ** i)) in Q64.64, with the last bits cut as the program has them.
_FACTORS = (
    0xFFFCB933BD6FB800,
    0xFFF97272373D4000,
    0xFFF2E50F5F657000,
    0xFFE5CACA7E10F000,
    0xFFCB9843D60F7000,
    0xFF973B41FA98E800,
    0xFF2EA16466C9B000,
    0xFE5DEE046A9A3800,
    0xFCBE86C7900BB000,
    0xF987A7253AC65800,
    0xF3392B0822BB6000,
    0xE7159475A2CAF000,
    0xD097F3BDFD2F2000,
    0xA9F746462D9F8000,
    0x70D869A156F31C00,
    0x31BE135F97ED3200,
    0x9AA508B5B85A500,
    0x5D6AF8DEDC582C,
    0x2216E584F5FA,
)

_LOG_STEP = log(1.0001) / 2


@lru_cache(maxsize=1 << 14)
def price_at(tick: int) -> int:
    """The Q64.64 square-root price of ``tick``. Raises AmmError outside [MIN_TICK, MAX_TICK]."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise AmmError(f"tick {tick} is outside [{MIN_TICK}, {MAX_TICK}]")
    ratio = _ONE
    for bit, factor in enumerate(_FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 64
    return _MAX_U128 // ratio if tick > 0 else ratio


def tick_at(sqrt_price: int) -> int:
    """The greatest tick whose price is at most ``sqrt_price``. Raises AmmError outside the prices of all ticks."""
    if not MIN_SQRT_PRICE <= sqrt_price <= MAX_SQRT_PRICE:
        raise AmmError(f"sqrt price {sqrt_price} is outside [{MIN_SQRT_PRICE}, {MAX_SQRT_PRICE}]")
    tick = min(max(floor(log(sqrt_price / _ONE) / _LOG_STEP), MIN_TICK), MAX_TICK)
    while price_at(tick) > sqrt_price:
        tick -= 1
    while tick < MAX_TICK and price_at(tick + 1) <= sqrt_price:
        tick += 1
    return tick
