"""A rolling audit: what rows told of pools, held against their contracts at the same block.

The last state that rows told of each pool is kept (reserves; price, tick, liquidity), from rows alone, so that a log
that a node kept back shows. A few pools are read in turn; one that differs is stated anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.operators.parse.evm.pools import CURVE, TWO_RESERVES, V4, WEIGHTED, EvmPool
from mevflow.sources.evm.balancer import balances, balances_call
from mevflow.sources.evm.contracts import ContractCall, integer, number, read
from mevflow.sources.evm.curve import balance_calls
from mevflow.sources.evm.rpc import RpcNode
from mevflow.sources.evm.singleton import liquidity_call, slot0, slot0_call
from mevflow.v1 import market_pb2 as market

#: Reserves of a pair; price (Q64.96), tick and liquidity of a concentrated pool; balances of a Curve or Balancer pool.
ToldState = tuple[int, ...]
_READ = ("slot", "tx_index", "ix_index", "pool", "reserve_a", "reserve_b", "sqrt_price_x96", "tick", "liquidity")
_CHANGES = (*_READ, "kind", "tick_lower", "tick_upper", "liquidity_delta", "stable")
_UNSPECIFIED, _LIQUIDITY = market.PoolUpdate.KIND_UNSPECIFIED, market.PoolUpdate.KIND_LIQUIDITY
#: Kinds whose price, where they have one, is the whole state. None: a swap.
_WHOLE = (None, _UNSPECIFIED, market.PoolUpdate.KIND_CREATE, market.PoolUpdate.KIND_SNAPSHOT)
#: Kinds of rows that tell no state, after which it is another: a swap by its amounts alone, and an update.
_UNTOLD = (None, _UNSPECIFIED)


class ToldStates:
    """What rows have told of each pool so far; whose turn it is to be read."""

    def __init__(self) -> None:
        self.known: dict[bytes, ToldState] = {}
        self._turns: list[bytes] = []

    def note(self, updates: pa.RecordBatch | None, swaps: pa.RecordBatch | None) -> None:
        """Take the rows of a stretch. Of a pool's swaps only the last counts: it tells all."""
        rows: list[dict[str, Any]] = []
        if swaps is not None:
            pools = swaps.column("pool").dictionary_encode()
            last = np.zeros(len(pools.dictionary), np.int64)
            last[pools.indices.to_numpy()] = np.arange(swaps.num_rows)
            rows += swaps.select(_READ).take(pa.array(last)).to_pylist()
        if updates is not None:
            rows += updates.select(_CHANGES).to_pylist()
        for row in sorted(rows, key=lambda row: (row["slot"], row["tx_index"], row["ix_index"])):
            self.apply(row)

    def apply(self, row: dict[str, Any]) -> None:
        """Take one row: a swap, or (with a ``kind``) an update."""
        pool, kind, known = row["pool"], row.get("kind"), self.known.get(row["pool"])
        if kind == market.PoolUpdate.KIND_LIQUIDATION:
            return  # of no pool
        if row["reserve_a"] and row["reserve_b"]:
            self.known[pool] = _unsigned(row["reserve_a"]), _unsigned(row["reserve_b"])
        elif row["sqrt_price_x96"] and kind in _WHOLE:
            self.known[pool] = _unsigned(row["sqrt_price_x96"]), row["tick"], _unsigned(row["liquidity"])
        elif row.get("stable"):
            self.known[pool] = tuple(_unsigned(coin["balance"]) for coin in row["stable"]["coins"])
        elif kind in _UNTOLD or (kind == _LIQUIDITY and not row["liquidity_delta"]):
            self.known.pop(pool, None)  # nobody knows
        elif known is not None and kind == _LIQUIDITY and len(known) == 3:
            delta = int.from_bytes(row["liquidity_delta"], "little", signed=True)
            inside = row["tick_lower"] <= known[1] < row["tick_upper"]
            self.known[pool] = known[0], known[1], known[2] + delta * inside

    def forget(self) -> None:
        """The chain went back: what is known again is what rows tell from now on."""
        self.known.clear()

    def turn(self, pools: int) -> list[bytes]:
        """The next pools to read."""
        if not self._turns:
            self._turns = sorted(self.known, reverse=True)
        taken = [self._turns.pop() for _ in range(min(pools, len(self._turns)))]
        return [pool for pool in taken if pool in self.known]


def said(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> list[ToldState | None]:
    """What contracts say at the block with that hash, as rows tell it; None for one that does not answer."""
    calls = []
    for pool in pools:
        if pool.venue == V4:
            calls += [slot0_call(pool), liquidity_call(pool)]
            continue
        if pool.venue == CURVE:
            calls += balance_calls(pool)
            continue
        if pool.venue == WEIGHTED:
            calls.append(balances_call(pool))
            continue
        names = _PAIR if pool.venue in TWO_RESERVES else _CONCENTRATED
        calls += [ContractCall(pool.address, name) for name in names]
    answers = iter(read(node, calls, block))
    found: list[ToldState | None] = []
    for pool in pools:
        if pool.venue == CURVE:
            held = [number(next(answers)) for _ in pool.coins]
            found.append(None if None in held else tuple(one or 0 for one in held))
            continue
        first = next(answers)
        if pool.venue == WEIGHTED:
            found.append(balances(first) or None)
            continue
        if pool.venue in TWO_RESERVES:
            a, b = number(first), number(first, 1)
            found.append(None if a is None or b is None else (a, b))
            continue
        price, active = number(first), number(next(answers))
        if first is None or price is None or active is None:
            found.append(None)
        elif pool.venue == V4:
            found.append((*slot0(price)[:2], active))
        else:
            found.append((price, integer(first, 1), active))
    return found


_PAIR, _CONCENTRATED = ("getReserves()",), ("slot0()", "liquidity()")


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
