"""Which row a stage has consumed up to, in chain order: what an answer names as the place where a command took effect.

A stage that merges holds rows back until their watermark passes, so "consumed" means: older than the least watermark
of its inputs. The work is done when somebody asks, or when enough has come together.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mevflow.flows.steering.mailbox import NOWHERE, Position

#: Later rows compare greater.
ORDER = ("timestamp_us", "chain", "slot", "tx_index", "ix_index")
COORDINATES = ("source_topic", "source_partition", "source_offset")
_FOLD_ROWS, _FOLD_BATCHES = 20_000, 64


class SteeringProgress:
    """Of one stage: :meth:`add` what it takes, :meth:`pass_to` every watermark, ask :meth:`position`."""

    def __init__(self) -> None:
        # Batches with the highest watermark since they came: a source that had caught up may fall behind again.
        self._pending: list[tuple[pa.RecordBatch, int]] = []
        self._rows = 0
        self._best: tuple[int, ...] | None = None
        self._position: Position = NOWHERE
        self._ordered: dict[str, bool] = {}

    def add(self, port: str, batch: pa.RecordBatch) -> None:
        """Note what the stage takes."""
        if not batch.num_rows:
            return
        if port not in self._ordered:
            self._ordered[port] = {*ORDER, *COORDINATES} <= set(batch.schema.names)
        if self._ordered[port]:
            self._pending.append((batch.select([*ORDER, *COORDINATES]), 0))
            self._rows += batch.num_rows
        elif "source_offset" in batch.schema.names:  # without a place in a chain the last row is the furthest
            self._position = _place(batch, batch.num_rows - 1)

    def pass_to(self, hold_us: int) -> None:
        """The least watermark of the stage's inputs is now ``hold_us``."""
        self._pending = [(batch, max(hold, hold_us)) for batch, hold in self._pending]
        if self._rows > _FOLD_ROWS or len(self._pending) > _FOLD_BATCHES:
            self.position()

    def position(self) -> Position:
        """The furthest row that is behind its watermark."""
        left = []
        for batch, hold_us in self._pending:
            before = batch.column("timestamp_us").to_numpy() < hold_us
            if before.any():
                self._take(batch, np.flatnonzero(before))
            if not before.all():
                left.append((batch.filter(pa.array(~before)), hold_us))
        self._pending = left
        self._rows = sum(batch.num_rows for batch, _ in left)
        return self._position

    def _take(self, batch: pa.RecordBatch, rows: np.ndarray) -> None:
        for name in ORDER:  # narrow down to the greatest, key by key
            values = batch.column(name).to_numpy()[rows]
            rows = rows[values == values.max()]
            if len(rows) == 1:
                break
        row = int(rows[-1])
        key = tuple(int(batch.column(name)[row].as_py()) for name in ORDER)
        if self._best is None or key >= self._best:
            self._best, self._position = key, _place(batch, row)


def _place(batch: pa.RecordBatch, row: int) -> Position:
    topic, partition, offset = (batch.column(name)[row].as_py() for name in COORDINATES)
    return topic, partition, offset
