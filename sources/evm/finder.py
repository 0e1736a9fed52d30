"""Which pools log for the first time in a stretch of blocks: contracts of their own, v4's and Balancer's by id, Curve's
by factory.

What no factory names is remembered, so that it is asked about once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mevflow.operators.parse.evm.events import (
    CURVE_EVENTS,
    POOL_EVENTS,
    SINGLETON_EVENTS,
    V4_INITIALIZE,
    VAULT_EVENTS,
    which,
)
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.pools import EvmPool, PoolTable
from mevflow.sources.evm import balancer, curve, singleton
from mevflow.sources.evm.blocks import Header
from mevflow.sources.evm.discover import discover, named
from mevflow.sources.evm.factories import CURVE_KINDS, Factory, FoundPools
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import RpcNode
from mevflow.sources.evm.stated import StatedPools

#: Addresses that are known to be no pools; the oldest are asked again some day.
_MOST_DENIED = 200_000
_ASKED_AT_ONCE = 200


@dataclass
class PoolFinder:
    """Asks nodes about addresses and ids that log like pools."""

    nodes: Nodes
    factories: Mapping[bytes, Factory]
    only: frozenset[bytes] = frozenset()
    deny: frozenset[bytes] = frozenset()
    _no_pools: dict[bytes, None] = field(default_factory=dict)

    def find(self, last: Header, logs: Logs, table: PoolTable, stated: StatedPools) -> dict[EvmPool, int]:
        """Pools that are not in ``table``, as they are at the end of block ``last``, each with its first block.

        Pools of trusted makers that cannot be read are told (``stated``) once. Raises UnreachableError.
        """
        search = _Search(self, last, logs, table, stated)
        pools = [*search.contracts()]
        for manager in self.factories.values():
            if manager.kind == "v4":
                pools += search.singletons(manager)
            elif manager.kind == "balancer":
                pools += search.weighted(manager)
        pools += search.curves()
        return {pool: search.first[pool.address] for pool in pools}

    def forget(self) -> None:
        """Ask again about what was no pool."""
        self._no_pools.clear()

    def knows(self, key: bytes) -> bool:
        """Whether an address or id is known to be no pool, or is not wanted."""
        return key in self._no_pools or key in self.deny or (bool(self.only) and key not in self.only)

    def set_aside(self, keys: Iterable[bytes]) -> None:
        """Ask about addresses or ids no more."""
        self._no_pools.update(dict.fromkeys(keys))
        while len(self._no_pools) > _MOST_DENIED:
            del self._no_pools[next(iter(self._no_pools))]


@dataclass
class _Search:
    """One stretch of logs. ``first`` is where each address or id came first."""

    finder: PoolFinder
    last: Header
    logs: Logs
    table: PoolTable
    stated: StatedPools
    first: dict[bytes, int] = field(default_factory=dict)

    def contracts(self) -> list[EvmPool]:
        """Contracts that are a pool each, and name their factory."""
        logs, factories, block = self.logs, self.finder.factories, self.last.hash
        like = logs.address.any(axis=1) & (logs.unread | (which(logs.topics[:, 0], POOL_EVENTS) >= 0))
        pools: list[EvmPool] = []
        unknown = self._unknown(logs.address, np.flatnonzero(like))
        for part in _parts(unknown):
            pools += self.finder.nodes.ask(lambda node, part=part: discover(node, part, factories, block))  # type: ignore[misc]
        self.finder.set_aside({*unknown} - {pool.address for pool in pools})
        return pools

    def singletons(self, manager: Factory) -> list[EvmPool]:
        """Pools of a v4 manager."""
        logs, block = self.logs, self.last.hash
        rows = self._own(manager, SINGLETON_EVENTS)
        unknown = self._unknown(logs.topics[:, 1], rows)
        if not unknown:
            return []
        keys = singleton.made_here(logs, rows[which(logs.topics[rows, 0], (V4_INITIALIZE,)) >= 0].tolist())

        def ask(node: RpcNode) -> FoundPools:
            found = singleton.find(node, manager, unknown, keys, block)
            return FoundPools(tuple(named(node, found.pools, block)), found.closed)

        found = self.finder.nodes.ask(ask)
        self._close(found.closed)
        return [*found.pools]

    def weighted(self, vault: Factory) -> list[EvmPool]:
        """Pools of Balancer's vault."""
        block, pools = self.last.hash, list[EvmPool]()
        for part in _parts(self._unknown(self.logs.topics[:, 1], self._own(vault, VAULT_EVENTS))):

            def ask(node: RpcNode, part: Sequence[bytes] = part) -> tuple[FoundPools, FoundPools]:
                found = balancer.find(node, vault, part, block)
                return found, balancer.tried(node, named(node, found.pools, block), block)

            found, kept = self.finder.nodes.ask(ask)
            self._close(found.closed | kept.closed)
            pools += kept.pools
        return pools

    def curves(self) -> list[EvmPool]:
        """Curve's pools, which name no factory."""
        logs, block = self.logs, self.last.hash
        makers = [one for one in self.finder.factories.values() if one.kind in CURVE_KINDS]
        rows = np.flatnonzero(~logs.unread & (which(logs.topics[:, 0], CURVE_EVENTS) >= 0))
        unknown = self._unknown(logs.address, rows) if makers else []
        pools: list[EvmPool] = []
        for part in _parts(unknown):

            def ask(node: RpcNode, part: Sequence[bytes] = part) -> tuple[FoundPools, FoundPools]:
                found = curve.find(node, makers, part, block)
                return found, curve.tried(node, named(node, found.pools, block), block)

            found, kept = self.finder.nodes.ask(ask)
            self._close(found.closed | kept.closed)
            pools += kept.pools
        self.finder.set_aside({*unknown} - {pool.address for pool in pools})
        return pools

    def _own(self, maker: Factory, events: tuple[bytes, ...]) -> np.ndarray:
        """Rows of events by which a contract tells of the pool that the second topic names."""
        logs = self.logs
        own = (logs.address == np.frombuffer(maker.key, np.uint8)).all(axis=1) & ~logs.unread & (logs.topic_count > 1)
        return np.flatnonzero(own & (which(logs.topics[:, 0], events) >= 0))

    def _unknown(self, keys: np.ndarray, rows: np.ndarray) -> list[bytes]:
        """Keys (by log) that are neither known pools nor known to be none."""
        found = []
        for row in rows[self.table.numbers(keys[rows]) < 0].tolist():
            one = keys[row].tobytes()
            if one not in self.first and not self.finder.knows(one):
                found.append(one)
                self.first[one] = int(self.logs.block[row])
        return found

    def _close(self, closed: Mapping[bytes, str]) -> None:
        """Tell why pools are not read."""
        for one, why in closed.items():
            self.stated.refuse(one, why, self.first[one], self.last.timestamp_s * 1_000_000)
        self.finder.set_aside(closed)


def _parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[i : i + _ASKED_AT_ONCE] for i in range(0, len(keys), _ASKED_AT_ONCE)]
