"""A stretch of merged rows as the kernel reads it: one array a column, an order, and what was wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.codec import COORDINATES
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.detect.columns import Words
from mevflow.operators.detect.screen.kernel import Columns
from mevflow.operators.detect.told import SwapTold, ToldRows, UpdateTold
from mevflow.operators.merge import Stretch
from mevflow.operators.stage import StageContext

#: Inputs in the order that breaks ties: an update goes before a swap with the same coordinates.
PORTS = ("updates", "swaps")
UPDATES, SWAPS = 0, 1
#: What an event says of itself.
EVENT_FIELDS = ("chain", "slot", "tx_index", "ix_index", "timestamp_us")


class RefusedRow:
    """Input rows for the ``errors`` port, in the order in which they were refused."""

    def __init__(self) -> None:
        self._rows: list[tuple[pa.RecordBatch, int, str, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: pa.RecordBatch, row: int, reason: str, detail: str) -> None:
        """Row ``row`` of ``batch``, and why."""
        self._rows.append((batch, row, reason, detail))

    def letters(self, context: StageContext) -> Iterator[pa.RecordBatch]:
        """The dead letters: a batch for rows that stand together in one input."""
        for _, group in groupby(self._rows, key=lambda refused: id(refused[0])):
            batches, rows, reasons, details = zip(*group, strict=True)
            yield dead_letters(context, batches[0].take(pa.array(rows)), reasons, details)


class At(NamedTuple):
    """Where an event stands in chain order, and its pool's number (-1: rejected)."""

    chain: int
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int
    pool: int


class Events:
    """``source[i]`` and ``row[i]`` say which input row event ``i`` is; swap columns are indexed by row."""

    def __init__(self, stretch: Stretch) -> None:
        self.updates, self.swaps = stretch.batches
        self._places = [[batch.column(name).to_numpy() for name in EVENT_FIELDS] for batch in stretch.batches]
        self.source, self.row, self.late = stretch.source, stretch.row, stretch.late
        #: Events whose slot cannot be: they are in ``errors``.
        self.astray = stretch.astray
        self.errors = RefusedRow()
        rows = self.swaps.num_rows
        #: The number of each swap's pool; -2: the row is in ``errors``.
        self.pool: NDArray[np.int32] = np.full(rows, -1, np.int32)
        #: The same of each update, by event, once it has been applied.
        self.update_pool: dict[int, int] = {}
        #: The pool of each event that is in ``errors``, where it is known: what the event did to it is not.
        self.doubted: dict[int, int] = {}
        #: By pool: (event, the decimals that it had before) of each update that told others.
        self.retold: defaultdict[int, list[tuple[int, tuple[int, int]]]] = defaultdict(list)
        #: Rows of swaps that the compiled loop does not apply.
        self.alone: NDArray[np.bool_] = np.zeros(rows, np.bool_)
        #: Events after which an episode may have ended: updates, swaps that stand alone, those of pools that were warm.
        self.touched: NDArray[np.bool_] = self.source == UPDATES
        self.tick = self.swaps.column("tick").to_numpy()
        self.fee = self.swaps.column("fee_pips").to_numpy()
        self.amounts: dict[str, Words] = {}
        self.price: Words = np.zeros((rows, 3), np.uint64)
        self.price_width: NDArray[np.int32] = np.zeros(rows, np.int32)

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def swap_columns(self) -> Columns:
        """The swaps as the kernel reads them."""
        amounts, (_, slot, tx_index, ix_index, time_us) = self.amounts, self._places[SWAPS]
        return Columns(
            self.row, self.late, self.pool, self.price, self.price_width,
            amounts["liquidity"], amounts["reserve_a"], amounts["reserve_b"],
            self.tick, self.fee, time_us, slot, tx_index, ix_index,
        )  # fmt: skip

    @cached_property
    def updates_told(self) -> ToldRows[UpdateTold]:
        """The updates by field."""
        return ToldRows(self.updates, UpdateTold, self.row[self.source == UPDATES])

    @cached_property
    def swaps_told(self) -> ToldRows[SwapTold]:
        """The swaps that stand alone by field; to be asked for when it is known which do."""
        rows = self.row[self.source == SWAPS]
        return ToldRows(self.swaps, SwapTold, rows[self.alone[rows]])

    def is_update(self, event: int) -> bool:
        return bool(self.source[event] == UPDATES)

    def stands_alone(self, event: int) -> bool:
        """Whether an event is a swap that the compiled loop does not apply."""
        return not self.is_update(event) and bool(self.alone[self.row[event]])

    def runs(self) -> Iterator[tuple[int, int]]:
        """(begin, end) of each update and each swap that stands alone, and of the swaps between them."""
        at = 0
        single = self.source == UPDATES
        if self.alone.any():
            swaps = ~single
            single = single.copy()
            single[swaps] = self.alone[self.row[swaps]]
            self.touched |= single
        for update in [*np.flatnonzero(single).tolist(), len(self)]:
            if update > at:
                yield at, update
            if update < len(self):
                yield update, update + 1
            at = update + 1

    def ordered(self, port: str) -> pa.RecordBatch:
        """One input's rows in chain order, without those in ``errors``."""
        source = PORTS.index(port)
        batch = self.swaps if source == SWAPS else self.updates
        rows = self.row[self.source == source]
        if source == SWAPS:
            rows = rows[self.pool[rows] >= 0]
        elif len(rows):
            rows = self.row[sorted(self.update_pool)]
        if len(rows) == batch.num_rows and (rows[1:] > rows[:-1]).all():
            return batch
        return batch.take(pa.array(rows))

    def at(self, event: int) -> At:
        """Where an event stands."""
        source, row = int(self.source[event]), int(self.row[event])
        pool = self.update_pool.get(event, -1) if source == UPDATES else int(self.pool[row])
        if pool < 0:
            pool = self.doubted.get(event, -1)
        chain, slot, tx_index, ix_index, time_us = self._places[source]
        place = chain.item(row), slot.item(row), tx_index.item(row), ix_index.item(row), time_us.item(row)
        return At(*place, pool)

    def pools(self, events: list[int]) -> list[int]:
        """The numbers of the events' pools, -1 for one that is not known."""
        if not events or (self.source[events] == UPDATES).any():
            return [self.at(event).pool for event in events]
        pools = self.pool[self.row[events]].tolist()
        return [pool if pool >= 0 else self.doubted.get(event, -1) for event, pool in zip(events, pools, strict=True)]

    def columns(self, events: list[int]) -> dict[str, pa.Array]:
        """EVENT_FIELDS and coordinates of ``events``, as columns."""
        source, row = self.source[events], self.row[events]
        names = [*EVENT_FIELDS, *COORDINATES.names]
        parts = [
            batch.select(names).take(pa.array(row[source == at])) for at, batch in enumerate((self.updates, self.swaps))
        ]
        if all(part.num_rows for part in parts):
            whole = pa.Table.from_batches(parts).unify_dictionaries().combine_chunks()
            back = np.empty(len(events), np.int64)
            back[np.concatenate([np.flatnonzero(source == UPDATES), np.flatnonzero(source == SWAPS)])] = np.arange(
                len(events)
            )
            taken = whole.take(pa.array(back))
            return {name: taken.column(name).combine_chunks() for name in names}
        part = parts[SWAPS] if parts[SWAPS].num_rows else parts[UPDATES]
        return {name: part.column(name) for name in names}

    def reject(self, batch: pa.RecordBatch, row: int, reason: str, detail: str) -> None:
        """Make a dead letter of an input row."""
        self.errors.add(batch, row, reason, detail)
