"""Rows that state pools whole behind everything of a block, as their contracts say.

Closed pools are given as removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from mevflow.operators.parse.evm.pools import EvmPool
from mevflow.operators.parse.rows import RowBuilder
from mevflow.sources.evm.fees import JudgedPool, judge
from mevflow.sources.evm.rpc import RpcNode
from mevflow.sources.evm.state import State, states
from mevflow.sources.followed import AFTER_ALL
from mevflow.v1 import market_pb2 as market

#: The largest index of a log that a place has room for.
_LAST = (1 << 20) - 1
#: Where the places of an audit's letters begin, below those of what the same block's rows gave.
AUDITED = _LAST - (1 << 16)
_SNAPSHOT, _FEE, _REMOVE = market.PoolUpdate.KIND_SNAPSHOT, market.PoolUpdate.KIND_FEE, market.PoolUpdate.KIND_REMOVE


def read_whole(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> list[tuple[JudgedPool, State | None]]:
    """Each pool, and its state, at the block with that hash; None for one that did not exist or had no price."""
    found = states(node, pools, block)
    return [(one, found.get(one.pool.address)) for one in judge(node, pools, block)]


class BlockPlaces:
    """Places for dead letters of a block as a whole: each its own, from ``last`` on down, behind every log of it."""

    def __init__(self, last: int = _LAST) -> None:
        self._last = last
        self._taken = Counter[int]()

    def next(self, block: int) -> tuple[int, int]:
        """Block and index."""
        self._taken[block] += 1
        return block, self._last + 1 - self._taken[block]


class StatedPools:
    """Gathers the rows, and dead letters for pools that nobody can trade on."""

    def __init__(self, chain: int, name: str, places: BlockPlaces | None = None) -> None:
        self._chain, self._name = chain, name
        self._places = places or BlockPlaces()
        self._rows = RowBuilder("mevflow.v1.PoolUpdate")
        self.letters: list[dict[str, object]] = []

    def add(self, one: JudgedPool, state: State, block: int, timestamp_us: int) -> None:
        """State a pool as it is at the end of ``block``."""
        pool = one.pool
        named: dict[str, object] = {
            "chain": self._chain,
            "slot": block,
            "tx_index": AFTER_ALL,
            "ix_index": AFTER_ALL,
            "timestamp_us": timestamp_us,
            "venue": pool.venue,
            "pool": pool.address,
            "mint_a": pool.token0,
            "mint_b": pool.token1,
            "symbol_a": pool.symbols[0],
            "symbol_b": pool.symbols[1],
            "decimals_a": pool.decimals[0],
            "decimals_b": pool.decimals[1],
            "fee_pips": pool.fee_pips,
            "tick_spacing": pool.tick_spacing,
        }
        if one.closed:
            self._rows.add(**{**named, "fee_pips": 0}, kind=_REMOVE)
            self.refuse(pool.address, one.closed, block, timestamp_us)
            return
        self._rows.add(**state.columns(), **named, kind=_SNAPSHOT)
        if not pool.fee_pips:
            self._rows.add(**named, kind=_FEE)  # a 0 beside a state says nothing

    def refuse(self, pool: bytes, why: str, block: int, timestamp_us: int) -> None:
        """A dead letter for a pool that nobody trades on."""
        detail = f"pool 0x{pool.hex()} is closed: {why}"
        at = self._places.next(block)
        self.letters.append(letter(self._name, at, timestamp_us, "closed_pool", detail, pool))

    def take(self) -> pa.RecordBatch | None:
        """The rows in the order in which they were added; None where there are none."""
        return self._rows.take() if len(self._rows) else None


def letter(
    chain: str, at: tuple[int, int], timestamp_us: int, reason: str, detail: str, payload: bytes
) -> dict[str, object]:
    """A dead letter of a chain by name, from a place in it: block and index."""
    return {
        "topic": f"evm:{chain}",
        "partition": 0,
        "offset": offset_of(*at),
        "timestamp_us": timestamp_us,
        "topology": "",
        "run_id": "",
        "stage": "",
        "reason": reason,
        "detail": detail,
        "payload": payload,
    }


def offset_of(block: int, log_index: int) -> int:
    """A log's place in its chain as one number."""
    return min(block, (1 << 42) - 1) << 20 | min(log_index, _LAST)
