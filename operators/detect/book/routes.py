"""Max trees over two-leg routes between two mints.

A hot pair has thousands of two-leg ways back, one through every mint that both of its mints trade against. A *route
tree* from ``source`` to ``target`` keeps ``best(source -> X) + best(X -> target)`` of every such X in its leaves and
the largest at its root: whether anything pays is one look, and an event on a cold pair changes a leaf or two.

The trees lie one after another in ``tree``: that at ``base`` with room for ``room`` leaves takes ``2 * room`` numbers,
its root at ``base + 1``, the children of ``base + i`` at ``base + 2 * i`` and the one after, leaf ``i`` at
``base + room + i``. ``way[base // 2 + i]`` are the two directed edges of leaf ``i``.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mevflow.operators.detect.book.lists import Lists, grown

_FIRST_ROOM = 8
NONE = -1


@njit(cache=True, nogil=True, forceinline=True)
def set_best(edge, rate, best, tree, tree_base, tree_room, part_start, part_count, part_of):  # type: ignore[no-untyped-def]
    """Set the best log rate of a directed edge, and the leaves of the routes that it is a part of."""
    # pragma: no cover - compiled
    best[edge] = rate
    start = part_start[edge]
    for at in range(start, start + part_count[edge]):
        base = tree_base[part_of[at, 0]]
        node = tree_room[part_of[at, 0]] + part_of[at, 1]
        value = rate + best[part_of[at, 2]]
        while node > 0 and tree[base + node] != value:
            tree[base + node] = value
            node >>= 1
            value = max(tree[base + 2 * node], tree[base + 2 * node + 1])


class CycleRoutes:
    """All route trees, and which leaves each directed edge is a part of."""

    def __init__(self) -> None:
        self.tree: NDArray[np.float64] = np.full(1024, -np.inf)
        self.way: NDArray[np.int32] = np.zeros((512, 2), np.int32)
        self.base: NDArray[np.int64] = np.zeros(16, np.int64)
        self.room: NDArray[np.int32] = np.zeros(16, np.int32)
        self.leaves: NDArray[np.int32] = np.zeros(16, np.int32)
        #: By directed edge: (tree, leaf, the route's other edge).
        self.part_of = Lists(3)
        self.number: dict[tuple[int, int], int] = {}
        self._used = 0

    def new(self, source: int, target: int) -> int:
        """An empty tree for the routes from one mint to another."""
        tree = self.number[(source, target)] = len(self.number)
        if tree == len(self.base):
            self.base = grown(self.base, tree + 1)
            self.room, self.leaves = grown(self.room, tree + 1), grown(self.leaves, tree + 1)
        self._place(tree, _FIRST_ROOM)
        return tree

    def _place(self, tree: int, room: int) -> None:
        """Put a tree at the end, with room for ``room`` leaves; its leaves go with it."""
        base = self._used
        self._used += 2 * room
        if self._used > len(self.tree):
            more = np.full(max(self._used, 2 * len(self.tree)), -np.inf)
            more[:base] = self.tree[:base]
            self.tree = more
            self.way = grown(self.way, len(more) // 2)
        count, old, was = int(self.leaves[tree]), int(self.base[tree]), int(self.room[tree])
        self.tree[base + room : base + room + count] = self.tree[old + was : old + was + count]
        self.way[base // 2 : base // 2 + count] = self.way[old // 2 : old // 2 + count]
        self.base[tree], self.room[tree] = base, room
        level = self.tree[base + room : base + 2 * room]
        while len(level) > 1:
            level = np.maximum(level[::2], level[1::2])
            self.tree[base + len(level) : base + 2 * len(level)] = level

    def add(self, tree: int, first: int, second: int, rate: float) -> None:
        """Add the route over two directed edges, whose best rates are together ``rate``."""
        leaf = int(self.leaves[tree])
        if leaf == self.room[tree]:
            self._place(tree, 2 * leaf)
        self.leaves[tree] = leaf + 1
        base, room = int(self.base[tree]), int(self.room[tree])
        self.way[base // 2 + leaf] = first, second
        self.part_of.append(first, tree, leaf, second)
        self.part_of.append(second, tree, leaf, first)
        at = room + leaf
        while at and self.tree[base + at] < rate:
            self.tree[base + at] = rate
            at >>= 1

    @property
    def nbytes(self) -> int:
        """Memory of the trees."""
        return self.tree.nbytes + self.way.nbytes + self.part_of.nbytes
