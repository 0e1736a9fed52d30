"""All pools of all chains in flat arrays.

A pool appears with its first ``PoolUpdate`` or its first ``Swap``. Prices are raw token B per raw token A as
logarithms, so that a cycle's rate is a sum. Pools and mints are counted in order of appearance; which cycles go
through them is in :mod:`mevflow.operators.detect.book.cycle_index`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.detect.book.cycle_index import NOT_TRADABLE, CycleIndex
from mevflow.operators.detect.book.keys import Keys
from mevflow.operators.detect.book.lists import grown
from mevflow.operators.detect.book.pools import DOUBT_DEPTH, DOUBT_FEE, DOUBT_STATE, POOL_DTYPE, PoolInfo
from mevflow.operators.detect.told import UpdateTold
from mevflow.operators.sizing.kinds import KIND_STABLE
from mevflow.operators.sizing.venues import FIXED_FEE_PIPS, RESERVE_CURVES


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
    """Pools and mints, with the cycles through them."""

    def __init__(self, max_hops: int, hubs: Iterable[tuple[int, bytes]] = ()) -> None:
        self.pools: NDArray[np.void] = np.zeros(64, POOL_DTYPE)
        #: By pool: log rate net of fee along its pair, and against it. Apart from the rest, for the cache's sake.
        self.rate: NDArray[np.float64] = np.full((64, 2), NOT_TRADABLE)
        #: By pool: the logarithm of what its fee leaves.
        self.log_keep: NDArray[np.float64] = np.zeros(64)
        #: By pool: the number that pools with a state in common share; no cycle goes through two of them.
        self.group: NDArray[np.int32] = np.zeros(64, np.int32)
        self.has_faces = False
        self.has_curves = False  # there is a pool whose state is beside the book
        self.renamed = 0  # how often a pool's names for its mints, or how many pairs of them it has, have changed
        self.count = 0
        self.info: list[PoolInfo] = []
        self.keys, self.mint_keys = Keys(), Keys()  # addresses, by number
        #: Number of each pool, by chain and address.
        self.index: defaultdict[int, dict[bytes, int]] = defaultdict(dict)
        self.mints: list[tuple[int, bytes]] = []
        self.mint_index: dict[tuple[int, bytes], int] = {}
        self.cycles = CycleIndex(max_hops)
        self.cycles.set_hubs({self.mint(*hub) for hub in hubs})

    def steer(self, max_hops: int, hubs: Iterable[tuple[int, bytes]]) -> None:
        """Other hubs or another length: the ways are found anew, the pools stay as they are."""
        numbers = {self.mint(*hub) for hub in hubs}
        if (max_hops, numbers) != (self.cycles.max_hops, self.cycles.hubs):
            self.cycles = self.cycles.anew(max_hops, numbers)

    def mint(self, chain: int, key: bytes) -> int:
        """The number of a mint, new if need be."""
        name = (chain, key)
        found = self.mint_index.get(name)
        if found is None:
            found = self.mint_index[name] = len(self.mints)
            self.mints.append(name)
            self.mint_keys.append(key)
            self.cycles.make_mints(found + 1)
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
        self.keys.append(key)
        first = self.index[chain].setdefault(key, number)
        self.info.append(PoolInfo(key, (a, b), venue, first=first))
        self.info[first].faces.append(number)
        self.has_faces |= first != number
        self.renamed += first != number
        self.has_curves |= kind >= KIND_STABLE
        self.group[number] = first
        pool = self.pools[number]
        pool["chain"], pool["venue"], pool["kind"] = chain, venue, kind
        pool["mint_a"], pool["mint_b"], pool["flipped"] = a, b, a > b
        pool["tick_spacing"] = 1
        if kind < KIND_STABLE:  # nothing has been told of it yet
            pool["fee_pips"] = FIXED_FEE_PIPS.get(venue, 0)
            pool["doubt"] = DOUBT_STATE | DOUBT_DEPTH | (0 if venue in FIXED_FEE_PIPS else DOUBT_FEE)
        elif venue in RESERVE_CURVES:
            pool["doubt"] = DOUBT_STATE | DOUBT_FEE
        pool["known_lower"], pool["known_upper"] = 1, 0  # nothing is known but the tick's own stretch
        low, high = min(a, b), max(a, b)
        pair = self.cycles.pair_index.get((low, high))
        if pair is None:
            pair = self.cycles.add(low, high)
        pool["pair"] = pair
        self.cycles.pair_pools.append(pair, number)
        return number

    def face(self, first: int, mint_a: int, mint_b: int) -> int:
        """The face of a pool between two mints, either way round; -1 where there is none."""
        for number in self.info[first].faces:
            if self.info[number].mints in ((mint_a, mint_b), (mint_b, mint_a)):
                return number
        return -1

    def name(self, number: int, one: UpdateTold) -> None:
        """Take what an update, a dict by field, calls a pool's mints."""
        info = self.info[number]
        if one["symbol_a"] or one["symbol_b"]:
            symbols = one["symbol_a"], one["symbol_b"]
            self.renamed += info.symbols != symbols
            info.symbols = symbols
        if one["decimals_a"] or one["decimals_b"]:
            info.decimals = one["decimals_a"], one["decimals_b"]

    @property
    def nbytes(self) -> int:
        """Memory of pools, rates, and the ways that close cycles."""
        return self.pools.nbytes + self.rate.nbytes + self.log_keep.nbytes + self.cycles.nbytes

    def view(self) -> View:
        """The arrays for the kernel."""
        cycles = self.cycles
        routes = cycles.routes
        return View(
            self.pools, self.rate, self.log_keep,
            cycles.max_hops, cycles.best, cycles.target, cycles.back, cycles.is_hub,
            cycles.pair_pools.start, cycles.pair_pools.count, cycles.pair_pools.data,
            cycles.ways.start, cycles.ways.count, cycles.ways.data,
            cycles.quads.start, cycles.quads.count, cycles.quads.data,
            routes.tree, routes.way, routes.base, routes.room,
            routes.part_of.start, routes.part_of.count, routes.part_of.data,
        )  # fmt: skip
