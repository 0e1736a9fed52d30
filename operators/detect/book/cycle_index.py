"""The cycles through pairs of mints.

A *pair* is two mints of a chain, the smaller number first. The directed edge ``2 * pair`` leads from the smaller mint
to the larger, ``2 * pair + 1`` back.

Which cycles there are: every two pools of a pair; every three pairs that touch a hub; and, of four pairs, those with
hubs at two opposite corners, ``hub -> X -> hub -> Y -> hub``. Pairs that appear are added to all lists at once, in a
time that does not depend on how many there are.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.detect.book.lists import Lists, grown
from mevflow.operators.detect.book.routes import NONE, CycleRoutes, set_best

NOT_TRADABLE = -np.inf
#: More two-leg ways back than this are kept in a tree.
HOT = 8
#: Where an edge of a four-leg cycle stands: it leaves a corner that is a hub, or it enters one.
LEAVES_HUB, ENTERS_HUB = 0, 1


class CycleIndex:
    """Pairs, and the ways that close a cycle with each directed edge.

    ``best[edge]`` is the best log rate over the pools of a directed edge. ``ways`` lists the two-leg ways back of each
    edge; an edge with more than ``HOT`` of them has a route tree instead (``back[edge]``). ``quads`` lists for each
    edge (the other edge at its hub, the tree of the routes between the two hubs, whether the edge leaves a hub).
    """

    def __init__(self, max_hops: int) -> None:
        self.max_hops = max_hops
        self.hubs: set[int] = set()
        self.is_hub: NDArray[np.bool_] = np.zeros(64, np.bool_)
        self.pairs: list[tuple[int, int]] = []
        self.pair_index: dict[tuple[int, int], int] = {}
        #: By mint: the mints that it shares a pair with, and those that it has route trees with.
        self.neighbours: list[set[int]] = []
        self._routed: list[set[int]] = []
        self.best: NDArray[np.float64] = np.full(128, NOT_TRADABLE)
        self.target: NDArray[np.int32] = np.zeros(128, np.int32)
        self.back: NDArray[np.int32] = np.full(128, NONE, np.int32)
        self.pair_pools, self.ways, self.quads, self.routes = Lists(1), Lists(2), Lists(3), CycleRoutes()

    def make_mints(self, mints: int) -> None:
        """Make sure that mints 0 to ``mints - 1`` exist."""
        if mints > len(self.is_hub):
            self.is_hub = grown(self.is_hub, mints)
        while len(self.neighbours) < mints:
            self.neighbours.append(set())
            self._routed.append(set())

    def set_hubs(self, hubs: set[int]) -> None:
        """Name the hubs, before there are pairs."""
        self.hubs = hubs
        self.is_hub[list(hubs)] = True

    def anew(self, max_hops: int, hubs: set[int]) -> CycleIndex:
        """The cycles of the same pairs and pools, with other hubs or of another length."""
        other = CycleIndex(max_hops)
        other.make_mints(len(self.neighbours))
        other.set_hubs(hubs)
        for number, pair in enumerate(self.pairs):
            other.add(*pair)
            for (pool,) in self.pair_pools.rows(number).tolist():
                other.pair_pools.append(number, pool)
        routes = other.routes
        part_of = routes.part_of.start, routes.part_of.count, routes.part_of.data
        for edge in range(2 * len(self.pairs)):
            set_best(edge, self.best[edge], other.best, routes.tree, routes.base, routes.room, *part_of)
        return other

    def add(self, low: int, high: int) -> int:
        """A new pair of mints, with every cycle that it closes; gives its number."""
        pair = self.pair_index[(low, high)] = len(self.pairs)
        self.pairs.append((low, high))
        edges = 2 * len(self.pairs)
        self._make_room(edges)
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

    def _make_room(self, edges: int) -> None:
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
        for other in sorted(self.hubs - {hub, mint}):
            if other not in self.neighbours[mint]:
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
        """Memory of the edges and of the ways that close cycles."""
        arrays = self.best, self.target, self.back, self.is_hub
        lists = self.pair_pools, self.ways, self.quads, self.routes
        return sum(array.nbytes for array in arrays) + sum(each.nbytes for each in lists)
