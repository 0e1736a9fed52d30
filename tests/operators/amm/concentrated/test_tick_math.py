"""Ticks and prices: monotone, inverse to each other, equal to the programs' own algorithms and to the real power."""

from __future__ import annotations

from decimal import Decimal, localcontext
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96
from mevflow.operators.amm.concentrated.curve import AmmError

BOTH = pytest.mark.parametrize(("math", "bits"), [(tick_math_x64, 64), (tick_math_x96, 96)], ids=["x64", "x96"])


def whirlpool_tick_reference(sqrt_price: int) -> int:
    """The Whirlpool program's own inverse: a base-2 logarithm bit by bit, then one comparison."""
    msb = sqrt_price.bit_length() - 1
    r = sqrt_price >> (msb - 63) if msb >= 64 else sqrt_price << (63 - msb)
    fraction = 0
    for i in range(14):
        r *= r
        more = r >> 127
        r >>= 63 + more
        fraction += (1 << 63 - i) * more
    log2 = ((msb - 64) << 32) + (fraction >> 32)
    log = log2 * 59543866431248
    low = (log - 184467440737095516) >> 64
    high = (log + 15793534762490258745) >> 64
    return high if low != high and tick_math_x64.price_at(high) <= sqrt_price else low


@BOTH
@given(data=st.data())
def test_price_grows_with_tick(math: ModuleType, bits: int, data: st.DataObject) -> None:
    tick = data.draw(st.integers(math.MIN_TICK, math.MAX_TICK - 1))
    assert math.price_at(tick) < math.price_at(tick + 1)


@BOTH
@given(data=st.data())
def test_tick_of_its_own_price(math: ModuleType, bits: int, data: st.DataObject) -> None:
    tick = data.draw(st.integers(math.MIN_TICK + 1, math.MAX_TICK - 1))
    price = math.price_at(tick)
    assert math.tick_at(price) == tick
    assert math.tick_at(price - 1) == tick - 1
    assert math.tick_at(math.price_at(tick + 1) - 1) == tick


@BOTH
@given(data=st.data())
def test_tick_is_the_greatest_at_most(math: ModuleType, bits: int, data: st.DataObject) -> None:
    price = data.draw(st.integers(math.MIN_SQRT_PRICE, math.MAX_SQRT_PRICE - 1))
    tick = math.tick_at(price)
    assert math.price_at(tick) <= price < math.price_at(tick + 1)


@BOTH
@given(data=st.data())
def test_price_is_the_real_power(math: ModuleType, bits: int, data: st.DataObject) -> None:
    tick = data.draw(st.integers(-200_000, 200_000))
    with localcontext() as context:
        context.prec = 60
        real = Decimal("1.0001") ** (Decimal(tick) / 2) * (1 << bits)
    # Q64.64 keeps 50 bits at tick -200,000 and loses up to one unit at each of 18 factors.
    assert abs(math.price_at(tick) - real) <= 40 + real * Decimal("1e-17")


@BOTH
def test_ends(math: ModuleType, bits: int) -> None:
    assert math.price_at(0) == 1 << bits
    assert math.price_at(math.MIN_TICK) == math.MIN_SQRT_PRICE
    assert math.price_at(math.MAX_TICK) == math.MAX_SQRT_PRICE
    assert math.tick_at(math.MIN_SQRT_PRICE) == math.MIN_TICK
    assert math.tick_at(math.MAX_SQRT_PRICE) == math.MAX_TICK
    for tick in (math.MIN_TICK - 1, math.MAX_TICK + 1):
        with pytest.raises(AmmError):
            math.price_at(tick)
    for price in (0, math.MIN_SQRT_PRICE - 1, math.MAX_SQRT_PRICE + 1):
        with pytest.raises(AmmError):
            math.tick_at(price)


@given(price=st.integers(tick_math_x64.MIN_SQRT_PRICE, tick_math_x64.MAX_SQRT_PRICE))
def test_whirlpool_ticks_as_the_program_finds_them(price: int) -> None:
    assert tick_math_x64.tick_at(price) == whirlpool_tick_reference(price)


@given(tick=st.integers(tick_math_x64.MIN_TICK + 1, tick_math_x64.MAX_TICK), off=st.integers(-1, 1))
def test_whirlpool_ticks_as_the_program_finds_them_at_edges(tick: int, off: int) -> None:
    price = min(tick_math_x64.price_at(tick) + off, tick_math_x64.MAX_SQRT_PRICE)
    assert tick_math_x64.tick_at(price) == whirlpool_tick_reference(price)
