"""All pools of all chains in flat arrays, and the cycles through them.

A pool appears with its first ``PoolUpdate`` or its first ``Swap``. Prices are raw token B per raw token A as
logarithms, so that a cycle's rate is a sum.

Numbering: pools and mints are counted in order of appearance; a *pair* is two mints of a chain, the smaller number
first. The directed edge ``2 * pair`` leads from the smaller mint to the larger, ``2 * pair + 1`` back.

Which cycles there are: every two pools of a pair; every three pairs that touch a hub; and, of four pairs, those with
hubs at two opposite corners, ``hub -> X -> hub -> Y -> hub``. Pools that appear are added to all lists at once, in a
time that does not depend on how many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.amm.tick_map import TickMap
from operators.detect.curves import Curve
from operators.detect.lists import Lists, grown
from operators.detect.routes import NONE, Routes, set_best

#: How a pool is priced.
KIND_NOT_TRADED, KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_CONSTANT_PRODUCT = 0, 1, 2, 3
#: From here on the state is a :data:`Curve` beside the book, and ``price`` holds three floats: the log rates net of fee
#: from token A to B and back, and B per A (0: nothing is known).
KIND_STABLE, KIND_BINS = 4, 5
NOT_TRADABLE = -np.inf
#: More two-leg ways back than this are kept in a tree.
HOT = 8
#: Where an edge of a four-leg cycle stands: it leaves a corner that is a hub, or it enters one.
LEAVES_HUB, ENTERS_HUB = 0, 1

POOL_DTYPE = np.dtype(
    [
        ("chain", np.int32),
        ("venue", np.int32),
        ("kind", np.int8),
        ("flipped", np.bool_),  # token A is the pair's larger mint
        ("pair", np.int32),
        ("mint_a", np.int32),
        ("mint_b", np.int32),
        ("fee_pips", np.uint32),
        ("tick_spacing", np.int32),
        ("tick", np.int32),
        ("denied", np.bool_),
        ("price", np.uint64, 3),  # sqrt price, little-endian words (concentrated)
        ("liquidity", np.uint64, 2),
        ("reserve_a", np.uint64, 2),
        ("reserve_b", np.uint64, 2),
        ("known_lower", np.int32),
        ("known_upper", np.int32),
        ("warm", np.bool_),  # a cycle through it paid since it was last found cold
        ("slot", np.uint64),  # where its newest event stands
        ("tx_index", np.uint32),
        ("ix_index", np.uint32),
    ],
    align=True,
)


@dataclass
class PoolInfo:
    """What is not on the hot path: the pool's key, the numbers of its mints A and B, its symbols, its ticks."""

    key: bytes
    mints: tuple[int, int]
    venue: int
    ticks: TickMap | None = None
    symbols: tuple[str, str] = ("", "")
    decimals: tuple[int, int] = (0, 0)
    #: A pool of n coins is n (n - 1) / 2 *faces*, one a pair of coins. The first has the state and knows them all.
    first: int = 0
    faces: list[int] = field(default_factory=list)
    coins: tuple[int, int] = (0, 1)  # which coins A and B are
    curve: Curve | None = None


class View(NamedTuple):
    """What the compiled loop reads and writes of a book. Lists are (start, count, data), see :class:`Lists`."""

    pools: NDArray[np.void]
    rate: NDArray[np.float64]
    log_keep: NDArray[np.float64]
    max_hops: int
    best: NDArray[np.float64]
    target: NDArray[np.int32]
    back: NDArray[np.int32]
    is_hub: NDArray[np.bool_]
    pool_start: NDArray[np.int64]
    pool_count: NDArray[np.int32]
    pool_of: NDArray[np.int32]
    way_start: NDArray[np.int64]
    way_count: NDArray[np.int32]
    ways: NDArray[np.int32]
    quad_start: NDArray[np.int64]
    quad_count: NDArray[np.int32]
    quads: NDArray[np.int32]
    tree: NDArray[np.float64]
    tree_way: NDArray[np.int32]
    tree_base: NDArray[np.int64]
    tree_room: NDArray[np.int32]
    part_start: NDArray[np.int64]
    part_count: NDArray[np.int32]
    part_of: NDArray[np.int32]


class Book:
    """Pools, mints and pairs, and the ways that close a cycle with each directed edge.

    ``best[edge]`` is the best log rate over the pools of a directed edge. ``ways`` lists the two-leg ways back of each
    edge; an edge with more than ``HOT`` of them has a route tree instead (``back[edge]``). ``quads`` lists for each
    edge (the other edge at its hub, the tree of the routes between the two hubs, whether the edge leaves a hub).
    """

    def __init__(self, max_hops: int, hubs: Iterable[tuple[int, bytes]] = ()) -> None:
        self.max_hops = max_hops
        self.pools: NDArray[np.void] = np.zeros(64, POOL_DTYPE)
        #: By pool: log rate net of fee along its pair, and against it. Apart from the rest, for the cache's sake.
        self.rate: NDArray[np.float64] = np.full((64, 2), NOT_TRADABLE)
        #: By pool: the logarithm of what its fee leaves.
        self.log_keep: NDArray[np.float64] = np.zeros(64)
        #: By pool: the number that pools with a state in common share; no cycle goes through two of them.
        self.group: NDArray[np.int32] = np.zeros(64, np.int32)
        self.has_faces = False
        self.count = 0
        self.info: list[PoolInfo] = []
        #: Number of each pool, by chain and address.
        self.index: defaultdict[int, dict[bytes, int]] = defaultdict(dict)
        self.mints: list[tuple[int, bytes]] = []
        self.mint_index: dict[tuple[int, bytes], int] = {}
        self.pairs: list[tuple[int, int]] = []
        self.neighbours: list[set[int]] = []
        #: The other end of every pair of mints that has route trees, by mint.
        self._routed: list[set[int]] = []
        self.is_hub: NDArray[np.bool_] = np.zeros(64, np.bool_)
        self._clear_cycles()
        self._set_hubs(hubs)

    def _set_hubs(self, hubs: Iterable[tuple[int, bytes]]) -> None:
        self.hubs = {self.mint(*hub) for hub in hubs}
        self.is_hub[:] = False
        self.is_hub[list(self.hubs)] = True

    def _clear_cycles(self) -> None:
        self.pair_index: dict[tuple[int, int], int] = {}
        self.best: NDArray[np.float64] = np.full(128, NOT_TRADABLE)
        self.target: NDArray[np.int32] = np.zeros(128, np.int32)
        self.back: NDArray[np.int32] = np.full(128, NONE, np.int32)
        self.pair_pools, self.ways, self.quads, self.routes = Lists(1), Lists(2), Lists(3), Routes()

    def steer(self, max_hops: int, hubs: Iterable[tuple[int, bytes]]) -> None:
        """Other hubs or another length: the ways are found anew, the pools stay as they are."""
        self.max_hops = max_hops
        self._set_hubs(hubs)
        pairs, best, pair_pools = self.pairs, self.best, self.pair_pools
        self._clear_cycles()
        self.pairs = []
        self.neighbours, self._routed = [set() for _ in self.mints], [set() for _ in self.mints]
        for number, pair in enumerate(pairs):
            self._pair(*pair)
            for (pool,) in pair_pools.rows(number).tolist():
                self.pair_pools.append(number, pool)
        routes = self.routes
        part_of = routes.part_of.start, routes.part_of.count, routes.part_of.data
        for edge in range(2 * len(pairs)):
            set_best(edge, best[edge], self.best, routes.tree, routes.base, routes.room, *part_of)

    def mint(self, chain: int, key: bytes) -> int:
        """The number of a mint, new if need be."""
        name = (chain, key)
        found = self.mint_index.get(name)
        if found is None:
            found = self.mint_index[name] = len(self.mints)
            self.mints.append(name)
            if found == len(self.is_hub):
                self.is_hub = grown(self.is_hub, found + 1)
            self.neighbours.append(set())
            self._routed.append(set())
        return found

    def add(self, chain: int, key: bytes, venue: int, kind: int, mint_a: bytes, mint_b: bytes) -> int:
        """A new pool, or another face of one that is known; gives its number."""
        a, b = self.mint(chain, mint_a), self.mint(chain, mint_b)
        number = self.count
        if number == len(self.pools):
            self.pools = grown(self.pools, number + 1)
            self.rate = grown(self.rate, number + 1)
            self.rate[number:] = NOT_TRADABLE
            self.log_keep = grown(self.log_keep, number + 1)
            self.group = grown(self.group, number + 1)
        self.count += 1
        first = self.index[chain].setdefault(key, number)
        self.info.append(PoolInfo(key, (a, b), venue, first=first))
        self.info[first].faces.append(number)
        self.has_faces |= first != number
        self.group[number] = first
        pool = self.pools[number]
        pool["chain"], pool["venue"], pool["kind"] = chain, venue, kind
        pool["mint_a"], pool["mint_b"], pool["flipped"] = a, b, a > b
        pool["tick_spacing"] = 1
        pool["known_lower"], pool["known_upper"] = 1, 0  # nothing is known but the tick's own stretch
        low, high = min(a, b), max(a, b)
        pair = self.pair_index.get((low, high))
        if pair is None:
            pair = self._pair(low, high)
        pool["pair"] = pair
        self.pair_pools.append(pair, number)
        return number

    def face(self, first: int, mint_a: int, mint_b: int) -> int:
        """The face of a pool between two mints, either way round; -1 where there is none."""
        for number in self.info[first].faces:
            if self.info[number].mints in ((mint_a, mint_b), (mint_b, mint_a)):
                return number
        return -1

    def _pair(self, low: int, high: int) -> int:
        pair = self.pair_index[(low, high)] = len(self.pairs)
        self.pairs.append((low, high))
        edges = 2 * len(self.pairs)
        self._room(edges)
        self.target[edges - 2], self.target[edges - 1] = high, low
        self.neighbours[low].add(high)
        self.neighbours[high].add(low)
        if self.max_hops < 3:
            return pair
        for tree in self._trees(low, high):
            self.back[self.edge(high, low) if tree[0] == low else self.edge(low, high)] = self.routes.number[tree]
        for near, far in ((low, high), (high, low)):
            for end in sorted(self._routed[near]):
                if end != far and end in self.neighbours[far]:
                    self._add_route(near, far, end)
        # By number: the order in which hits are found depends on nothing but the order of the pools.
        for third in sorted(self.neighbours[low] & self.neighbours[high]):
            if self.hubs & {low, high, third}:
                for first, second, last in permutations((low, high, third)):
                    self._add_way(first, second, last)
        if self.max_hops >= 4:
            self._add_quads(low, high)
            self._add_quads(high, low)
        return pair

    def _room(self, edges: int) -> None:
        if edges > len(self.best):
            for name, empty in (("best", NOT_TRADABLE), ("target", 0), ("back", NONE)):
                array = grown(getattr(self, name), edges)
                array[edges - 2 :] = empty
                setattr(self, name, array)
        for lists in (self.ways, self.quads, self.routes.part_of):
            lists.make(edges)
        self.pair_pools.make(edges // 2)

    def edge(self, source: int, target: int) -> int:
        """The directed edge between two mints that share a pair."""
        pair = self.pair_index[(min(source, target), max(source, target))]
        return 2 * pair + (source > target)

    # -- three legs -----------------------------------------------------------------------------------------

    def _add_way(self, source: int, target: int, third: int) -> None:
        """``source -> target`` can come back through ``third``."""
        edge = self.edge(source, target)
        if self.back[edge] != NONE:
            return  # its route tree has the way already
        # Without a hub of its own a pair has no more ways than there are hubs.
        if self.ways.count[edge] < HOT or not self.hubs & {source, target}:
            self.ways.append(edge, self.edge(target, third), self.edge(third, source))
            return
        self._route(source, target)
        for one in (edge, edge ^ 1):
            self.ways.count[one] = 0

    def _trees(self, one: int, other: int) -> list[tuple[int, int]]:
        return [ends for ends in ((one, other), (other, one)) if ends in self.routes.number]

    def _route(self, one: int, other: int) -> None:
        """Give two mints their route trees, both ways."""
        self._routed[one].add(other)
        self._routed[other].add(one)
        for source, target in ((one, other), (other, one)):
            tree = self.routes.new(source, target)
            if (min(one, other), max(one, other)) in self.pair_index:
                self.back[self.edge(target, source)] = tree
        for third in sorted(self.neighbours[one] & self.neighbours[other]):
            self._add_route(one, third, other)

    def _add_route(self, one: int, third: int, other: int) -> None:
        for source, target in ((one, other), (other, one)):
            first, second = self.edge(source, third), self.edge(third, target)
            rate = float(self.best[first] + self.best[second])
            self.routes.add(self.routes.number[(source, target)], first, second, rate)

    # -- four legs ------------------------------------------------------------------------------------------

    def _add_quads(self, hub: int, mint: int) -> None:
        """The new pair is a side ``hub - mint`` of cycles ``hub - mint - another hub - any mint``."""
        if hub not in self.hubs:
            return
        chain = self.mints[hub][0]
        for other in sorted(self.hubs - {hub, mint}):
            if self.mints[other][0] != chain or other not in self.neighbours[mint]:
                continue
            if not self._trees(hub, other):
                self._route(hub, other)
            # Both sides of the route hub - mint - other close with the routes between the hubs.
            for near, far in ((hub, other), (other, hub)):
                there, back = self.routes.number[(near, far)], self.routes.number[(far, near)]
                self.quads.append(self.edge(near, mint), self.edge(mint, far), back, LEAVES_HUB)
                self.quads.append(self.edge(mint, near), self.edge(far, mint), there, ENTERS_HUB)

    @property
    def nbytes(self) -> int:
        """Memory of pools, rates, and the ways that close cycles."""
        arrays = self.pools, self.rate, self.log_keep, self.best, self.target, self.back, self.is_hub
        lists = self.pair_pools, self.ways, self.quads, self.routes
        return sum(array.nbytes for array in arrays) + sum(each.nbytes for each in lists)

    def view(self) -> View:
        """The arrays for the kernel."""
        return View(
            self.pools, self.rate, self.log_keep, self.max_hops, self.best, self.target, self.back, self.is_hub,
            self.pair_pools.start, self.pair_pools.count, self.pair_pools.data,
            self.ways.start, self.ways.count, self.ways.data,
            self.quads.start, self.quads.count, self.quads.data,
            self.routes.tree, self.routes.way, self.routes.base, self.routes.room,
            self.routes.part_of.start, self.routes.part_of.count, self.routes.part_of.data,
        )  # fmt: skip
