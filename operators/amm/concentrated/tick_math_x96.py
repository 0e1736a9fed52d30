"""Ticks and square-root prices in Q64.96, as the Uniswap v3 contracts compute them.

``price_at(t)`` is sqrt(1.0001 ** t) * 2 ** 96 rounded up from the contract's Q128.128: a product of one factor per
set bit of ``|t|``, each product floored, inverted for positive ticks.
Source of the constants: Uniswap/v3-core, ``contracts/libraries/TickMath.sol``.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, log

from mevflow.operators.amm.concentrated.curve import AmmError

MIN_TICK = -887272
MAX_TICK = 887272
#: ``price_at(MIN_TICK)`` and ``price_at(MAX_TICK)``; a pool's price is at least the first and below the second.
MIN_SQRT_PRICE = 4295128739
MAX_SQRT_PRICE = 1461446703485210103287273052203988822378723970342

_ONE_X96 = 1 << 96
_MAX_U256 = (1 << 256) - 1

#: sqrt(1.0001 ** -(2 ** i)) in Q128.128.
_DOWN_X128 = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)

_LOG_STEP = log(1.0001) / 2


@lru_cache(maxsize=1 << 16)
def price_at(tick: int) -> int:
    """The Q64.96 square-root price of ``tick``. Raises AmmError outside [MIN_TICK, MAX_TICK]."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise AmmError(f"tick {tick} is outside [{MIN_TICK}, {MAX_TICK}]")
    ratio = 1 << 128
    for bit, factor in enumerate(_DOWN_X128):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = _MAX_U256 // ratio
    return -(-ratio >> 32)


def tick_at(sqrt_price: int) -> int:
    """The greatest tick whose price is at most ``sqrt_price`` (Q64.96).

    A float logarithm guesses, exact prices correct the guess. Raises AmmError outside
    [MIN_SQRT_PRICE, MAX_SQRT_PRICE].
    """
    if not MIN_SQRT_PRICE <= sqrt_price <= MAX_SQRT_PRICE:
        raise AmmError(f"sqrt price {sqrt_price} is outside [{MIN_SQRT_PRICE}, {MAX_SQRT_PRICE}]")
    tick = min(max(floor(log(sqrt_price / _ONE_X96) / _LOG_STEP), MIN_TICK), MAX_TICK)
    while price_at(tick) > sqrt_price:
        tick -= 1
    while tick < MAX_TICK and price_at(tick + 1) <= sqrt_price:
        tick += 1
    return tick
