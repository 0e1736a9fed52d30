"""Cycles that are best filled before any leg comes to a tick, sized and quoted in compiled code.

Most cycles are: each leg is then one step of its venue's rule. :func:`size_within` does for them what
:func:`mevflow.operators.sizing.size.size` does, to the unit and with the same floats on the way, and leaves the others
to that (``OPEN``): those whose best input reaches an initialized tick or comes near a boundary, those with a leg that
is no constant product, amounts that a venue cannot hold.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96
from mevflow.operators.amm.concentrated.curve import PIPS
from mevflow.operators.sizing import limbs
from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_CONSTANT_PRODUCT
from mevflow.operators.sizing.venues import concentrated_rules, reserve_bits
from mevflow.v1 import market_pb2 as market

#: What became of a cycle: left to the general search, sized, found to gain nothing.
OPEN, SIZED, NOTHING = 0, 1, 2
#: There is no initialized tick on the leg's way.
NO_TICK = np.int32(-(1 << 31))

_LOG_TICK = math.log(1.0001) / 2
_INF = math.inf
_PIPS = np.uint64(PIPS)
#: Within so much of a boundary's price the venue's own prices decide: they are off a float's by up to 4e-9.
_NEAR = 1e-6
_MOST_BITS, _WIDE_BITS = 127, 255
_TICKS_X64, _TICKS_X96 = tick_math_x64.MAX_TICK, tick_math_x96.MAX_TICK
_CLMM, _V4, _CPMM, _AERODROME = (
    market.VENUE_RAYDIUM_CLMM,
    market.VENUE_RAYDIUM_V4,
    market.VENUE_RAYDIUM_CPMM,
    market.VENUE_AERODROME_VOLATILE,
)
_SLOTS_WHIRLPOOL = concentrated_rules(market.VENUE_ORCA_WHIRLPOOL, x64=True)[1]
_SLOTS_CLMM = concentrated_rules(_CLMM, x64=True)[1]
_SLOTS_UNISWAP = concentrated_rules(market.VENUE_UNISWAP_V3, x64=False)[1]
#: By venue; 0: not known.
_RESERVE_BITS = np.array([reserve_bits(venue) or 0 for venue in range(max(market.Venue.values()) + 1)], np.int64)


@njit(cache=True, nogil=True)
def _bounds(pool):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The ticks between which the pool's liquidity is known, its price among them."""
    tick, spacing = np.int64(pool["tick"]), np.int64(pool["tick_spacing"])
    low = tick // spacing * spacing
    high = low + spacing
    known_low, known_high = np.int64(pool["known_lower"]), np.int64(pool["known_upper"])
    if known_low <= high and low <= known_high:
        return min(known_low, low), max(known_high, high)
    return low, high


@njit(cache=True, nogil=True)
def next_ticks(states, cycles, turns, pools, starts, known, ticks):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the next initialized tick on each leg's way where it lies within what is known.

    By cycle: ``states`` are its pools, ``turns`` says which of them each leg of ``cycles`` goes through, a leg being
    twice its pool's number and one more from A to B, -1 where there is none. ``known`` are the initialized ticks of
    ``pools`` (ascending) one after another, ``starts`` where each pool's begin and end.
    """
    for cycle in range(len(states)):
        for leg in range(cycles.shape[1]):
            way = cycles[cycle, leg]
            if way < 0:
                break
            at = np.searchsorted(pools, way >> 1)
            if at == len(pools) or pools[at] != way >> 1:
                continue
            pool, a_to_b = states[cycle, turns[cycle, leg]], way & 1
            low, high = _bounds(pool)
            told = known[starts[at] : starts[at + 1]]
            place = np.searchsorted(told, pool["tick"], side="right") - a_to_b
            if 0 <= place < len(told) and (told[place] > low if a_to_b == 1 else told[place] < high):
                ticks[cycle, leg] = told[place]


@njit(cache=True, nogil=True)
def _first(pool, a_to_b, tick, w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The first stretch of a leg, (s, depth, room); a depth of 0 where there is none."""
    if pool["kind"] == KIND_CONSTANT_PRODUCT:
        limbs.load(pool["reserve_a"] if a_to_b else pool["reserve_b"], w[0])
        limbs.load(pool["reserve_b"] if a_to_b else pool["reserve_a"], w[1])
        if limbs.used(w[0]) == 0 or limbs.used(w[1]) == 0:
            return 0.0, 0.0, 0.0
        keep = 1.0 - pool["fee_pips"] / 1e6
        s = math.sqrt(limbs.ratio(w[0], w[1], w, w[2], w[3]) / keep)
        x, y = limbs.nearest(w[0], False), limbs.nearest(w[1], False)
        return s, math.sqrt(x) * math.sqrt(y) / math.sqrt(keep), _INF
    limbs.load(pool["price"], w[0])
    limbs.load(pool["liquidity"], w[1])
    if limbs.used(w[0]) == 0 or limbs.used(w[1]) == 0:
        return 0.0, 0.0, 0.0
    keep = math.sqrt(1.0 - pool["fee_pips"] / 1e6)
    w[4][:] = np.uint64(0)
    w[4][2 if pool["kind"] == KIND_CONCENTRATED_X64 else 3] = np.uint64(1)
    over, under = (w[4], w[0]) if a_to_b else (w[0], w[4])
    s = limbs.ratio(over, under, w, w[2], w[3]) / keep
    if tick == NO_TICK:
        low, high = _bounds(pool)
        tick = low if a_to_b else high
    target = math.exp(_LOG_TICK * (-tick if a_to_b else tick)) / keep
    depth = limbs.nearest(w[1], False) / keep
    return s, depth, max(target - s, 0.0) * depth


@njit(cache=True, nogil=True)
def _reserves(pool, a_to_b, amount, out, w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The output of a constant product; False where the venue cannot hold the input."""
    x, y, one, two = w[0], w[1], w[2], w[3]
    limbs.load(pool["reserve_a"] if a_to_b else pool["reserve_b"], x)
    limbs.load(pool["reserve_b"] if a_to_b else pool["reserve_a"], y)
    venue, fee = pool["venue"], np.uint64(pool["fee_pips"])
    most = _RESERVE_BITS[venue] if 0 <= venue < len(_RESERVE_BITS) else 0
    limbs.add(x, amount, one)
    if most > 0 and limbs.bits(one) > most:
        return False
    if venue in (_AERODROME, _V4, _CPMM):
        limbs.times(amount, fee, one)
        rest = limbs.over(one, _PIPS, one)
        if venue != _AERODROME and rest != np.uint64(0):
            w[4][:] = np.uint64(0)
            w[4][0] = np.uint64(1)
            limbs.add(one, w[4], one)
        limbs.subtract(amount, one, one)
    else:
        limbs.times(amount, _PIPS - fee, one)
        limbs.times(x, _PIPS, x)
    limbs.add(x, one, x)
    if not limbs.multiply(one, y, two):
        return False
    limbs.divide(two, x, out, w)
    return True


@njit(cache=True, nogil=True)
def _one_step(pool, a_to_b, tick, amount, out, w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The output of a step that ends before any boundary of a pool with ticks; False where it does not."""
    price, depth, after, one, two, three = w[0], w[1], w[2], w[3], w[4], w[5]
    x64 = pool["kind"] == KIND_CONCENTRATED_X64
    limbs.load(pool["price"], price)
    limbs.load(pool["liquidity"], depth)
    if not limbs.multiply(amount, price, one) or limbs.bits(one) > _WIDE_BITS:
        return False
    if x64 and limbs.used(amount) > 2:
        return False
    shift, furthest = (2, _TICKS_X64) if x64 else (3, _TICKS_X96)
    slots = (_SLOTS_CLMM if pool["venue"] == _CLMM else _SLOTS_WHIRLPOOL) if x64 else _SLOTS_UNISWAP
    width = slots * np.int64(pool["tick_spacing"])
    at = np.int64(pool["tick"])
    low, high = _bounds(pool)
    limbs.times(amount, _PIPS - np.uint64(pool["fee_pips"]), one)
    limbs.over(one, _PIPS, one)  # what the fee leaves
    if a_to_b:
        bound = max(low, -furthest)
        if tick != NO_TICK:
            bound = max(bound, np.int64(tick))
        if width > 0:
            bound = max(bound, at // width * width)
        if limbs.used(one) == 0:
            limbs.copy(price, after)
        else:
            limbs.multiply(price, one, two)
            limbs.up(depth, shift, three)
            limbs.add(three, two, two)
            if not limbs.multiply(three, price, one):
                return False
            if limbs.divide(one, two, after, w):
                three[:] = np.uint64(0)
                three[0] = np.uint64(1)
                limbs.add(after, three, after)
    else:
        bound = min(high, furthest)
        if tick != NO_TICK:
            bound = min(bound, np.int64(tick))
        if width > 0:
            bound = min(bound, at // width * width + width - np.int64(pool["tick_spacing"]))
        limbs.up(one, shift, two)
        limbs.divide(two, depth, after, w)
        limbs.add(price, after, after)
    reached = math.ldexp(limbs.nearest(after, False), -32 * shift)
    edge = math.exp(_LOG_TICK * bound)
    if (reached <= edge * (1.0 + _NEAR)) if a_to_b else (reached >= edge * (1.0 - _NEAR)):
        return False
    if a_to_b:
        limbs.subtract(price, after, one)
        limbs.multiply(depth, one, two)
        limbs.down(two, shift, out)
    else:
        limbs.subtract(after, price, one)
        limbs.multiply(depth, one, two)
        if not limbs.up(two, shift, two):
            return False
        if x64:
            limbs.multiply(price, after, three)
            limbs.divide(two, three, out, w)
        else:
            limbs.divide(two, after, three, w)
            limbs.divide(three, price, out, w)
    return not x64 or limbs.used(out) <= 2


@njit(cache=True, nogil=True)
def _best(states, way, ticks, count, w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The best input as :func:`mevflow.operators.sizing.size.best_walk` finds it; -1 where it is not for us."""
    s, depth, room = np.empty(4), np.empty(4), np.empty(4)
    a = 1.0
    for leg in range(count):
        pool = states[way[0, leg]]
        if pool["kind"] not in (KIND_CONSTANT_PRODUCT, KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96):
            return -1.0
        if pool["fee_pips"] >= 1_000_000 or pool["tick_spacing"] <= 0:
            return -1.0
        s[leg], depth[leg], room[leg] = _first(pool, way[1, leg] != 0, ticks[leg], w)
        if depth[leg] == 0.0:
            return 0.0
        a /= s[leg] * s[leg]
    if a <= 1.0:
        return 0.0
    a, c = 1.0, 0.0
    limit, ends = _INF, -1
    for leg in range(count):
        if room[leg] < _INF:
            left = a - c * room[leg]
            reach = room[leg] / left if left > 0.0 else _INF
            if reach < limit:
                limit, ends = reach, leg
        c += a / (depth[leg] * s[leg])
        a /= s[leg] * s[leg]
    if not a > 1.0 or not c > 0.0:
        return -1.0
    step = (math.sqrt(a) - 1.0) / c
    if step <= limit:
        return step
    # Beyond the end of what is known there is nothing; beyond a tick there may be.
    return limit if ends >= 0 and ticks[ends] == NO_TICK else -1.0


@njit(cache=True, nogil=True)
def size_within(states, ways, ticks, legs, amounts, verdict, w):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Size cycles. By cycle: ``states`` are its pools; ``ways`` (cycles, 2, legs) says which of them each leg goes
    through, and whether from A to B; ``ticks`` is the next initialized tick on the leg's way within what is known (or
    ``NO_TICK``); ``legs`` how many there are.

    Writes ``amounts`` (cycles, 5, 2), little-endian words of the input and of each leg's output, where ``verdict`` is
    ``SIZED``. ``w``: :func:`mevflow.operators.sizing.limbs.registers`.
    """
    amount, out, put_in = w[6], w[7], w[8]
    for cycle in range(len(states)):
        verdict[cycle] = OPEN
        count = np.int64(legs[cycle])
        best = _best(states[cycle], ways[cycle], ticks[cycle], count, w)
        if best < 0.0:
            continue
        if not best > 0.0 or best > 1e38:
            verdict[cycle] = NOTHING
            continue
        limbs.put(max(np.floor(best), 1.0), amount)
        limbs.copy(amount, put_in)
        known = True
        for leg in range(count + 1):
            for word in range(2):
                amounts[cycle, leg, word] = (amount[2 * word + 1] << np.uint64(32)) | amount[2 * word]
            if leg == count:
                break
            if limbs.used(amount) == 0:
                continue
            pool, a_to_b = states[cycle, ways[cycle, 0, leg]], ways[cycle, 1, leg] != 0
            if pool["kind"] == KIND_CONSTANT_PRODUCT:
                known = _reserves(pool, a_to_b, amount, out, w)
            else:
                known = _one_step(pool, a_to_b, ticks[cycle, leg], amount, out, w)
            if not known or limbs.bits(out) > _MOST_BITS:
                known = False
                break
            limbs.copy(out, amount)
        if known:
            verdict[cycle] = SIZED if limbs.less(put_in, amount) else NOTHING


@njit(cache=True, nogil=True)
def gains(amounts, legs, verdict, gained, w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write what comes out of each sized cycle beyond what is put in, as the nearest float; 0 of one that is not."""
    for cycle in range(len(amounts)):
        gained[cycle] = 0.0
        if verdict[cycle] == SIZED:
            limbs.load(amounts[cycle, 0], w[0])
            limbs.load(amounts[cycle, legs[cycle]], w[1])
            limbs.subtract(w[1], w[0], w[2])
            gained[cycle] = limbs.nearest(w[2], False)
