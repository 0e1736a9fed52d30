"""``label``: swaps in, what their transactions were out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.chain_mark import SLOT_AHEAD, SLOT_AHEAD_DETAIL
from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.dead_letters import refuse
from mevflow.operators.errors import StateError
from mevflow.operators.label.candidates import blocks
from mevflow.operators.label.find import find
from mevflow.operators.label.jit import jit_liquidity
from mevflow.operators.label.moves import MOVE, OpenMoves, moves_of, of_kind
from mevflow.operators.label.rejects import faults
from mevflow.operators.label.rows import LABEL, LOCATED, jit_rows, label_batch, liquidation_rows, rows, undone
from mevflow.operators.label.settings import LabelSettings
from mevflow.operators.label.slots import OpenSlots
from mevflow.operators.merge import ChainMerge
from mevflow.operators.stage import Output, Stage, StageContext, Watermark
from mevflow.v1 import market_pb2 as market

SWAP = codec("mevflow.v1.Swap").located
UPDATE = codec("mevflow.v1.PoolUpdate").located
SNAPSHOT_VERSION = 4
_REORG, _SKIPPED = market.PoolUpdate.KIND_REORG, market.PoolUpdate.KIND_SKIPPED
_LAST_SLOT = (1 << 64) - 1
_ORDER = ("chain", "slot", "tx_index", "kind", "group")


class _State(msgspec.Struct):
    version: int
    merge: bytes
    slots: bytes
    moving: bytes
    moves: bytes
    said: list[dict[str, Any]]


class Label(Stage[LabelSettings]):
    """Gather the swaps of whole slots, then look for arbitrages within transactions and sandwiches within slots.

    With changes of liquidity, for just-in-time liquidity too; liquidations are joined with the swaps beside them.

    Ports
    -----
    in : located Swap rows, in any interleaving of partitions; watermarks release them.
    updates : located PoolUpdate rows. KIND_LIQUIDITY and KIND_LIQUIDATION are looked through with the swaps of their
        slot. KIND_REORG and
        KIND_SKIPPED count when they are read: what waits of those slots is dropped, and what was said of them is taken
        back. Rows of a fork that it has not told of wait for it. Need not be fed.
    labels : Label rows in chain order, with the source coordinates of the first swap that they name. A row of kind
        ``undone`` takes back the labels of its ``group``.
    errors : swaps without chain, pool, mints or amounts, and swaps of slots that are labelled already (``late_swap``).

    A slot is labelled when ``hold_slots`` newer ones have been seen, or the stream ends. With several shards, each
    labels its own slots (slot modulo shards).
    """

    use = "label"
    summary = "Realised arbitrages, sandwiches, just-in-time liquidity and liquidations, by transaction"
    settings_type = LabelSettings

    def __init__(self, settings: LabelSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._inputs = frozenset({"in"}) | (context.inputs & {"updates"})
        self._merge = ChainMerge({"in": SWAP}, told="updates" in self._inputs or not context.inputs)
        self._slots = OpenSlots(LOCATED, settings.hold_slots)
        self._moving = ChainMerge({"updates": MOVE})
        self._moves = OpenMoves()
        #: The first row of each finding of the last slots, as it would be taken back.
        self._said: list[dict[str, Any]] = []

    def counts(self) -> Mapping[str, float]:
        return self._merge.counts

    @classmethod
    def input_schemas(cls, settings: LabelSettings) -> Mapping[str, pa.Schema | None]:
        return {"in": SWAP, "updates": UPDATE}

    @classmethod
    def output_schemas(cls, settings: LabelSettings) -> Mapping[str, pa.Schema]:
        return {"labels": LABEL, "errors": ERRORS}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        if port == "updates":
            return list(self._gone_back(batch))
        self._merge.add(port, batch)
        return ()

    def _gone_back(self, updates: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        kinds = updates.column("kind").to_numpy()
        begin = 0
        for row in np.flatnonzero(np.isin(kinds, (_REORG, _SKIPPED))).tolist():
            self._moving.add("updates", moves_of(updates.slice(begin, row - begin)))
            begin = row + 1
            chain, first, fork = (int(updates.column(name)[row].as_py()) for name in ("chain", "slot", "fork"))
            last = first if kinds[row] == _SKIPPED else _LAST_SLOT
            if self._moving.undo(chain, first, last, fork):
                self._moves.undo(chain, first, last)
            if not self._merge.undo(chain, first, last, fork):
                continue
            self._slots.undo(chain, first, last)
            gone = [one for one in self._said if one["chain"] == chain and first <= one["slot"] <= last]
            self._said = [one for one in self._said if one not in gone]
            if gone:
                yield "labels", label_batch(gone)
        self._moving.add("updates", moves_of(updates.slice(begin)))

    def on_watermark(self, port: str, watermark: Watermark) -> Iterator[tuple[str, pa.RecordBatch]]:
        if port == "updates" and (moved := self._moving.advance(port, watermark, frozenset({port}))) is not None:
            self._moves.add(moved.batches[0])
        stretch = self._merge.advance(port, watermark, self._inputs)
        if stretch is not None:
            batch = stretch.batches[0].take(pa.array(stretch.row))
            late = (self._slots.late(batch), "late_swap", "its slot has been labelled already")
            astray = (stretch.astray, SLOT_AHEAD, SLOT_AHEAD_DETAIL)
            good, letters = refuse(self.context, batch, [*faults(batch), astray, late])
            yield from self._label(self._slots.add(good))
            if letters is not None:
                yield "errors", letters
        if watermark.final and self._merge.over(self._inputs):
            yield from self._label(self._slots.finish())

    def _label(self, swaps: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        swaps = self._mine(swaps)
        labels = [row for block in blocks(swaps) for row in rows(find(block, self.settings), swaps)]
        moves = self._mine(self._moves.take(self._slots.closed))
        if moves.num_rows:
            changed = of_kind(moves, market.PoolUpdate.KIND_LIQUIDITY)
            more = jit_rows(jit_liquidity(changed, swaps), changed, swaps)
            more += liquidation_rows(of_kind(moves, market.PoolUpdate.KIND_LIQUIDATION), swaps)
            labels = sorted([*labels, *more], key=lambda row: [row[name] for name in _ORDER])
        if labels:
            self._remember(labels)
            yield "labels", label_batch(labels)

    def _mine(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of this shard's slots."""
        if self.context.shards == 1:
            return rows
        return rows.filter(
            pa.array(rows.column("slot").to_numpy() % np.uint64(self.context.shards) == self.context.shard)
        )

    def _remember(self, labels: list[dict[str, Any]]) -> None:
        depth = self.settings.reorg_slots
        if not depth:
            return
        firsts = {row["group"]: row for row in reversed(labels)}
        self._said += [undone(row) for row in reversed(firsts.values())]
        newest: dict[int, int] = {}
        for row in self._said:
            newest[row["chain"]] = max(row["slot"], newest.get(row["chain"], 0))
        self._said = [row for row in self._said if row["slot"] > newest[row["chain"]] - depth]

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(
            _State(
                SNAPSHOT_VERSION,
                self._merge.snapshot(),
                self._slots.snapshot(),
                self._moving.snapshot(),
                self._moves.snapshot(),
                self._said,
            )
        )

    def restore(self, state: bytes) -> None:
        try:
            saved = msgspec.msgpack.decode(state, type=_State)
            if saved.version != SNAPSHOT_VERSION:
                raise StateError(
                    f"a snapshot of label has version {saved.version}, not {SNAPSHOT_VERSION}",
                    hint="deploy with --fresh",
                )
            self._merge.restore(saved.merge)
            self._slots.restore(saved.slots)
            self._moving.restore(saved.moving)
            self._moves.restore(saved.moves)
            self._said = saved.said
        except (msgspec.MsgspecError, pa.ArrowInvalid) as error:
            raise StateError("a snapshot of label cannot be read", hint="deploy with --fresh") from error
