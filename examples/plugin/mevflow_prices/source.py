"""``prices.csv``: a csv file of prices as columnar batches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.stage import CAUGHT_UP_US, Settings, Watermark
from mevflow.sources.source import Poll, Source
from mevflow_prices.rows import PRICES

_COLUMNS = {"timestamp_us": pa.int64(), "token": pa.string(), "usd": pa.float64()}


class CsvSettings(Settings):
    """``path``: a csv with the columns timestamp_us, token and usd, oldest first. ``max_rows``: of a batch."""

    path: Path
    max_rows: int = 1_000


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a snapshot holds: how many rows were given."""

    version: int
    rows: int


class CsvPrices(Source[CsvSettings]):
    """Reads the file once, gives it in pieces, and ends. A snapshot is the number of rows given."""

    use = "prices.csv"
    summary = "Prices from a csv file"
    settings_type = CsvSettings

    @classmethod
    def output_schemas(cls, settings: CsvSettings) -> Mapping[str, pa.Schema]:
        return {"out": PRICES}

    def open(self, state: bytes | None) -> None:
        """Raises UsageError for a file that cannot be read, StateError for a snapshot of something else."""
        self._next = _rows_of(state) if state else 0
        path = self.settings.path
        try:
            table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=_COLUMNS))
            batch = table.select(list(_COLUMNS)).combine_chunks().to_batches()[0]
        except (OSError, pa.ArrowInvalid, KeyError, IndexError) as error:
            raise UsageError(f"not a csv of prices: {error}", file=str(path)) from error
        topic = pa.array([path.name] * batch.num_rows, pa.string())
        offsets = pa.array(np.arange(batch.num_rows))
        self._rows = pa.RecordBatch.from_arrays([*batch.columns, topic, offsets], schema=PRICES)

    def poll(self) -> Poll:
        if self.behind() == 0:
            return Poll(watermark=Watermark(CAUGHT_UP_US, final=True), ended=True)
        batch = self._rows.slice(self._next, self.settings.max_rows)
        self._next += batch.num_rows
        return Poll([("out", batch)], Watermark(batch.column("timestamp_us")[-1].as_py()))

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(Position(1, self._next))

    def behind(self) -> int:
        return int(self._rows.num_rows - self._next)


def _rows_of(state: bytes) -> int:
    try:
        return msgspec.msgpack.decode(state, type=Position).rows
    except msgspec.DecodeError as error:
        raise StateError(f"the snapshot of prices.csv is not readable: {error}") from None
