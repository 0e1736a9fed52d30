"""The hot loop: after every event, in order, which cycles through the event's pool have a log rate above zero?

The kernel reads the event columns as numpy arrays, updates the pool, and screens. A pair's best rate in each direction
bounds every cycle through it, so most events end after a handful of additions; where the bound is passed, every
combination of pools is tried, so nothing is missed. What is found is recorded with the legs' states at that moment.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from operators.detect.book import KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_NOT_TRADED

#: One cycle that screens above zero after one event. ``legs`` is 2 or 3; unused legs are -1. The legs' states at that
#: moment are kept beside it, in ``states[hit, leg]``.
HIT_DTYPE = np.dtype(
    [
        ("event", np.int64),
        ("legs", np.int32),
        ("pool", np.int32, 3),
        ("along", np.uint8, 3),  # the leg goes from the pair's smaller mint to the larger
        ("rate", np.float64),
        ("usd", np.float64, 3),  # worth of a raw unit of the mint that each leg starts with, as known at the event
        ("native_usd", np.float64),  # the same of what the chain's fees are paid in
    ],
    align=True,
)
#: What is known of a mint's worth. ``usd`` is per raw unit; ``level`` 0 is a numeraire, 1 a hub, 2 anything else.
MINT_DTYPE = np.dtype(
    [("level", np.int8), ("usd", np.float64), ("depth", np.float64), ("pool", np.int32), ("said_us", np.int64)],
    align=True,
)
PRICE_DTYPE = np.dtype([("event", np.int64), ("mint", np.int32), ("pool", np.int32), ("usd", np.float64)], align=True)
_TWO_64 = 2.0**64
_LOG_TWO_96 = 96 * math.log(2.0)
_LOG_TWO_64 = 64 * math.log(2.0)


@njit(cache=True, nogil=True)
def set_rates(pool):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Derive a pool's two log rates from its state; -inf where nothing can be traded."""
    keep = 1.0 - pool["fee_pips"] / 1e6
    log_price = 0.0
    tradable = pool["kind"] != KIND_NOT_TRADED and not pool["denied"] and keep > 0.0
    if pool["kind"] == KIND_CONCENTRATED_X64 or pool["kind"] == KIND_CONCENTRATED_X96:
        price, liquidity = pool["price"], pool["liquidity"]
        root = (float(price[2]) * _TWO_64 + float(price[1])) * _TWO_64 + float(price[0])
        tradable = tradable and root > 0.0 and (liquidity[0] != 0 or liquidity[1] != 0)
        if tradable:
            shift = _LOG_TWO_64 if pool["kind"] == KIND_CONCENTRATED_X64 else _LOG_TWO_96
            log_price = 2.0 * (math.log(root) - shift)
    else:
        a, b = pool["reserve_a"], pool["reserve_b"]
        reserve_a = float(a[1]) * _TWO_64 + float(a[0])
        reserve_b = float(b[1]) * _TWO_64 + float(b[0])
        tradable = tradable and reserve_a > 0.0 and reserve_b > 0.0
        if tradable:
            log_price = math.log(reserve_b) - math.log(reserve_a)
    rate = pool["rate"]
    if not tradable:
        rate[0] = -np.inf
        rate[1] = -np.inf
        return
    if pool["flipped"]:
        log_price = -log_price
    cost = math.log(keep)
    rate[0] = log_price + cost
    rate[1] = -log_price + cost


@njit(cache=True, nogil=True)
def _best(pools, pair, side, pool_start, pool_of):  # type: ignore[no-untyped-def]  # pragma: no cover
    best = -np.inf
    for at in range(pool_start[pair], pool_start[pair + 1]):
        rate = pools[pool_of[at]]["rate"][side]
        if rate > best:
            best = rate
    return best


@njit(cache=True, nogil=True)
def refresh_best(pools, best, pair, pool_start, pool_of):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Recompute a pair's best rate in both directions."""
    best[2 * pair] = _best(pools, pair, 0, pool_start, pool_of)
    best[2 * pair + 1] = _best(pools, pair, 1, pool_start, pool_of)


@njit(cache=True, nogil=True)
def _start_usd(pool, along, mints):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    return mints[pool["mint_a"] if along != pool["flipped"] else pool["mint_b"]]["usd"]


@njit(cache=True, nogil=True)
def _record(hits, states, found, pools, event, first, second, third, a0, a1, a2, rate, mints, native):  # type: ignore[no-untyped-def]  # pragma: no cover
    if found < len(hits):
        hit = hits[found]
        hit["event"] = event
        hit["legs"] = 2 if third < 0 else 3
        hit["rate"] = rate
        pool, along = hit["pool"], hit["along"]
        pool[0], pool[1], pool[2] = first, second, third
        along[0], along[1], along[2] = a0, a1, a2
        usd = hit["usd"]
        usd[0], usd[1] = _start_usd(pools[first], a0, mints), _start_usd(pools[second], a1, mints)
        chain = pools[first]["chain"]
        paid_in = native[chain] if 0 <= chain < len(native) else -1
        hit["native_usd"] = mints[paid_in]["usd"] if paid_in >= 0 else 0.0
        states[found, 0] = pools[first]
        states[found, 1] = pools[second]
        pools[first]["warm"] = True
        pools[second]["warm"] = True
        if third >= 0:
            usd[2] = _start_usd(pools[third], a2, mints)
            states[found, 2] = pools[third]
            pools[third]["warm"] = True
    return found + 1


@njit(cache=True, nogil=True)
def screen_pool(  # type: ignore[no-untyped-def]
    pools,
    best,
    number,
    event,
    hits,
    states,
    found,
    mints,
    native,
    pool_start,
    pool_of,
    triangle_start,
    triangle_of,
    triangle_edges,
    three,
):  # pragma: no cover - compiled
    """Record every cycle through one pool that screens above zero; gives the new number of hits.

    More hits than ``hits`` has room for are counted, not stored: the caller grows it and screens again.
    """
    pair = pools[number]["pair"]
    for side in range(2):
        mine = pools[number]["rate"][side]
        if mine == -np.inf:
            continue
        if mine + best[2 * pair + 1 - side] > 0.0:
            for at in range(pool_start[pair], pool_start[pair + 1]):
                other = pool_of[at]
                rate = mine + pools[other]["rate"][1 - side]
                if other != number and rate > 0.0:
                    found = _record(
                        hits, states, found, pools, event, number, other, -1, side == 0, side == 1, False, rate,
                        mints, native,
                    )  # fmt: skip
        if not three:
            continue
        edge = 2 * pair + side
        for at in range(triangle_start[pair], triangle_start[pair + 1]):
            edges = triangle_edges[triangle_of[at]]
            # Go round so that the first edge is ours, in our direction.
            if edges[0] == edge:
                second, third = edges[1], edges[2]
            elif edges[1] == edge:
                second, third = edges[2], edges[0]
            elif edges[2] == edge:
                second, third = edges[0], edges[1]
            elif edges[0] ^ 1 == edge:
                second, third = edges[2] ^ 1, edges[1] ^ 1
            elif edges[1] ^ 1 == edge:
                second, third = edges[0] ^ 1, edges[2] ^ 1
            else:
                second, third = edges[1] ^ 1, edges[0] ^ 1
            if mine + best[second] + best[third] <= 0.0:
                continue
            for i in range(pool_start[second >> 1], pool_start[(second >> 1) + 1]):
                two = pool_of[i]
                so_far = mine + pools[two]["rate"][second & 1]
                if so_far + best[third] <= 0.0:
                    continue
                for j in range(pool_start[third >> 1], pool_start[(third >> 1) + 1]):
                    last = pool_of[j]
                    rate = so_far + pools[last]["rate"][third & 1]
                    if rate > 0.0:
                        found = _record(
                            hits,
                            states,
                            found,
                            pools,
                            event,
                            number,
                            two,
                            last,
                            side == 0,
                            second & 1 == 0,
                            third & 1 == 0,
                            rate,
                            mints,
                            native,
                        )
    return found


@njit(cache=True, nogil=True)
def observe_price(pools, number, event, time_us, mints, every_us, prices, found):  # type: ignore[no-untyped-def]
    """Price the pool's mints from each other: a numeraire prices a hub, either prices the rest.

    A mint follows its deepest pool (by the worth of the anchor's side). A price is recorded in ``prices`` when the last
    one is ``every_us`` old. Gives the new number of records.
    """  # pragma: no cover - compiled
    one = pools[number]
    rate = one["rate"]
    if rate[0] == -np.inf:
        return found
    # Without the fee the two rates are each other's negative: half their difference is the log price.
    log_along = (rate[0] - rate[1]) / 2
    for side in range(2):
        mint = one["mint_a"] if side == 0 else one["mint_b"]
        anchor = one["mint_b"] if side == 0 else one["mint_a"]
        if mints[anchor]["level"] >= mints[mint]["level"] or mints[anchor]["usd"] <= 0.0:
            continue
        a_along = (side == 0) != one["flipped"]  # from mint to anchor runs along the pair
        price = math.exp(log_along if a_along else -log_along)  # raw anchor per raw mint
        if one["kind"] == KIND_CONCENTRATED_X64 or one["kind"] == KIND_CONCENTRATED_X96:
            liquidity = one["liquidity"]
            anchor_side = (float(liquidity[1]) * _TWO_64 + float(liquidity[0])) * math.sqrt(price)
        else:
            reserve = one["reserve_b"] if side == 0 else one["reserve_a"]
            anchor_side = float(reserve[1]) * _TWO_64 + float(reserve[0])
        depth = anchor_side * mints[anchor]["usd"]
        of = mints[mint]
        if number != of["pool"] and depth <= of["depth"]:
            continue
        of["pool"] = number
        of["depth"] = depth
        of["usd"] = price * mints[anchor]["usd"]
        if time_us - of["said_us"] >= every_us:
            of["said_us"] = time_us
            record = prices[found]
            record["event"] = event
            record["mint"] = mint
            record["pool"] = number
            record["usd"] = of["usd"]
            found += 1
    return found


@njit(cache=True, nogil=True)
def run_swaps(  # type: ignore[no-untyped-def]
    pools,
    best,
    begin,
    end,
    row,
    pool,
    price,
    price_width,
    liquidity,
    reserve_a,
    reserve_b,
    tick,
    fee,
    time_us,
    mints,
    every_us,
    prices,
    priced,
    hits,
    states,
    touched,
    again,
    native,
    pool_start,
    pool_of,
    triangle_start,
    triangle_of,
    triangle_edges,
    three,
):  # pragma: no cover - compiled
    """Events ``begin`` to ``end``: update the pool, screen. Stops early when ``hits`` is full.

    ``row`` orders the events; ``price`` has three words a row, the other amounts two; a zero price, liquidity and
    reserve leave the pool's own. ``touched[event]`` is set where a pool was warm before its event. ``again``: the
    first event is the one that the last call stopped at; its price has been taken.
    ``native`` is the mint that each chain's fees are paid in, -1 where it is not known.
    Gives (events done, hits found, prices recorded).
    """
    found = 0
    for event in range(begin, end):
        r = row[event]
        number = pool[r]
        if number < 0:
            continue
        one = pools[number]
        words = one["price"]
        if price_width[r] > 0:
            words[0], words[1], words[2] = price[r, 0], price[r, 1], price[r, 2]
            depth = one["liquidity"]
            depth[0], depth[1] = liquidity[r, 0], liquidity[r, 1]
            one["tick"] = tick[r]
        if reserve_a[r, 0] != 0 or reserve_a[r, 1] != 0:
            a, b = one["reserve_a"], one["reserve_b"]
            a[0], a[1] = reserve_a[r, 0], reserve_a[r, 1]
            b[0], b[1] = reserve_b[r, 0], reserve_b[r, 1]
        if fee[r] != 0:
            one["fee_pips"] = fee[r]
        set_rates(one)
        pair = one["pair"]
        refresh_best(pools, best, pair, pool_start, pool_of)
        if not again or event > begin:
            priced = observe_price(pools, number, event, time_us[r], mints, every_us, prices, priced)
        touched[event] = one["warm"]
        one["warm"] = False
        before = found
        found = screen_pool(
            pools,
            best,
            number,
            event,
            hits,
            states,
            found,
            mints,
            native,
            pool_start,
            pool_of,
            triangle_start,
            triangle_of,
            triangle_edges,
            three,
        )
        if found > len(hits):
            one["warm"] = touched[event] or one["warm"]
            return event, before, priced
    return end, found, priced


@njit(cache=True, nogil=True)
def run_update(  # type: ignore[no-untyped-def]
    pools,
    best,
    number,
    event,
    time_us,
    mints,
    every_us,
    prices,
    priced,
    hits,
    states,
    again,
    native,
    pool_start,
    pool_of,
    triangle_start,
    triangle_of,
    triangle_edges,
    three,
):  # pragma: no cover - compiled
    """A pool changed other than by a swap: derive, price (unless ``again``), screen.

    Gives (hits found, prices recorded).
    """
    one = pools[number]
    set_rates(one)
    refresh_best(pools, best, one["pair"], pool_start, pool_of)
    if not again:
        priced = observe_price(pools, number, event, time_us, mints, every_us, prices, priced)
    one["warm"] = False
    found = screen_pool(
        pools,
        best,
        number,
        event,
        hits,
        states,
        0,
        mints,
        native,
        pool_start,
        pool_of,
        triangle_start,
        triangle_of,
        triangle_edges,
        three,
    )
    return found, priced


@njit(cache=True, nogil=True)
def rerate(pools, best, number, pool_start, pool_of):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Derive a pool's rates again after it was denied or allowed."""
    set_rates(pools[number])
    refresh_best(pools, best, pools[number]["pair"], pool_start, pool_of)
