"""A block: rows of one table and one month, which become one INSERT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse import native
from mevflow.sinks.clickhouse.columns import LAST_US, BatchRows, encode_all, misfits
from mevflow.sinks.clickhouse.tables import Table

#: Batches are sent as they are when they have about so many rows; smaller ones are joined first.
_SMALL_BATCH_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class InsertBlock:
    """Rows of one table and one month, numbered ``seq`` among those of ``writer``."""

    table: Table
    batches: list[pa.RecordBatch]
    context: StageContext
    writer: str
    seq: int

    @property
    def rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    def encode(self) -> tuple[list[str], list[bytes | memoryview]]:
        """(column names, Native blocks in pieces). Raises ColumnError for rows that the table cannot hold.

        A column that no row of the block sets is left out.
        """
        batches = self.batches
        if len(batches) > 1 and self.rows < _SMALL_BATCH_ROWS * len(batches):
            batches = [pa.concat_batches(batches)]
        encoded = [self._encode_batch(batch) for batch in batches]
        sent = {name for columns in encoded for name, column in columns if not column.unset}
        pieces: list[bytes | memoryview] = []
        for batch, columns in zip(batches, encoded, strict=True):
            pieces += native.block([column for column in columns if column[0] in sent], batch.num_rows)
        return [name for name, _ in encoded[0] if name in sent], pieces

    def _encode_batch(self, batch: pa.RecordBatch) -> list[tuple[str, native.Encoded]]:
        rows = batch.num_rows
        columns = encode_all(self.table.columns, rows_of(batch))
        if not self.table.states_run:
            columns.append(("topology", native.constant(self.context.topology, rows)))
            columns.append(("run_id", native.constant(self.context.run_id, rows)))
        columns.append(("_ingest_by", native.constant(self.writer, rows)))
        columns.append(("_ingest_seq", native.fixed("UInt64", np.full(rows, self.seq, np.uint64))))
        return columns

    def sifted(self) -> tuple[InsertBlock, list[tuple[pa.RecordBatch, list[str]]]]:
        """The block without the rows that its table cannot hold, and those rows with why."""
        kept: list[pa.RecordBatch] = []
        misfit: list[tuple[pa.RecordBatch, list[str]]] = []
        for batch in self.batches:
            wrong = misfits(self.table.columns, rows_of(batch))
            if wrong:
                rows = sorted(wrong)
                misfit.append((batch.take(pa.array(rows)), [wrong[row] for row in rows]))
                stays = np.ones(batch.num_rows, bool)
                stays[rows] = False
                batch = batch.filter(pa.array(stays))
            if batch.num_rows:
                kept.append(batch)
        return replace(self, batches=kept), misfit

    def halves(self, numbers: Iterator[int]) -> tuple[InsertBlock, InsertBlock]:
        """The block as two, numbered anew: each is there whole or not at all."""
        whole = pa.concat_batches(self.batches)
        middle = whole.num_rows // 2
        first, second = (
            replace(self, batches=[part], seq=next(numbers)) for part in (whole.slice(0, middle), whole.slice(middle))
        )
        return first, second


def rows_of(batch: pa.RecordBatch) -> BatchRows:
    """A batch as column makers see it."""
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    chain = arrays.get("chain")
    chains = None if chain is None else chain.fill_null(0).to_numpy(zero_copy_only=False)
    return BatchRows(arrays, chains, batch.num_rows)


def times_us(batch: pa.RecordBatch) -> pa.Array:
    """Chain times as the table has them; those beyond its ends (their rows are sifted out later) are moved to them."""
    times = batch.column(batch.schema.get_field_index("timestamp_us"))
    if times.null_count:
        times = times.fill_null(0)
    ends = pc.min_max(times).as_py()
    if len(times) and (ends["min"] < 0 or ends["max"] > LAST_US):
        times = pc.max_element_wise(pc.min_element_wise(times, LAST_US), 0)
    return times


def by_month(batches: Sequence[pa.RecordBatch]) -> list[list[pa.RecordBatch]]:
    """The rows by calendar month (UTC) of ``timestamp_us``, in their order; most often there is only one."""
    months: dict[int, list[pa.RecordBatch]] = {}
    for batch in batches:
        times = times_us(batch)
        ends = pc.min_max(times).as_py()
        if _month(ends["min"]) == _month(ends["max"]):
            months.setdefault(_month(ends["min"]), []).append(batch)
            continue
        keys = times.to_numpy(zero_copy_only=False).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        for month in np.unique(keys):
            months.setdefault(int(month), []).append(batch.filter(pa.array(keys == month)))
    return list(months.values())


def _month(timestamp_us: int) -> int:
    return int(np.datetime64(timestamp_us, "us").astype("datetime64[M]").astype(np.int64))
