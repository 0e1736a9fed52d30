"""From blocks to rows: discover the pools that log for the first time, state them whole, parse everything.

A pool's first row is preceded by a ``KIND_SNAPSHOT`` of its state at the end of the block before, read at that
block's hash. It has that block's number and the largest index that a row can have, so that it follows everything of
that block and comes before the first row. A pool that was made in this very block begins with its own events; where
those do not tell its fee, and where an event leaves open what a pool is now, it is stated whole at the block's end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.codec import ERRORS
from mevflow.operators.parse.evm.events import MANAGER_EVENTS, POOL_EVENTS, which
from mevflow.operators.parse.evm.logs import LogJson, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pools import MANAGED_FEE, EvmPool, PoolTable
from mevflow.operators.parse.rows import RowBuilder
from mevflow.sources.evm.audit import ToldState, ToldStates, said
from mevflow.sources.evm.blocks import Block
from mevflow.sources.evm.discover import discover, open_pools
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import RpcNode
from mevflow.sources.evm.state import State, states
from mevflow.v1 import market_pb2 as market

EVENTS = (*POOL_EVENTS, *MANAGER_EVENTS)
#: Row indices of what a source says of a whole block, behind everything that is in it.
AFTER_ALL = (1 << 24) - 1
#: Addresses that are known to be no pools; the oldest are asked again some day.
_MOST_DENIED = 200_000
_ASKED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class CollectedRows:
    """Rows of a stretch of blocks, in chain order, and the time of the last block."""

    updates: pa.RecordBatch | None
    swaps: pa.RecordBatch | None
    errors: pa.RecordBatch | None
    timestamp_us: int


@dataclass
class PoolCollector:
    """The pools of one chain and where each was first seen."""

    chain: int
    name: str
    nodes: Nodes
    factories: Mapping[bytes, Factory]
    deny: frozenset[bytes] = frozenset()
    table: PoolTable = field(default_factory=PoolTable)
    #: Pool -> the block in which it was first seen.
    since: dict[bytes, int] = field(default_factory=dict)
    told: ToldStates = field(default_factory=ToldStates)
    _no_pools: dict[bytes, None] = field(default_factory=dict)

    def take(self, blocks: Sequence[Block]) -> CollectedRows:
        """Rows of neighbouring blocks. Raises UnreachableError when no node answers."""
        found = [log for block in blocks for log in block.logs]
        logs, bad = read_logs(found, _before(blocks[0]))
        numbers = np.array([block.header.number for block in blocks], np.int64)
        times = np.array([block.header.timestamp_s for block in blocks], np.int64) * 1_000_000
        named = logs.address.any(axis=1) & (logs.unread | (which(logs.topics[:, 0], POOL_EVENTS) >= 0))
        before, made = self._discover(blocks, logs.address[named], logs.block[named])
        parsed = parse_logs(self.chain, logs, self.table, times[np.searchsorted(numbers, logs.block)])
        batches = {one.schema.metadata[b"message"]: one for one in parsed.batches()}
        after = self._asked(blocks, parsed.asked, made)
        parts = [one for one in (before, batches.get(b"mevflow.v1.PoolUpdate"), after) if one is not None]
        updates = _in_order(*parts) if parts else None
        wrong = [(found[one.position], "malformed", one.detail) for one in bad]
        wrong += [(found[int(logs.position[one.row])], one.reason, one.detail) for one in parsed.rejected]
        errors = self._dead_letters(wrong, dict(zip(numbers.tolist(), times.tolist(), strict=True)))
        swaps = batches.get(b"mevflow.v1.Swap")
        self.told.note(updates, swaps)
        return CollectedRows(updates, swaps, errors, int(times[-1]))

    def audit(self, block: Block, pools: int) -> CollectedRows | None:
        """Hold what rows told of the next ``pools`` against their contracts at the end of a block.

        Gives a dead letter and a ``KIND_SNAPSHOT`` for each that differs; None when none does. Raises UnreachableError.
        """
        turn = [self.table.of(one) for one in self.told.turn(pools) if one in self.table]
        # A node that takes a block just then may answer of that one, whatever hash it was asked for: what differs is
        # read once more.
        wrong = self._differing([pool for pool, _ in self._differing(turn, block)], block)
        if not wrong:
            return None
        whole = self._whole([pool for pool, _ in wrong], block.header.hash)
        rows, time_us = RowBuilder("mevflow.v1.PoolUpdate"), block.header.timestamp_s * 1_000_000
        letters = []
        for pool, answer in wrong:
            told = self.told.known[pool.address]
            if pool.address in whole:
                self._state(rows, *whole[pool.address], block.header.number, time_us)
            letters.append(
                self._letter(
                    (block.header.number, AFTER_ALL),
                    time_us,
                    "audit_difference",
                    f"pool 0x{pool.address.hex()}: rows told {told}, its contract says {answer}",
                    pool.address,
                )
            )
            self.told.known[pool.address] = answer
        errors = pa.RecordBatch.from_pylist(letters, schema=ERRORS)
        return CollectedRows(rows.take() if len(rows) else None, None, errors, time_us)

    def _differing(self, pools: Sequence[EvmPool], block: Block) -> list[tuple[EvmPool, ToldState]]:
        """Pools whose contracts say something else at the end of a block than rows told, and what they say."""
        answers = self.nodes.ask(lambda node: said(node, pools, block.header.hash)) if pools else []
        return [
            (pool, answer)
            for pool, answer in zip(pools, answers, strict=True)
            if answer is not None and answer != self.told.known[pool.address]
        ]

    def fork(self, fork: Fork) -> CollectedRows:
        """The row that takes blocks back. Pools first seen in them are stated anew when they come again."""
        self.since = {pool: block for pool, block in self.since.items() if block < fork.first}
        self.table.keep(self.since)
        self._no_pools.clear()
        self.told.forget()
        rows = RowBuilder("mevflow.v1.PoolUpdate")
        time_us = fork.timestamp_s * 1_000_000
        rows.add(
            chain=self.chain, slot=fork.first, timestamp_us=time_us, kind=market.PoolUpdate.KIND_REORG, fork=fork.number
        )
        return CollectedRows(rows.take(), None, None, time_us)

    def managers(self) -> frozenset[bytes]:
        """The contracts that may say something of the pools that are known."""
        return frozenset(self.table.managed)

    def _discover(
        self, blocks: Sequence[Block], addresses: np.ndarray, at: np.ndarray
    ) -> tuple[pa.RecordBatch | None, dict[int, set[bytes]]]:
        """Add the pools that log for the first time.

        Gives their states before that, and (by block) those that had none and whose fee their events do not tell.
        """
        first: dict[bytes, int] = {}
        for row in np.flatnonzero(self.table.numbers(addresses) < 0).tolist():
            first.setdefault(addresses[row].tobytes(), int(at[row]))
        unknown = [one for one in first if one not in self._no_pools and one not in self.deny]
        if not unknown:
            return None, {}
        last = blocks[-1].header.hash
        pools: list[EvmPool] = []
        for i in range(0, len(unknown), _ASKED_AT_ONCE):
            part = unknown[i : i + _ASKED_AT_ONCE]
            pools += self.nodes.ask(lambda node, part=part: discover(node, part, self.factories, last))  # type: ignore[misc]
        known = {pool.address for pool in pools}
        for one in unknown:
            if one not in known:
                self._no_pools[one] = None
        while len(self._no_pools) > _MOST_DENIED:
            del self._no_pools[next(iter(self._no_pools))]
        by_number = {block.header.number: block for block in blocks}
        rows, made = RowBuilder("mevflow.v1.PoolUpdate"), dict[int, set[bytes]]()
        for number in sorted({first[pool.address] for pool in pools}):
            here = [pool for pool in pools if first[pool.address] == number]
            header = by_number[number].header
            found = self._whole(here, header.parent)
            for pool in here:
                if pool.address in found:
                    time_us = header.timestamp_s * 1_000_000
                    self._state(rows, *found[pool.address], number - 1, time_us)
                elif pool.venue in MANAGED_FEE:
                    made.setdefault(number, set()).add(pool.address)
        # Known only now: where a node failed before, the same blocks are taken again, and the pools stated then.
        for pool in pools:
            self.table.add(pool)
            self.since[pool.address] = first[pool.address]
        return rows.take() if len(rows) else None, made

    def _asked(self, blocks: Sequence[Block], *asked: Mapping[int, set[bytes]]) -> pa.RecordBatch | None:
        """The state at the end of each block of the pools that are to be asked there."""
        by_number = {block.header.number: block.header for block in blocks}
        rows = RowBuilder("mevflow.v1.PoolUpdate")
        for number in sorted({number for each in asked for number in each}):
            wanted = sorted({pool for each in asked for pool in each.get(number, ())})
            header = by_number[number]
            for stated in self._whole([self.table.of(pool) for pool in wanted], header.hash).values():
                self._state(rows, *stated, number, header.timestamp_s * 1_000_000)
        return rows.take() if len(rows) else None

    def _whole(self, pools: Sequence[EvmPool], block: bytes) -> dict[bytes, tuple[EvmPool, State]]:
        """Pools in which anybody may swap at the block with that hash, with the fees and the states there."""

        def read(node: RpcNode) -> dict[bytes, tuple[EvmPool, State]]:
            found = states(node, pools, block)
            there = open_pools(node, [pool for pool in pools if pool.address in found], block)
            return {pool.address: (pool, found[pool.address]) for pool in there}

        return self.nodes.ask(read) if pools else {}

    def _state(self, rows: RowBuilder, pool: EvmPool, state: State, slot: int, timestamp_us: int) -> None:
        """Add the row that states a pool whole behind everything of a block; a fee of 0 is told by a row of its own."""
        named: dict[str, object] = {
            "chain": self.chain,
            "slot": slot,
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
        rows.add(**state.columns(), **named, kind=market.PoolUpdate.KIND_SNAPSHOT)
        if not pool.fee_pips:
            rows.add(**named, kind=market.PoolUpdate.KIND_FEE)

    def _dead_letters(
        self, wrong: Iterable[tuple[LogJson, str, str]], times: Mapping[int, int]
    ) -> pa.RecordBatch | None:
        rows = []
        for log, reason, detail in wrong:
            try:
                block, index = int(log.block_number, 16), int(log.log_index, 16)
            except ValueError:
                block, index = 0, 0
            rows.append(self._letter((block, index), times.get(block, 0), reason, detail, msgspec.json.encode(log)))
        return pa.RecordBatch.from_pylist(rows, schema=ERRORS) if rows else None

    def _letter(
        self, at: tuple[int, int], timestamp_us: int, reason: str, detail: str, payload: bytes
    ) -> dict[str, object]:
        return {
            "topic": f"evm:{self.name}",
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


def _before(block: Block) -> LogJson:
    """A log right before those of a block: what cannot be read stands behind it."""
    return LogJson("", [], "", hex(block.header.number), "0x" + "00" * 32, "0x0", "0x0")


def offset_of(block: int, log_index: int) -> int:
    """A log's place in its chain as one number."""
    return min(block, (1 << 42) - 1) << 20 | min(log_index, (1 << 20) - 1)


def _in_order(*parts: pa.RecordBatch) -> pa.RecordBatch:
    whole = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    order = np.lexsort([whole.column(name).to_numpy() for name in ("ix_index", "tx_index", "slot")])
    return whole.take(pa.array(order))
