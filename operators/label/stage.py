"""``label``: swaps in, what their transactions were out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.dead_letters import refuse
from mevflow.operators.errors import StateError
from mevflow.operators.label.candidates import blocks
from mevflow.operators.label.find import find
from mevflow.operators.label.rejects import faults
from mevflow.operators.label.rows import LABEL, LOCATED, label_batch, rows
from mevflow.operators.label.settings import LabelSettings
from mevflow.operators.label.slots import OpenSlots
from mevflow.operators.merge import ChainMerge
from mevflow.operators.stage import Output, Settings, Stage, StageContext, Watermark

SWAP = codec("mevflow.v1.Swap").located
SNAPSHOT_VERSION = 1


class _State(msgspec.Struct):
    version: int
    merge: bytes
    slots: bytes


class Label(Stage):
    """Gather the swaps of whole slots, then look for arbitrages within transactions and sandwiches within slots.

    Ports
    -----
    in : located Swap rows, in any interleaving of partitions; watermarks release them.
    labels : Label rows in chain order, with the source coordinates of the first swap that they name.
    errors : swaps without chain, pool, mints or amounts, and swaps of slots that are labelled already (``late_swap``).

    A slot is labelled when ``hold_slots`` newer ones have been seen, or the stream ends. With several shards, each
    labels its own slots (slot modulo shards).
    """

    use = "label"
    summary = "Realised arbitrages and sandwiches, by transaction"
    settings_type = LabelSettings
    settings: LabelSettings

    def __init__(self, settings: LabelSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._merge = ChainMerge({"in": SWAP})
        self._slots = OpenSlots(LOCATED, settings.hold_slots)

    @classmethod
    def input_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema | None]:
        return {"in": SWAP}

    @classmethod
    def output_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema]:
        return {"labels": LABEL, "errors": ERRORS}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        self._merge.add(port, batch)
        return ()

    def on_watermark(self, port: str, watermark: Watermark) -> Iterator[tuple[str, pa.RecordBatch]]:
        stretch = self._merge.advance(port, watermark, frozenset({port}))
        if stretch is not None:
            batch = stretch.batches[0].take(pa.array(stretch.row))
            late = (self._slots.late(batch), "late_swap", "its slot has been labelled already")
            good, letters = refuse(self.context, batch, [*faults(batch), late])
            yield from self._label(self._slots.add(good))
            if letters is not None:
                yield "errors", letters
        if watermark.final:
            yield from self._label(self._slots.finish())

    def _label(self, swaps: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        if self.context.shards > 1:
            mine = swaps.column("slot").to_numpy() % np.uint64(self.context.shards) == self.context.shard
            swaps = swaps.filter(pa.array(mine))
        labels = [row for block in blocks(swaps) for row in rows(find(block, self.settings), swaps)]
        if labels:
            yield "labels", label_batch(labels)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(_State(SNAPSHOT_VERSION, self._merge.snapshot(), self._slots.snapshot()))

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
        except (msgspec.DecodeError, pa.ArrowInvalid) as error:
            raise StateError("a snapshot of label cannot be read", hint="deploy with --fresh") from error
