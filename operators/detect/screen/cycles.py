"""Which cycles through a pool have a log rate above zero?

A pair's best rate in each direction bounds every cycle through it, and the root of a route tree bounds all ways back of
a hot pair, so most events end after a handful of additions (:func:`may_pay`); where the bound is passed, every
combination of pools is tried (:func:`screen_pool`), so nothing is missed. What is found is recorded with the legs'
states at that moment.

Numbers of pools and edges go from function to function as ``int64``: a literal, or a number as the lists hold it, has
a type of its own, for which all that is called would be compiled once more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mevflow.operators.detect.book.book import View
from mevflow.operators.detect.book.cycle_index import LEAVES_HUB
from mevflow.operators.detect.book.routes import NONE

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
#: Sums of the same rates in another order differ by less than this.
_SLACK = 1e-12
_NO_LEG = np.int64(NONE)
#: Of a walk over a tree's leaves, and where there are no more; its root.
_START, _ROOT = np.int64(0), np.int64(1)


class ScreenHits(NamedTuple):
    """Where hits go, and what they are worth by; ``native`` is by mint what its chain's fees are paid in, or -1."""

    hits: NDArray[np.void]
    states: NDArray[np.void]
    mints: NDArray[np.void]
    native: NDArray[np.int32]


@njit(cache=True, nogil=True, forceinline=True)
def may_pay(  # type: ignore[no-untyped-def]
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
def _start_usd(pool, along, mints):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    return mints[pool["mint_a"] if along != pool["flipped"] else pool["mint_b"]]["usd"]


@njit(cache=True, nogil=True)
def _record(view: View, out: ScreenHits, found, event, rate, p0, p1, p2, p3, e0, e1, e2, e3):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write a hit of the pools ``p`` on the directed edges ``e``; -1 where there is no such leg."""
    if found < len(out.hits):
        hit = out.hits[found]
        hit["event"], hit["rate"], hit["legs"] = event, rate, 0
        for leg, (number, edge) in enumerate(((p0, e0), (p1, e1), (p2, e2), (p3, e3))):
            along = number >= 0 and edge & 1 == 0
            hit["pool"][leg], hit["along"][leg] = number, along
            if number >= 0:
                pool = view.pools[number]
                hit["legs"] += 1
                hit["usd"][leg] = _start_usd(pool, along, out.mints)
                out.states[found, leg] = pool
                pool["warm"] = True
        paid_in = out.native[view.pools[p0]["mint_a"]]
        hit["native_usd"] = out.mints[paid_in]["usd"] if paid_in >= 0 else 0.0
    return found + 1


@njit(cache=True, nogil=True)
def _through(view: View, out: ScreenHits, found, event, first, e0, e1, e2, e3):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Every cycle of the pool ``first`` on edge ``e0`` with pools of the two or three edges that follow it."""
    mine = view.rate[first, e0 & 1]
    rest = view.best[e2] + (view.best[e3] if e3 >= 0 else 0.0)
    if mine + view.best[e1] + rest <= -_SLACK:
        return found
    two_from, three_from = view.pool_start[e1 >> 1], view.pool_start[e2 >> 1]
    for i in range(two_from, two_from + view.pool_count[e1 >> 1]):
        two = np.int64(view.pool_of[i, 0])
        after_two = mine + view.rate[two, e1 & 1]
        if after_two + rest <= -_SLACK:
            continue
        for j in range(three_from, three_from + view.pool_count[e2 >> 1]):
            three = np.int64(view.pool_of[j, 0])
            rate = after_two + view.rate[three, e2 & 1]
            if e3 < 0:
                if rate > 0.0:
                    found = _record(view, out, found, event, rate, first, two, three, _NO_LEG, e0, e1, e2, e3)
                continue
            if rate + view.best[e3] <= -_SLACK:
                continue
            four_from = view.pool_start[e3 >> 1]
            for k in range(four_from, four_from + view.pool_count[e3 >> 1]):
                four = np.int64(view.pool_of[k, 0])
                whole = rate + view.rate[four, e3 & 1]
                if whole > 0.0:
                    found = _record(view, out, found, event, whole, first, two, three, four, e0, e1, e2, e3)
    return found


@njit(cache=True, nogil=True)
def _next_leaf(view: View, tree: np.int64, at: np.int64, above: float) -> np.int64:  # pragma: no cover - compiled
    """The next leaf of a tree above a limit, as its node: ``at`` is the last one or 0; gives 0 where there is none."""
    base, room = view.tree_base[tree], view.tree_room[tree]
    node = _ROOT
    if at > 0:
        node = at
        while node & 1 == 1:  # climb while it is a right child
            node >>= 1
        if node == 0:
            return _START
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
            return _START
        node += 1


@njit(cache=True, nogil=True)
def _by_tree(
    view: View, out: ScreenHits, found: np.int64, event: int, first: np.int64, edge: np.int64, tree: np.int64
) -> np.int64:  # pragma: no cover
    """Three legs whose way back is in a tree."""
    above = -view.rate[first, edge & 1] - _SLACK
    half, room = view.tree_base[tree] // 2, view.tree_room[tree]
    leaf = _next_leaf(view, tree, _START, above)
    while leaf > 0:
        way = view.tree_way[half + leaf - room]
        found = _through(view, out, found, event, first, edge, np.int64(way[0]), np.int64(way[1]), _NO_LEG)
        leaf = _next_leaf(view, tree, leaf, above)
    return found


@njit(cache=True, nogil=True)
def _by_quads(
    view: View, out: ScreenHits, found: np.int64, event: int, first: np.int64, edge: np.int64
) -> np.int64:  # pragma: no cover
    """Four legs: the other edge at the far hub, and what is best between the two hubs."""
    mine = view.rate[first, edge & 1]
    start = view.quad_start[edge]
    for at in range(start, start + view.quad_count[edge]):
        other, tree = np.int64(view.quads[at, 0]), np.int64(view.quads[at, 1])
        leaves = view.quads[at, 2] == LEAVES_HUB
        above = -mine - view.best[other] - _SLACK
        if not view.tree[view.tree_base[tree] + 1] > above:
            continue
        half, room = view.tree_base[tree] // 2, view.tree_room[tree]
        leaf = _next_leaf(view, tree, _START, above)
        while leaf > 0:
            way = view.tree_way[half + leaf - room]
            one, two = np.int64(way[0]), np.int64(way[1])
            # A mint twice makes no cycle of four. One with hubs at all corners is found where the edge leaves one.
            if leaves:
                if one != other ^ 1:
                    found = _through(view, out, found, event, first, edge, other, one, two)
            elif two != other ^ 1 and not (view.is_hub[view.target[edge ^ 1]] and view.is_hub[view.target[one]]):
                found = _through(view, out, found, event, first, edge, one, two, other)
            leaf = _next_leaf(view, tree, leaf, above)
    return found


@njit(cache=True, nogil=True)
def screen_pool(
    view: View, out: ScreenHits, found: np.int64, number: np.int64, event: int
) -> np.int64:  # pragma: no cover - compiled
    """Record every cycle through one pool that screens above zero; gives the new number of hits.

    More hits than there is room for are counted, not stored: the caller makes room and screens again.
    """
    pair = np.int64(view.pools[number]["pair"])
    for side in range(2):
        mine = view.rate[number, side]
        if mine == -np.inf:
            continue
        edge = 2 * pair + side
        if mine + view.best[edge ^ 1] > 0.0:
            start = view.pool_start[pair]
            for at in range(start, start + view.pool_count[pair]):
                other = np.int64(view.pool_of[at, 0])
                rate = mine + view.rate[other, 1 - side]
                if other != number and rate > 0.0:
                    found = _record(
                        view, out, found, event, rate, number, other, _NO_LEG, _NO_LEG, edge, edge ^ 1, _NO_LEG, _NO_LEG
                    )
        tree = np.int64(view.back[edge])
        if tree >= 0:
            if mine + view.tree[view.tree_base[tree] + 1] > -_SLACK:
                found = _by_tree(view, out, found, event, number, edge, tree)
        else:
            start = view.way_start[edge]
            for at in range(start, start + view.way_count[edge]):
                second, third = np.int64(view.ways[at, 0]), np.int64(view.ways[at, 1])
                if mine + view.best[second] + view.best[third] > -_SLACK:
                    found = _through(view, out, found, event, number, edge, second, third, _NO_LEG)
        if view.quad_count[edge] > 0:
            found = _by_quads(view, out, found, event, number, edge)
    return found
