"""All pools of all chains in flat arrays, and the cycles through them.

A pool appears with its first ``PoolUpdate`` or its first ``Swap``. Prices are raw token B per raw token A as
logarithms, so that a cycle's rate is a sum.

Numbering: pools and mints are counted in order of appearance; a *pair* is two mints of a chain, the smaller number
first. The directed edge ``2 * pair`` leads from the smaller mint to the larger, ``2 * pair + 1`` back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from operators.amm.tick_map import TickMap

#: How a pool is priced.
KIND_NOT_TRADED, KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_CONSTANT_PRODUCT = 0, 1, 2, 3
NOT_TRADABLE = -np.inf
_GROW = 2

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
        ("rate", np.float64, 2),  # log rate net of fee along the pair, and against it; -inf: not tradable
        ("price", np.uint64, 3),  # sqrt price, little-endian words (concentrated)
        ("liquidity", np.uint64, 2),
        ("reserve_a", np.uint64, 2),
        ("reserve_b", np.uint64, 2),
        ("known_lower", np.int32),
        ("known_upper", np.int32),
        ("warm", np.bool_),  # a cycle through it paid since it was last found cold
    ],
    align=True,
)


@dataclass
class PoolInfo:
    """What is not on the hot path: the pool's key, its symbols, its ticks."""

    key: bytes
    ticks: TickMap | None = None
    symbols: tuple[str, str] = ("", "")
    decimals: tuple[int, int] = (0, 0)


@dataclass
class Book:
    """Pools, mints and pairs, and which triangles each pair is a side of."""

    pools: NDArray[np.void] = field(default_factory=lambda: np.zeros(64, POOL_DTYPE))
    count: int = 0
    info: list[PoolInfo] = field(default_factory=list)
    index: dict[tuple[int, bytes], int] = field(default_factory=dict)
    mints: list[tuple[int, bytes]] = field(default_factory=list)
    mint_index: dict[tuple[int, bytes], int] = field(default_factory=dict)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    pair_index: dict[tuple[int, int], int] = field(default_factory=dict)
    pair_pools: list[list[int]] = field(default_factory=list)
    #: Triangles as three directed edges each, going round once; the way back is the edges ^ 1.
    triangles: list[tuple[int, int, int]] = field(default_factory=list)
    pair_triangles: list[list[int]] = field(default_factory=list)
    neighbours: list[set[int]] = field(default_factory=list)
    hubs: set[int] = field(default_factory=set)
    changed: bool = True  # the flat cycle index is to be made anew

    def mint(self, chain: int, key: bytes) -> int:
        """The number of a mint, new if need be."""
        name = (chain, key)
        found = self.mint_index.get(name)
        if found is None:
            found = self.mint_index[name] = len(self.mints)
            self.mints.append(name)
            self.neighbours.append(set())
        return found

    def add(self, chain: int, key: bytes, venue: int, kind: int, mint_a: bytes, mint_b: bytes, three_legs: bool) -> int:
        """A new pool; gives its number."""
        a, b = self.mint(chain, mint_a), self.mint(chain, mint_b)
        number = self.count
        if number == len(self.pools):
            grown = np.zeros(_GROW * number, POOL_DTYPE)
            grown[:number] = self.pools
            self.pools = grown
        self.count += 1
        self.info.append(PoolInfo(key))
        self.index[(chain, key)] = number
        pool = self.pools[number]
        pool["chain"], pool["venue"], pool["kind"] = chain, venue, kind
        pool["mint_a"], pool["mint_b"], pool["flipped"] = a, b, a > b
        pool["rate"] = NOT_TRADABLE
        pool["tick_spacing"] = 1
        pool["known_lower"], pool["known_upper"] = 1, 0  # nothing is known but the tick's own stretch
        pair = self._pair(min(a, b), max(a, b), three_legs)
        pool["pair"] = pair
        self.pair_pools[pair].append(number)
        self.changed = True
        return number

    def _pair(self, low: int, high: int, three_legs: bool) -> int:
        found = self.pair_index.get((low, high))
        if found is not None:
            return found
        pair = self.pair_index[(low, high)] = len(self.pairs)
        self.pairs.append((low, high))
        self.pair_pools.append([])
        self.pair_triangles.append([])
        if three_legs:
            for third in self.neighbours[low] & self.neighbours[high]:
                if self.hubs & {low, high, third}:
                    self._triangle(low, high, third)
        self.neighbours[low].add(high)
        self.neighbours[high].add(low)
        return pair

    def _triangle(self, first: int, second: int, third: int) -> None:
        number = len(self.triangles)
        edges = (self.edge(first, second), self.edge(second, third), self.edge(third, first))
        self.triangles.append(edges)
        for edge in edges:
            self.pair_triangles[edge >> 1].append(number)

    def edge(self, source: int, target: int) -> int:
        """The directed edge between two mints that share a pair."""
        pair = self.pair_index[(min(source, target), max(source, target))]
        return 2 * pair + (source > target)

    def flat(self) -> CycleIndex:
        """The index as arrays for the kernel."""
        return CycleIndex(
            *_csr(self.pair_pools),
            *_csr(self.pair_triangles),
            np.array(self.triangles, np.int32).reshape(-1, 3),
        )


@dataclass(frozen=True)
class CycleIndex:
    """CSR: pools of each pair, triangles of each pair; and each triangle's directed edges ``(triangles, 3)``."""

    pool_start: NDArray[np.int32]
    pool_of: NDArray[np.int32]
    triangle_start: NDArray[np.int32]
    triangle_of: NDArray[np.int32]
    triangle_edges: NDArray[np.int32]


def _csr(lists: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    start = np.zeros(len(lists) + 1, np.int32)
    np.cumsum([len(items) for items in lists], out=start[1:])
    return start, np.array([item for items in lists for item in items], np.int32)
