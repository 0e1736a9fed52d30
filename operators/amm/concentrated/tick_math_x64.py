"""Ticks and square-root prices in Q64.64, as the Whirlpool program computes them.

``price_at(t)`` is sqrt(1.0001 ** t) * 2 ** 64 within the program's own rounding: a product of one factor per set
bit of ``|t|``, in Q32.96 for positive and Q64.64 for negative ticks, each product floored.
Source of the constants: orca-so/whirlpools, ``programs/whirlpool/src/math/tick_math.rs``.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, log

from mevflow.operators.amm.concentrated.curve import AmmError

MIN_TICK = -443636
MAX_TICK = 443636
#: ``price_at(MIN_TICK)`` and ``price_at(MAX_TICK)``.
MIN_SQRT_PRICE = 4295048016
MAX_SQRT_PRICE = 79226673515401279992447579055

_ONE_X64 = 1 << 64
_ONE_X96 = 1 << 96

#: sqrt(1.0001 ** (2 ** i)) in Q32.96.
_UP_X96 = (
    79232123823359799118286999567,
    79236085330515764027303304731,
    79244008939048815603706035061,
    79259858533276714757314932305,
    79291567232598584799939703904,
    79355022692464371645785046466,
    79482085999252804386437311141,
    79736823300114093921829183326,
    80248749790819932309965073892,
    81282483887344747381513967011,
    83390072131320151908154831281,
    87770609709833776024991924138,
    97234110755111693312479820773,
    119332217159966728226237229890,
    179736315981702064433883588727,
    407748233172238350107850275304,
    2098478828474011932436660412517,
    55581415166113811149459800483533,
    38992368544603139932233054999993551,
)

#: sqrt(1.0001 ** -(2 ** i)) in Q64.64.
_DOWN_X64 = (
    18445821805675392311,
    18444899583751176498,
    18443055278223354162,
    18439367220385604838,
    18431993317065449817,
    18417254355718160513,
    18387811781193591352,
    18329067761203520168,
    18212142134806087854,
    17980523815641551639,
    17526086738831147013,
    16651378430235024244,
    15030750278693429944,
    12247334978882834399,
    8131365268884726200,
    3584323654723342297,
    696457651847595233,
    26294789957452057,
    37481735321082,
)

_LOG_STEP = log(1.0001) / 2


@lru_cache(maxsize=1 << 16)
def price_at(tick: int) -> int:
    """The Q64.64 square-root price of ``tick``. Raises AmmError outside [MIN_TICK, MAX_TICK]."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise AmmError(f"tick {tick} is outside [{MIN_TICK}, {MAX_TICK}]")
    if tick >= 0:
        ratio = _ONE_X96
        for bit, factor in enumerate(_UP_X96):
            if tick >> bit & 1:
                ratio = ratio * factor >> 96
        return ratio >> 32
    ratio = _ONE_X64
    for bit, factor in enumerate(_DOWN_X64):
        if -tick >> bit & 1:
            ratio = ratio * factor >> 64
    return ratio


def tick_at(sqrt_price: int) -> int:
    """The greatest tick whose price is at most ``sqrt_price`` (Q64.64).

    A float logarithm guesses, exact prices correct the guess. Raises AmmError outside
    [MIN_SQRT_PRICE, MAX_SQRT_PRICE].
    """
    if not MIN_SQRT_PRICE <= sqrt_price <= MAX_SQRT_PRICE:
        raise AmmError(f"sqrt price {sqrt_price} is outside [{MIN_SQRT_PRICE}, {MAX_SQRT_PRICE}]")
    tick = min(max(floor(log(sqrt_price / _ONE_X64) / _LOG_STEP), MIN_TICK), MAX_TICK)
    while price_at(tick) > sqrt_price:
        tick -= 1
    while tick < MAX_TICK and price_at(tick + 1) <= sqrt_price:
        tick += 1
    return tick
