"""Changes of liquidity and liquidations, as ``label`` needs them: kept until the swaps of their slot are labelled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.codec import COORDINATES, codec
from mevflow.operators.errors import StateError
from mevflow.v1 import market_pb2 as market

_COLUMNS = (
    "chain",
    "slot",
    "tx_index",
    "ix_index",
    "timestamp_us",
    "signature",
    "signer",
    "pool",
    "tick_lower",
    "tick_upper",
    "liquidity_delta",
    "kind",
)
_UPDATE = codec("mevflow.v1.PoolUpdate").schema
#: What of such a row is kept, with the coordinates of its row.
MOVE: pa.Schema = pa.schema([*(_UPDATE.field(name) for name in (*_COLUMNS, "fork")), *COORDINATES])
#: The same, of a file.
BARE_MOVE: pa.Schema = pa.schema([_UPDATE.field(name) for name in (*_COLUMNS, "fork")])
_PLACE = ("chain", "slot", "tx_index", "ix_index")
#: More of them are not kept: the oldest go.
_MOST = 200_000


def moves_of(updates: pa.RecordBatch, schema: pa.Schema = MOVE) -> pa.RecordBatch:
    """The rows of ``PoolUpdate`` that say whose position changed, over which range and by how much, or liquidations."""
    told = pc.and_(
        pc.equal(updates.column("kind"), market.PoolUpdate.KIND_LIQUIDITY),
        pc.and_(
            pc.equal(pc.binary_length(updates.column("liquidity_delta")), 16),
            pc.greater(pc.binary_length(updates.column("signer")), 0),
        ),
    )
    told = pc.and_(told, pc.less(updates.column("tick_lower"), updates.column("tick_upper")))
    told = pc.or_(told, pc.equal(updates.column("kind"), market.PoolUpdate.KIND_LIQUIDATION))
    return updates.filter(told).select(schema.names).cast(schema)


def of_kind(moves: pa.RecordBatch, kind: int) -> pa.RecordBatch:
    """The rows of one kind of update."""
    return moves.filter(pc.equal(moves.column("kind"), kind))


class OpenMoves:
    """Such rows of slots that are not labelled yet. Memory: their rows, at most 200,000."""

    def __init__(self, schema: pa.Schema = MOVE) -> None:
        self._schema = schema
        self._held: list[pa.RecordBatch] = []

    def add(self, moves: pa.RecordBatch) -> None:
        if moves.num_rows:
            self._held.append(moves)
        over = sum(batch.num_rows for batch in self._held) - _MOST
        while over > 0:  # row by row: how they came in batches changes nothing
            oldest = self._held.pop(0)
            if oldest.num_rows > over:
                self._held.insert(0, oldest.slice(over))
            over -= oldest.num_rows

    def take(self, closed: Mapping[int, int]) -> pa.RecordBatch:
        """The rows of slots up to the last that is ``closed``, by chain; each place once."""
        whole = self._whole()
        chain, slot = (whole.column(name).to_numpy().astype(np.uint64) for name in ("chain", "slot"))
        done = np.zeros(whole.num_rows, np.bool_)
        for one, last in closed.items():
            done |= (chain == one) & (slot <= last)
        if not done.any():
            return whole.slice(0, 0)
        self._held = [whole.filter(pa.array(~done))] if not done.all() else []
        found = whole.filter(pa.array(done))
        order = np.lexsort([found.column(name).to_numpy() for name in reversed(_PLACE)])
        found = found.take(pa.array(order))
        again = np.ones(found.num_rows, np.bool_)
        again[0] = False
        for name in (*_PLACE, "pool"):
            column = found.column(name).to_numpy(zero_copy_only=False)
            again[1:] &= column[1:] == column[:-1]
        return found.filter(pa.array(~again))

    def undo(self, chain: int, first: int, last: int) -> None:
        """Slots ``first`` to ``last`` do not hold."""
        whole = self._whole()
        slot = whole.column("slot").to_numpy()
        gone = (whole.column("chain").to_numpy() == chain) & (slot >= first) & (slot <= last)
        kept = whole.filter(pa.array(~gone))
        self._held = [kept] if kept.num_rows else []

    def _whole(self) -> pa.RecordBatch:
        if not self._held:
            return pa.RecordBatch.from_pylist([], schema=self._schema)
        # Dictionary columns may differ from batch to batch; the table makes them one.
        table = pa.Table.from_batches([batch.cast(self._schema) for batch in self._held])
        return table.unify_dictionaries().combine_chunks().to_batches()[0]

    def snapshot(self) -> bytes:
        """What is held."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_batch(self._whole())
        return bytes(sink.getvalue().to_pybytes())

    def restore(self, state: bytes) -> None:
        """Raises StateError where the columns are others."""
        with pa.ipc.open_stream(state) as reader:
            if not reader.schema.equals(self._schema):
                raise StateError("held changes of liquidity have other columns", hint="deploy with --fresh")
            self._held = [batch for batch in reader if batch.num_rows]
