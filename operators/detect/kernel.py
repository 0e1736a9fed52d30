"""The hot loop: after every event, in order, which cycles through the event's pool have a log rate above zero?

The kernel reads the event columns as numpy arrays, updates the pool, and screens. A pair's best rate in each direction
bounds every cycle through it, and the root of a route tree bounds all ways back of a hot pair, so most events end after
a handful of additions; where the bound is passed, every combination of pools is tried, so nothing is missed. What is
found is recorded with the legs' states at that moment.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.detect.book import (
    KIND_CONCENTRATED_X64,
    KIND_CONCENTRATED_X96,
    KIND_NOT_TRADED,
    KIND_STABLE,
    LEAVES_HUB,
    View,
)
from operators.detect.routes import NONE, set_best

MAX_LEGS = 4
#: One cycle that screens above zero after one event. ``legs`` is 2 to 4; unused legs are -1. The legs' states at that
#: moment are kept beside it, in ``states[hit, leg]``.
HIT_DTYPE = np.dtype(
    [
        ("event", np.int64),
        ("legs", np.int32),
        ("pool", np.int32, MAX_LEGS),
        ("along", np.uint8, MAX_LEGS),  # the leg goes from the pair's smaller mint to the larger
        ("rate", np.float64),
        (
            "usd",
            np.float64,
            MAX_LEGS,
        ),  # worth of a raw unit of the mint that each leg starts with, as known at the event
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
#: Sums of the same rates in another order differ by less than this.
_SLACK = 1e-12
_TWO_64 = 2.0**64
_PER_X64, _PER_X96 = 2.0**-64, 2.0**-96


class Columns(NamedTuple):
    """Swaps by row; ``row`` has the row of each event, -1 for what is not a swap.

    ``price`` has three words a row, the other amounts two; a zero price, liquidity and reserve leave the pool's own.
    """

    row: NDArray[np.int64]
    late: NDArray[np.bool_]
    pool: NDArray[np.int32]
    price: NDArray[np.uint64]
    price_width: NDArray[np.int32]
    liquidity: NDArray[np.uint64]
    reserve_a: NDArray[np.uint64]
    reserve_b: NDArray[np.uint64]
    tick: NDArray[np.int32]
    fee: NDArray[np.uint32]
    time_us: NDArray[np.int64]
    slot: NDArray[np.uint64]
    tx_index: NDArray[np.uint32]
    ix_index: NDArray[np.uint32]


class Found(NamedTuple):
    """Where hits go, and what they are worth by; ``native`` is the mint that each chain's fees are paid in, or -1."""

    hits: NDArray[np.void]
    states: NDArray[np.void]
    mints: NDArray[np.void]
    native: NDArray[np.int32]


@njit(cache=True, nogil=True, forceinline=True)
def _log_keep(pool):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The logarithm of what a pool's fee leaves; -inf where it leaves nothing."""
    keep = 1.0 - pool["fee_pips"] / 1e6
    return math.log(keep) if keep > 0.0 else -np.inf


@njit(cache=True, nogil=True, forceinline=True)
def _rates(pool, log_keep):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A pool's log rates net of fee along its pair and against it, and its price, raw token B per raw token A.

    The rates are -inf and the price is 0 where nothing can be traded.
    """
    price = 0.0
    if pool["kind"] == KIND_CONCENTRATED_X64 or pool["kind"] == KIND_CONCENTRATED_X96:
        words, liquidity = pool["price"], pool["liquidity"]
        root = (float(words[2]) * _TWO_64 + float(words[1])) * _TWO_64 + float(words[0])
        if liquidity[0] != 0 or liquidity[1] != 0:
            root *= _PER_X64 if pool["kind"] == KIND_CONCENTRATED_X64 else _PER_X96
            price = root * root
    elif pool["kind"] >= KIND_STABLE:
        told = pool["price"].view(np.float64)
        if not told[2] > 0.0 or pool["denied"]:
            return -np.inf, -np.inf, 0.0
        if pool["flipped"]:
            return told[1], told[0], told[2]
        return told[0], told[1], told[2]
    else:
        a, b = pool["reserve_a"], pool["reserve_b"]
        reserve_a = float(a[1]) * _TWO_64 + float(a[0])
        reserve_b = float(b[1]) * _TWO_64 + float(b[0])
        if reserve_a > 0.0:
            price = reserve_b / reserve_a
    if not price > 0.0 or pool["denied"] or log_keep == -np.inf or pool["kind"] == KIND_NOT_TRADED:
        return -np.inf, -np.inf, 0.0
    log_price = -math.log(price) if pool["flipped"] else math.log(price)
    return log_price + log_keep, log_keep - log_price, price


# The next two run at every event. They are given the arrays that they read one by one: a tuple of all of them costs
# more to hand over than they have to do.


@njit(cache=True, nogil=True, forceinline=True)
def _settle(  # type: ignore[no-untyped-def]
    pair, along, against, old_along, old_against, rate, best, pool_start, pool_count, pool_of,
    tree, tree_base, tree_room, part_start, part_count, part_of,
):  # fmt: skip  # pragma: no cover - compiled
    """A pool's rates, written already, are no longer the old ones: bring its pair's best rates up to date."""
    for side in range(2):
        new, old = (along, old_along) if side == 0 else (against, old_against)
        edge = 2 * pair + side
        if new >= best[edge]:
            if new > best[edge]:
                set_best(edge, new, best, tree, tree_base, tree_room, part_start, part_count, part_of)
        elif old == best[edge]:
            most = -np.inf
            start = pool_start[pair]
            for at in range(start, start + pool_count[pair]):
                most = max(most, rate[pool_of[at, 0], side])
            if most != old:
                set_best(edge, most, best, tree, tree_base, tree_room, part_start, part_count, part_of)


@njit(cache=True, nogil=True, forceinline=True)
def _may_pay(  # type: ignore[no-untyped-def]
    edge, mine, four, best, back, way_start, way_count, ways, quad_start, quad_count, quads, tree, tree_base
):  # pragma: no cover - compiled
    """Whether the bounds leave room for a cycle over a directed edge through a pool of this rate."""
    if mine + best[edge ^ 1] > 0.0:
        return True
    if back[edge] >= 0:
        if mine + tree[tree_base[back[edge]] + 1] > -_SLACK:
            return True
    else:
        start = way_start[edge]
        for at in range(start, start + way_count[edge]):
            if mine + best[ways[at, 0]] + best[ways[at, 1]] > -_SLACK:
                return True
    if four:
        start = quad_start[edge]
        for at in range(start, start + quad_count[edge]):
            if mine + best[quads[at, 0]] + tree[tree_base[quads[at, 1]] + 1] > -_SLACK:
                return True
    return False


@njit(cache=True, nogil=True)
def rerate(view: View, number: int) -> float:  # pragma: no cover - compiled
    """Derive a pool's rates from its state; gives its price."""
    old_along, old_against = view.rate[number, 0], view.rate[number, 1]
    view.log_keep[number] = _log_keep(view.pools[number])
    along, against, price = _rates(view.pools[number], view.log_keep[number])
    view.rate[number, 0], view.rate[number, 1] = along, against
    _settle(
        view.pools[number]["pair"], along, against, old_along, old_against, view.rate, view.best,
        view.pool_start, view.pool_count, view.pool_of,
        view.tree, view.tree_base, view.tree_room, view.part_start, view.part_count, view.part_of,
    )  # fmt: skip
    return price


@njit(cache=True, nogil=True)
def _start_usd(pool, along, mints):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    return mints[pool["mint_a"] if along != pool["flipped"] else pool["mint_b"]]["usd"]


@njit(cache=True, nogil=True)
def _leg(view: View, out: Found, found: int, leg: int, number: int, edge: int) -> None:  # pragma: no cover - compiled
    hit, pool = out.hits[found], view.pools[number]
    hit["pool"][leg] = number
    hit["along"][leg] = edge & 1 == 0
    hit["usd"][leg] = _start_usd(pool, edge & 1 == 0, out.mints)
    out.states[found, leg] = pool
    pool["warm"] = True


@njit(cache=True, nogil=True)
def _record(view: View, out: Found, found, event, rate, p0, p1, p2, p3, e0, e1, e2, e3):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write a hit of the pools ``p`` on the directed edges ``e``; -1 where there is no such leg."""
    if found < len(out.hits):
        hit = out.hits[found]
        hit["event"], hit["rate"] = event, rate
        hit["legs"] = 2 + (p2 >= 0) + (p3 >= 0)
        hit["pool"][2], hit["pool"][3] = NONE, NONE
        hit["along"][2], hit["along"][3] = False, False
        _leg(view, out, found, 0, p0, e0)
        _leg(view, out, found, 1, p1, e1)
        if p2 >= 0:
            _leg(view, out, found, 2, p2, e2)
        if p3 >= 0:
            _leg(view, out, found, 3, p3, e3)
        chain = view.pools[p0]["chain"]
        paid_in = out.native[chain] if 0 <= chain < len(out.native) else -1
        hit["native_usd"] = out.mints[paid_in]["usd"] if paid_in >= 0 else 0.0
    return found + 1


@njit(cache=True, nogil=True)
def _through(view: View, out: Found, found, event, first, e0, e1, e2, e3):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Every cycle of the pool ``first`` on edge ``e0`` with pools of the two or three edges that follow it."""
    mine = view.rate[first, e0 & 1]
    rest = view.best[e2] + (view.best[e3] if e3 >= 0 else 0.0)
    if mine + view.best[e1] + rest <= -_SLACK:
        return found
    two_from, three_from = view.pool_start[e1 >> 1], view.pool_start[e2 >> 1]
    for i in range(two_from, two_from + view.pool_count[e1 >> 1]):
        two = view.pool_of[i, 0]
        after_two = mine + view.rate[two, e1 & 1]
        if after_two + rest <= -_SLACK:
            continue
        for j in range(three_from, three_from + view.pool_count[e2 >> 1]):
            three = view.pool_of[j, 0]
            rate = after_two + view.rate[three, e2 & 1]
            if e3 < 0:
                if rate > 0.0:
                    found = _record(view, out, found, event, rate, first, two, three, NONE, e0, e1, e2, NONE)
                continue
            if rate + view.best[e3] <= -_SLACK:
                continue
            four_from = view.pool_start[e3 >> 1]
            for k in range(four_from, four_from + view.pool_count[e3 >> 1]):
                four = view.pool_of[k, 0]
                whole = rate + view.rate[four, e3 & 1]
                if whole > 0.0:
                    found = _record(view, out, found, event, whole, first, two, three, four, e0, e1, e2, e3)
    return found


@njit(cache=True, nogil=True)
def _next_leaf(view: View, tree: int, at: int, above: float) -> int:  # pragma: no cover - compiled
    """The next leaf of a tree above a limit, as its node: ``at`` is the last one or 0; gives 0 where there is none."""
    base, room = view.tree_base[tree], view.tree_room[tree]
    node = 1
    if at > 0:
        node = at
        while node & 1 == 1:  # climb while it is a right child
            node >>= 1
        if node == 0:
            return 0
        node += 1
    while True:
        if view.tree[base + node] > above:
            if node >= room:
                return node
            node *= 2
            continue
        while node & 1 == 1:
            node >>= 1
        if node == 0:
            return 0
        node += 1


@njit(cache=True, nogil=True)
def _by_tree(
    view: View, out: Found, found: int, event: int, first: int, edge: int, tree: int
) -> int:  # pragma: no cover
    """Three legs whose way back is in a tree."""
    above = -view.rate[first, edge & 1] - _SLACK
    half, room = view.tree_base[tree] // 2, view.tree_room[tree]
    leaf = _next_leaf(view, tree, 0, above)
    while leaf > 0:
        way = view.tree_way[half + leaf - room]
        found = _through(view, out, found, event, first, edge, way[0], way[1], NONE)
        leaf = _next_leaf(view, tree, leaf, above)
    return found


@njit(cache=True, nogil=True)
def _by_quads(view: View, out: Found, found: int, event: int, first: int, edge: int) -> int:  # pragma: no cover
    """Four legs: the other edge at the far hub, and what is best between the two hubs."""
    mine = view.rate[first, edge & 1]
    start = view.quad_start[edge]
    for at in range(start, start + view.quad_count[edge]):
        other, tree, leaves = view.quads[at, 0], view.quads[at, 1], view.quads[at, 2] == LEAVES_HUB
        above = -mine - view.best[other] - _SLACK
        if not view.tree[view.tree_base[tree] + 1] > above:
            continue
        half, room = view.tree_base[tree] // 2, view.tree_room[tree]
        leaf = _next_leaf(view, tree, 0, above)
        while leaf > 0:
            way = view.tree_way[half + leaf - room]
            # A mint twice makes no cycle of four. One with hubs at all corners is found where the edge leaves one.
            if leaves:
                if way[0] != other ^ 1:
                    found = _through(view, out, found, event, first, edge, other, way[0], way[1])
            elif way[1] != other ^ 1 and not (view.is_hub[view.target[edge ^ 1]] and view.is_hub[view.target[way[0]]]):
                found = _through(view, out, found, event, first, edge, way[0], way[1], other)
            leaf = _next_leaf(view, tree, leaf, above)
    return found


@njit(cache=True, nogil=True)
def screen_pool(view: View, out: Found, found: int, number: int, event: int) -> int:  # pragma: no cover - compiled
    """Record every cycle through one pool that screens above zero; gives the new number of hits.

    More hits than there is room for are counted, not stored: the caller makes room and screens again.
    """
    pair = view.pools[number]["pair"]
    for side in range(2):
        mine = view.rate[number, side]
        if mine == -np.inf:
            continue
        edge = 2 * pair + side
        if mine + view.best[edge ^ 1] > 0.0:
            start = view.pool_start[pair]
            for at in range(start, start + view.pool_count[pair]):
                other = view.pool_of[at, 0]
                rate = mine + view.rate[other, 1 - side]
                if other != number and rate > 0.0:
                    found = _record(
                        view, out, found, event, rate, number, other, NONE, NONE, edge, edge ^ 1, NONE, NONE
                    )
        tree = view.back[edge]
        if tree >= 0:
            if mine + view.tree[view.tree_base[tree] + 1] > -_SLACK:
                found = _by_tree(view, out, found, event, number, edge, tree)
        else:
            start = view.way_start[edge]
            for at in range(start, start + view.way_count[edge]):
                second, third = view.ways[at, 0], view.ways[at, 1]
                if mine + view.best[second] + view.best[third] > -_SLACK:
                    found = _through(view, out, found, event, number, edge, second, third, NONE)
        if view.quad_count[edge] > 0:
            found = _by_quads(view, out, found, event, number, edge)
    return found


@njit(cache=True, nogil=True, forceinline=True)
def observe_price(pools, number, price, event, time_us, mints, every_us, prices, found):  # type: ignore[no-untyped-def]
    """Price the pool's mints from each other: a numeraire prices a hub, either prices the rest.

    A mint follows its deepest pool (by the worth of the anchor's side). A price is recorded in ``prices`` when the last
    one is ``every_us`` old. Gives the new number of records.
    """  # pragma: no cover - compiled
    if not price > 0.0:
        return found
    one = pools[number]
    for side in range(2):
        mint = one["mint_a"] if side == 0 else one["mint_b"]
        anchor = one["mint_b"] if side == 0 else one["mint_a"]
        if mints[anchor]["level"] >= mints[mint]["level"] or mints[anchor]["usd"] <= 0.0:
            continue
        in_anchor = price if side == 0 else 1.0 / price  # raw anchor per raw mint
        if one["kind"] == KIND_CONCENTRATED_X64 or one["kind"] == KIND_CONCENTRATED_X96:
            liquidity = one["liquidity"]
            anchor_side = (float(liquidity[1]) * _TWO_64 + float(liquidity[0])) * math.sqrt(in_anchor)
        else:
            reserve = one["reserve_b"] if side == 0 else one["reserve_a"]
            anchor_side = float(reserve[1]) * _TWO_64 + float(reserve[0])
        depth = anchor_side * mints[anchor]["usd"]
        of = mints[mint]
        if number != of["pool"] and depth <= of["depth"]:
            continue
        of["pool"] = number
        of["depth"] = depth
        of["usd"] = in_anchor * mints[anchor]["usd"]
        if time_us - of["said_us"] >= every_us:
            of["said_us"] = time_us
            record = prices[found]
            record["event"] = event
            record["mint"] = mint
            record["pool"] = number
            record["usd"] = of["usd"]
            found += 1
    return found


@njit(cache=True, nogil=True, forceinline=True)
def _behind(pool, slot, tx_index, ix_index):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    if slot != pool["slot"]:
        return slot < pool["slot"]
    if tx_index != pool["tx_index"]:
        return tx_index < pool["tx_index"]
    return ix_index < pool["ix_index"]


@njit(cache=True, nogil=True)
def run_swaps(  # type: ignore[no-untyped-def]
    view: View, out: Found, swaps: Columns, begin, end, every_us, prices, priced, touched, again, notes, noted
):  # pragma: no cover - compiled
    """Events ``begin`` to ``end``: update the pool, price, screen. Stops early when there is no room for more hits.

    A late swap of a pool that has gone on changes nothing. ``touched[event]`` is set where a pool was warm before its
    event. ``again``: the first event is the one that the last call stopped at; its price has been taken.
    A side is screened where its rate rose or a cycle through the pool paid before: else what did not pay does not now.
    The first time that a slot changes a pool it is written to ``notes`` as it was, where that has room for anything.
    Gives (events done, hits found, prices recorded, notes written).
    """
    found = 0
    # Taken out of their tuples once: in the loop that would count references at every event.
    pools, rate, best, back, tree, tree_base = view.pools, view.rate, view.best, view.back, view.tree, view.tree_base
    log_keep, four = view.log_keep, view.max_hops > 3
    pool_start, pool_count, pool_of = view.pool_start, view.pool_count, view.pool_of
    part_start, part_count, part_of, tree_room = view.part_start, view.part_count, view.part_of, view.tree_room
    way_start, way_count, ways = view.way_start, view.way_count, view.ways
    quad_start, quad_count, quads = view.quad_start, view.quad_count, view.quads
    row, late, pool, price, price_width = swaps.row, swaps.late, swaps.pool, swaps.price, swaps.price_width
    liquidity, reserve_a, reserve_b = swaps.liquidity, swaps.reserve_a, swaps.reserve_b
    tick, fee, time_us, slot = swaps.tick, swaps.fee, swaps.time_us, swaps.slot
    tx_index, ix_index, mints = swaps.tx_index, swaps.ix_index, out.mints
    for event in range(begin, end):
        r = row[event]
        number = pool[r]
        if number < 0:
            continue
        one = pools[number]
        if late[event] and _behind(one, slot[r], tx_index[r], ix_index[r]):
            continue
        if len(notes) > 0 and slot[r] > one["slot"]:
            note = notes[noted]
            note["slot"], note["pool"] = slot[r], number
            note["before"] = one
            noted += 1
        one["slot"], one["tx_index"], one["ix_index"] = slot[r], tx_index[r], ix_index[r]
        if price_width[r] > 0:
            words = one["price"]
            words[0], words[1], words[2] = price[r, 0], price[r, 1], price[r, 2]
            depth = one["liquidity"]
            depth[0], depth[1] = liquidity[r, 0], liquidity[r, 1]
            one["tick"] = tick[r]
        if reserve_a[r, 0] != 0 or reserve_a[r, 1] != 0:
            a, b = one["reserve_a"], one["reserve_b"]
            a[0], a[1] = reserve_a[r, 0], reserve_a[r, 1]
            b[0], b[1] = reserve_b[r, 0], reserve_b[r, 1]
        if fee[r] != 0 and fee[r] != one["fee_pips"]:
            one["fee_pips"] = fee[r]
            log_keep[number] = _log_keep(one)
        pair, old_along, old_against = one["pair"], rate[number, 0], rate[number, 1]
        along, against, now = _rates(one, log_keep[number])
        rate[number, 0], rate[number, 1] = along, against
        _settle(
            pair, along, against, old_along, old_against, rate, best, pool_start, pool_count, pool_of,
            tree, tree_base, tree_room, part_start, part_count, part_of,
        )  # fmt: skip
        stopped = again and event == begin
        if not stopped:
            priced = observe_price(pools, number, now, event, time_us[r], mints, every_us, prices, priced)
        touched[event] = one["warm"]
        one["warm"] = False
        open_to = stopped or touched[event]
        if (
            (open_to or along > old_along) and _may_pay(
                2 * pair, along, four, best, back, way_start, way_count, ways,
                quad_start, quad_count, quads, tree, tree_base,
            )
        ) or (
            (open_to or against > old_against) and _may_pay(
                2 * pair + 1, against, four, best, back, way_start, way_count, ways,
                quad_start, quad_count, quads, tree, tree_base,
            )
        ):  # fmt: skip
            before = found
            found = screen_pool(view, out, found, number, event)
            if found > len(out.hits):
                one["warm"] = touched[event] or one["warm"]
                return event, before, priced, noted
    return end, found, priced, noted


@njit(cache=True, nogil=True)
def run_update(view: View, out: Found, number, event, time_us, every_us, prices, priced, again):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A pool changed other than by a swap: derive, price (unless ``again``), screen.

    Gives (hits found, prices recorded).
    """
    price = rerate(view, number)
    if not again:
        priced = observe_price(view.pools, number, price, event, time_us, out.mints, every_us, prices, priced)
    view.pools[number]["warm"] = False
    return screen_pool(view, out, 0, number, event), priced
