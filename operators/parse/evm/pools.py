"""The pools whose logs are read: immutables by address, as contracts or a pool file state them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.v1 import market_pb2 as market

PAIR = market.VENUE_UNISWAP_V2
CONCENTRATED = market.VENUE_UNISWAP_V3
VOLATILE = market.VENUE_AERODROME_VOLATILE
STABLE = market.VENUE_AERODROME_STABLE
SLIPSTREAM = market.VENUE_SLIPSTREAM
V4 = market.VENUE_UNISWAP_V4
CURVE = market.VENUE_CURVE_STABLE
WEIGHTED = market.VENUE_BALANCER_WEIGHTED
#: Venues by the kinds that pool files name, those of which two reserves are the whole state, and those with ticks.
KINDS = {
    "pairs": PAIR,
    "volatile": VOLATILE,
    "stable": STABLE,
    "concentrated": CONCENTRATED,
    "slipstream": SLIPSTREAM,
    "v4": V4,
    "curve": CURVE,
    "curve_ng": CURVE,
    "curve_pool": CURVE,
    "balancer": WEIGHTED,
}
#: Venues of whose pools other contracts say something.
SPOKEN_OF = (VOLATILE, STABLE, SLIPSTREAM, WEIGHTED)
#: Venues of which one contract logs for all pools.
SINGLETONS = (V4, WEIGHTED)
TWO_RESERVES = (PAIR, VOLATILE, STABLE)
TICKED = (CONCENTRATED, SLIPSTREAM, V4)
#: Whose fee another contract says and may change: rows tell it where an event shows it.
MANAGED_FEE = (VOLATILE, STABLE, SLIPSTREAM, V4)


@dataclass(frozen=True, slots=True)
class EvmPool:
    """A pool's immutables. Addresses are 20 bytes; ``venue`` says which events and which arithmetic it has.

    ``fee_pips`` of a pair is its factory's, of a managed pool what its factory said of it once. ``decimals`` and
    ``symbols`` are for people and may be 0 and empty, but a stable pool's curve needs its decimals. ``factory`` made
    it and ``fee_module`` gives its fee, and both may say something of it later; empty where nobody knows, or none is.
    Of a v4 pool ``address`` is its id (32 bytes), ``factory`` the pool manager that logs for it, and ``fee_pips`` the
    pool's own fee, to which the protocol's is added. A token of zeros is the chain's own currency.
    A pool of Balancer has its id, too, ``factory`` is the vault, and ``fee_module`` the pool's own contract.
    ``coins`` are all of a Curve or Balancer pool's, in its order: ``token0`` and ``token1`` are its first two;
    ``decimals`` and ``symbols`` are by coin then, and its fee stands in the state of its curve.
    """

    address: bytes
    venue: int
    token0: bytes
    token1: bytes
    fee_pips: int
    tick_spacing: int = 0
    decimals: tuple[int, ...] = (0, 0)
    symbols: tuple[str, ...] = ("", "")
    factory: bytes = b""
    fee_module: bytes = b""
    coins: tuple[bytes, ...] = ()


class PoolTable:
    """Pools by number, found by address for a whole column at once."""

    def __init__(self, pools: Iterable[EvmPool] = (), stated: bool = False) -> None:
        """``stated``: whoever names the pools answers for the fees of Slipstream's, which no row shows."""
        self._stated = stated
        self.pools: list[EvmPool] = []
        self._numbers: dict[bytes, int] = {}
        self._told: dict[str, pa.Array] = {}
        self._coins: tuple[pa.Array, NDArray[np.int64]] | None = None
        self._managed: dict[bytes, list[int]] = {}
        self._singletons: dict[bytes, list[int]] | None = None
        for pool in pools:
            self.add(pool)

    def __len__(self) -> int:
        return len(self.pools)

    def __contains__(self, address: bytes) -> bool:
        return address in self._numbers

    def add(self, pool: EvmPool) -> None:
        """Add a pool, or replace what was known of it."""
        self._forget()
        number = self._numbers.setdefault(pool.address, len(self.pools))
        if number == len(self.pools):
            self.pools.append(pool)
        else:
            self.pools[number] = pool

    def keep(self, addresses: Iterable[bytes]) -> None:
        """Forget all pools but these."""
        self._forget()
        wanted = set(addresses)
        self.pools = [pool for pool in self.pools if pool.address in wanted]
        self._numbers = {pool.address: i for i, pool in enumerate(self.pools)}

    @property
    def managed(self) -> dict[bytes, list[int]]:
        """The pools, by number, that each contract may say something of: factories and fee modules."""
        if not self._managed:
            for number, pool in enumerate(self.pools):
                for manager in {pool.factory, pool.fee_module} - {b""} if pool.venue in SPOKEN_OF else ():
                    self._managed.setdefault(manager, []).append(number)
        return self._managed

    @property
    def singletons(self) -> dict[bytes, list[int]]:
        """The pools, by number, of each contract that is many pools."""
        if self._singletons is None:
            self._singletons = {}
            for number, pool in enumerate(self.pools):
                if pool.venue in SINGLETONS:
                    self._singletons.setdefault(pool.factory, []).append(number)
        return self._singletons

    def _forget(self) -> None:
        self._told.clear()
        self._coins = None
        self._managed = {}
        self._singletons = None

    def of(self, address: bytes) -> EvmPool:
        """One pool. Raises KeyError."""
        return self.pools[self._numbers[address]]

    def numbers(self, addresses: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Each address's (or id's) number, -1 where it is not known."""
        key = f"V{addresses.shape[1]}"
        keys = np.ascontiguousarray(addresses).view(key)[:, 0] if len(addresses) else np.zeros(0, key)
        told, back = np.unique(keys, return_inverse=True)
        found = np.array([self._numbers.get(key.tobytes(), -1) for key in told], np.int64)
        return found[back] if len(told) else np.zeros(0, np.int64)

    def of_logs(self, addresses: NDArray[np.uint8], topics: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The number of each log's pool: by its address, or where that is many pools' by its second topic; else -1."""
        found = self.numbers(addresses)
        for manager, numbers in self.singletons.items():
            own = np.flatnonzero((addresses == np.frombuffer(manager, np.uint8)).all(axis=1))
            if len(own):
                named = self.numbers(topics[own, 1])
                found[own] = np.where(np.isin(named, numbers), named, -1)
        return found

    def venues(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The venue of each number, 0 for -1."""
        venues = np.array([*(pool.venue for pool in self.pools), 0], np.int64)
        return venues[numbers]

    def columns(self, numbers: NDArray[np.int64]) -> dict[str, pa.Array]:
        """What every update of a pool states of it."""
        rows = pa.array(numbers)
        return {name: values.take(rows) for name, values in (self._told or self._tell()).items()}

    def coins(self, numbers: NDArray[np.int64], ids: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.bool_]]:
        """The mint of coin ``ids`` of each pool, and which pools have one of that number."""
        if self._coins is None:
            mints = [coin for pool in self.pools for coin in pool.coins]
            ends = np.cumsum([0, *(len(pool.coins) for pool in self.pools)]).astype(np.int64)
            self._coins = pa.array([*mints, b""], pa.binary()), ends
        mints, ends = self._coins
        there = (ids >= 0) & (ids < ends[numbers + 1] - ends[numbers])
        return mints.take(pa.array(np.where(there, ends[numbers] + ids, len(mints) - 1))), there

    def numbered(self, numbers: NDArray[np.int64], mints: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Which coin of its pool each mint (20 bytes) is, -1 where it is none."""
        named = zip(numbers.tolist(), (mint.tobytes() for mint in mints), strict=True)
        return np.array([_place(self.pools[number].coins, mint) for number, mint in named], np.int64)

    def _fee(self, pool: EvmPool) -> int:
        """The fee that every row of a pool tells; 0: only those that show it do."""
        kept = pool.venue not in MANAGED_FEE or (self._stated and pool.venue == SLIPSTREAM)
        return pool.fee_pips if kept else 0

    def _tell(self) -> dict[str, pa.Array]:
        """The columns of all pools, kept until one is added or forgotten."""
        pools = self.pools
        told: dict[str, list[object]] = {
            "pool": [pool.address for pool in pools],
            "venue": [pool.venue for pool in pools],
            "mint_a": [pool.token0 for pool in pools],
            "mint_b": [pool.token1 for pool in pools],
            "symbol_a": [pool.symbols[0] for pool in pools],
            "symbol_b": [pool.symbols[1] for pool in pools],
            "decimals_a": [pool.decimals[0] for pool in pools],
            "decimals_b": [pool.decimals[1] for pool in pools],
            "fee_pips": [self._fee(pool) for pool in pools],
            "tick_spacing": [pool.tick_spacing for pool in pools],
        }
        self._told = {name: pa.array(values) for name, values in told.items()}
        return self._told


def _place(coins: tuple[bytes, ...], mint: bytes) -> int:
    return coins.index(mint) if mint in coins else -1
