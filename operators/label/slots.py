"""Rows in any interleaving of partitions -> the rows of whole slots, once nothing of them is outstanding.

Watermarks alone do not tell: a live source that has read all there is says so in the middle of a slot as well. So the
newest slots of each chain stay open until newer ones have come, or the stream ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.errors import StateError
from mevflow.operators.merge import ORDER


class _State(msgspec.Struct):
    closed: dict[int, int]
    held: bytes


class OpenSlots:
    """Holds the newest ``hold`` slots of each chain. Memory: their rows.

    A slot number that cannot be (a stray row far ahead) takes up one of the held slots until the stream ends, and
    nothing else.
    """

    def __init__(self, schema: pa.Schema, hold: int) -> None:
        self._schema = schema
        self._hold = hold
        self._held: pa.RecordBatch = _empty(schema)
        self._closed: dict[int, int] = {}

    @property
    def closed(self) -> Mapping[int, int]:
        """The last slot of each chain that has been given."""
        return self._closed

    def late(self, batch: pa.RecordBatch) -> NDArray[np.bool_]:
        """Which rows belong to slots that have been given already."""
        chain, slot = _numbers(batch, "chain"), _numbers(batch, "slot")
        late = np.zeros(batch.num_rows, np.bool_)
        for one, last in self._closed.items():
            late |= (chain == one) & (slot <= last)
        return late

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Take rows that are not late; give the rows of slots that are complete, in chain order, each once."""
        if not batch.num_rows:
            return _empty(self._schema)
        return self._give(self._hold, batch.select(self._schema.names).cast(self._schema))

    def undo(self, chain: int, first: int, last: int) -> None:
        """Slots ``first`` to ``last`` do not hold: drop their rows, and open them again."""
        held = self._held
        slot = _numbers(held, "slot")
        gone = (_numbers(held, "chain") == chain) & (slot >= first) & (slot <= last)
        if gone.any():
            kept = held.filter(pa.array(~gone))
            self._held = kept if kept.num_rows else _empty(self._schema)
        if first <= self._closed.get(chain, -1) <= last:
            if first:
                self._closed[chain] = first - 1
            else:
                del self._closed[chain]

    def finish(self) -> pa.RecordBatch:
        """Give all that is held: the stream has ended."""
        return self._give(0, _empty(self._schema))

    def _give(self, hold: int, new: pa.RecordBatch) -> pa.RecordBatch:
        # Dictionary columns may differ from batch to batch; the table makes them one.
        rows = pa.Table.from_batches([self._held, new]).unify_dictionaries().combine_chunks()
        if not rows.num_rows:
            return _empty(self._schema)
        whole = rows.to_batches()[0]
        keys: list[NDArray[Any]] = [_numbers(whole, name) for name in ORDER]
        order = np.lexsort(keys[::-1])
        again = _repeated(keys, order)
        if again.any() and "pool" in whole.schema.names:
            # Rows recorded before every row had a place of its own may share one: other pools, other swaps.
            keys.append(pc.dictionary_encode(whole.column("pool")).indices.to_numpy())
            order = np.lexsort(keys[::-1])
            again = _repeated(keys, order)
        order = order[~again]
        chain, slot = keys[0][order], keys[1][order]
        ready = np.zeros(len(order), np.bool_)
        for one in np.unique(chain):
            here = chain == one
            slots = np.unique(slot[here])
            done = slots[: max(len(slots) - hold, 0)]
            if len(done):
                ready |= here & (slot <= done[-1])
                self._closed[int(one)] = max(int(done[-1]), self._closed.get(int(one), 0))
        # A row takes its dictionary along; no row, no dictionary, so that equal state has equal bytes.
        self._held = _empty(self._schema) if ready.all() else whole.take(pa.array(order[~ready]))
        return whole.take(pa.array(order[ready]))

    def snapshot(self) -> bytes:
        """What is held, and how far each chain has been given."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_batch(self._held)
        return msgspec.msgpack.encode(_State(self._closed, sink.getvalue().to_pybytes()))

    def restore(self, state: bytes) -> None:
        """Raises StateError where the columns are others."""
        saved = msgspec.msgpack.decode(state, type=_State)
        with pa.ipc.open_stream(saved.held) as reader:
            if not reader.schema.equals(self._schema):
                raise StateError("held swaps have other columns", hint="deploy with --fresh")
            table = reader.read_all().combine_chunks()
        self._held = table.to_batches()[0] if table.num_rows else _empty(self._schema)
        self._closed = saved.closed


def _repeated(keys: list[NDArray[Any]], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows, in ``order``, have the keys of the row before them."""
    again = np.ones(len(order), np.bool_)
    again[0] = False
    for key in keys:
        again[1:] &= key[order][1:] == key[order][:-1]
    return again


def _numbers(batch: pa.RecordBatch, name: str) -> NDArray[np.uint64]:
    column: NDArray[np.uint64] = batch.column(name).to_numpy().astype(np.uint64)
    return column


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
