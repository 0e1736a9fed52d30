"""What sources that follow a chain from its nodes have in common: a thread that reads ahead, and rows with a place.

The chain stands for a topic of one partition, and a row's place in it for an offset.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

import pyarrow as pa

from mevflow.operators.stage import StageContext

#: Row indices of what a source says of a whole block, behind everything that is in it.
AFTER_ALL = (1 << 24) - 1
_WAIT_S = 0.005

T = TypeVar("T")


class HandOver(Generic[T]):
    """From the thread that follows a chain to ``poll``: at most ``most`` things wait, beyond that the thread does."""

    def __init__(self, most: int) -> None:
        self._ready: queue.Queue[T | Exception] = queue.Queue(most)
        #: Set when the source closes.
        self.stop = threading.Event()

    def put(self, ready: T | Exception) -> None:
        """Hand over what is ready, or why the thread has ended; nothing any more once the source closes."""
        while not self.stop.is_set():
            try:
                self._ready.put(ready, timeout=0.1)
                return
            except queue.Full:
                continue

    def take(self) -> T | None:
        """What is ready within a few milliseconds. Raises what ended the thread."""
        try:
            ready = self._ready.get(timeout=_WAIT_S)
        except queue.Empty:
            return None
        if isinstance(ready, Exception):
            raise ready
        return ready

    @property
    def waiting(self) -> int:
        """Things that were handed over and not taken."""
        return self._ready.qsize()


def placed(batch: pa.RecordBatch, schema: pa.Schema, topic: str, fork: int, offsets: Sequence[int]) -> pa.RecordBatch:
    """Rows of a fork with coordinates."""
    rows = batch.num_rows
    topics = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array([topic]))
    at = batch.schema.get_field_index("fork")
    batch = batch.set_column(at, batch.schema.field(at), pa.array([fork] * rows, pa.uint64()))
    columns = [*batch.columns, topics, pa.array([0] * rows, pa.int32()), pa.array(offsets, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def named(errors: pa.RecordBatch, context: StageContext) -> pa.RecordBatch:
    """Dead letters with the place in the topology that they come from."""
    for name, value in (("topology", context.topology), ("stage", context.node)):
        at = errors.schema.get_field_index(name)
        errors = errors.set_column(at, errors.schema.field(at), pa.array([value] * errors.num_rows))
    return errors
