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
from mevflow.operators.errors import UnreachableError
from mevflow.operators.parse.evm.events import (
    CURVE_EVENTS,
    LENDING_EVENTS,
    MANAGER_EVENTS,
    POOL_EVENTS,
    SINGLETON_EVENTS,
    VAULT_EVENTS,
)
from mevflow.operators.parse.evm.logs import LogJson, Logs, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pools import MANAGED_FEE, EvmPool, PoolTable
from mevflow.operators.parse.rows import RowBuilder
from mevflow.sources.evm.audit import ToldState, ToldStates, said
from mevflow.sources.evm.blocks import Block
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.fees import JudgedPool
from mevflow.sources.evm.finder import PoolFinder
from mevflow.sources.evm.follow import Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.state import State
from mevflow.sources.evm.stated import AUDITED, BlockPlaces, StatedPools, letter, read_whole
from mevflow.v1 import market_pb2 as market

EVENTS = (*POOL_EVENTS, *SINGLETON_EVENTS, *CURVE_EVENTS, *VAULT_EVENTS, *MANAGER_EVENTS, *LENDING_EVENTS)


@dataclass(frozen=True, slots=True)
class CollectedRows:
    """Rows of a stretch of blocks, in chain order, and the time of the last block."""

    updates: pa.RecordBatch | None
    swaps: pa.RecordBatch | None
    errors: pa.RecordBatch | None
    timestamp_us: int


@dataclass
class PoolCollector:
    """The pools of one chain (``only`` these, if any; never those of ``deny``) and where each was first seen."""

    chain: int
    name: str
    nodes: Nodes
    factories: Mapping[bytes, Factory]
    only: frozenset[bytes] = frozenset()
    deny: frozenset[bytes] = frozenset()
    table: PoolTable = field(default_factory=PoolTable)
    #: Pool -> the block in which it was first seen.
    since: dict[bytes, int] = field(default_factory=dict)
    told: ToldStates = field(default_factory=ToldStates)

    def __post_init__(self) -> None:
        self._finder = PoolFinder(self.nodes, self.factories, self.only, self.deny)

    def take(self, blocks: Sequence[Block]) -> CollectedRows:
        """Rows of neighbouring blocks. Raises UnreachableError when no node answers."""
        known = [*self.since]
        try:
            return self._taken(blocks)
        except UnreachableError:
            # The same blocks are taken again: what is found anew is stated then, and what is closed told.
            self._keep(known)
            self._finder.forget()
            raise

    def _taken(self, blocks: Sequence[Block]) -> CollectedRows:
        found = [log for block in blocks for log in block.logs]
        logs, bad = read_logs(found, _before(blocks[0]))
        numbers = np.array([block.header.number for block in blocks], np.int64)
        times = np.array([block.header.timestamp_s for block in blocks], np.int64) * 1_000_000
        stated = StatedPools(self.chain, self.name)
        made = self._discover(blocks, logs, stated)
        parsed = parse_logs(self.chain, logs, self.table, times[np.searchsorted(numbers, logs.block)])
        self._ask(blocks, (parsed.asked, made), stated)
        batches = {one.schema.metadata[b"message"]: one for one in parsed.batches()}
        parts = [one for one in (stated.take(), batches.get(b"mevflow.v1.PoolUpdate")) if one is not None]
        updates = _in_order(*parts) if parts else None
        wrong = [(found[one.position], "malformed", one.detail) for one in bad]
        wrong += [(found[int(logs.position[one.row])], one.reason, one.detail) for one in parsed.rejected]
        errors = self._dead_letters(wrong, dict(zip(numbers.tolist(), times.tolist(), strict=True)), stated.letters)
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
        number, time_us = block.header.number, block.header.timestamp_s * 1_000_000
        places = BlockPlaces(AUDITED)
        stated, letters = StatedPools(self.chain, self.name, places), []
        for one, state in self._whole([pool for pool, _ in wrong], block.header.hash):
            if state is not None:
                stated.add(one, state, number, time_us)
        for pool, answer in wrong:
            told = self.told.known[pool.address]
            detail = f"pool 0x{pool.address.hex()}: rows told {told}, its contract says {answer}"
            letters.append(letter(self.name, places.next(number), time_us, "audit_difference", detail, pool.address))
            self.told.known[pool.address] = answer
        errors = pa.RecordBatch.from_pylist([*letters, *stated.letters], schema=ERRORS)
        return CollectedRows(stated.take(), None, errors, time_us)

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
        self._keep([pool for pool, block in self.since.items() if block < fork.first])
        self._finder.forget()
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

    def _keep(self, pools: Iterable[bytes]) -> None:
        """Know these pools only."""
        self.since = {pool: self.since[pool] for pool in pools}
        self.table.keep(self.since)

    def _discover(self, blocks: Sequence[Block], logs: Logs, stated: StatedPools) -> dict[int, set[bytes]]:
        """Add the pools that log for the first time, and state them as they were before that.

        Gives (by block) those that were not there before, and whose fee their events do not tell.
        """
        first = self._finder.find(blocks[-1].header, logs, self.table, stated)
        for pool, number in first.items():
            self.table.add(pool)
            self.since[pool.address] = number
        by_number = {block.header.number: block.header for block in blocks}
        made = dict[int, set[bytes]]()
        for number in sorted({*first.values()}):
            header = by_number[number]
            here = [pool for pool, block in first.items() if block == number]
            for judged, state in self._whole(here, header.parent):
                if state is not None:
                    stated.add(judged, state, number - 1, header.timestamp_s * 1_000_000)
                elif judged.pool.venue in MANAGED_FEE:
                    made.setdefault(number, set()).add(judged.pool.address)
        return made

    def _ask(self, blocks: Sequence[Block], asked: Iterable[Mapping[int, set[bytes]]], stated: StatedPools) -> None:
        """State pools as they are at the end of the blocks (by number) at which they are to be asked."""
        by_number = {block.header.number: block.header for block in blocks}
        wanted: dict[int, set[bytes]] = {}
        for each in asked:
            for number, pools in each.items():
                wanted.setdefault(number, set()).update(pools)
        for number, addresses in sorted(wanted.items()):
            header = by_number[number]
            for judged, state in self._whole([self.table.of(one) for one in sorted(addresses)], header.hash):
                if state is not None:
                    stated.add(judged, state, number, header.timestamp_s * 1_000_000)

    def _whole(self, pools: Sequence[EvmPool], block: bytes) -> list[tuple[JudgedPool, State | None]]:
        """Pools with their states; who says their fees there is heard from then on."""
        found = self.nodes.ask(lambda node: read_whole(node, pools, block)) if pools else []
        for judged, _ in found:
            if judged.pool.fee_module != self.table.of(judged.pool.address).fee_module:
                self.table.add(judged.pool)
        return found

    def _dead_letters(
        self, wrong: Iterable[tuple[LogJson, str, str]], times: Mapping[int, int], more: Iterable[dict[str, object]]
    ) -> pa.RecordBatch | None:
        rows = [*more]
        for log, reason, detail in wrong:
            try:
                block, index = int(log.block_number, 16), int(log.log_index, 16)
            except ValueError:
                block, index = 0, 0
            rows.append(
                letter(self.name, (block, index), times.get(block, 0), reason, detail, msgspec.json.encode(log))
            )
        return pa.RecordBatch.from_pylist(rows, schema=ERRORS) if rows else None


def _before(block: Block) -> LogJson:
    """A log right before those of a block: what cannot be read stands behind it."""
    return LogJson("", [], "", hex(block.header.number), "0x" + "00" * 32, "0x0", "0x0")


def _in_order(*parts: pa.RecordBatch) -> pa.RecordBatch:
    whole = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    order = np.lexsort([whole.column(name).to_numpy() for name in ("ix_index", "tx_index", "slot")])
    return whole.take(pa.array(order))
