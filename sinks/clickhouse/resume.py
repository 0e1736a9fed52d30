"""What is in ClickHouse already, so that a re-read after a crash inserts nothing twice.

Rows that were inserted after the last snapshot come again: the source goes back to the snapshot, and the stages
are deterministic. They come in other batches and another order, some of them only after further crashes. So nothing is
concluded from a block's bounds: before a block is cut, ClickHouse is asked which of its rows are there, each by its
identity. It is asked only about minutes of chain time in which such rows were found when the sink opened, and there
only about the stretches that the block's rows span: however many rows a minute has, about as many are read back as are
to be written.
A snapshot keeps these minutes, so that any number of crashes may follow each other; they cost nothing once the
stream is past them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from clickhouse_connect.driver.client import Client

from mevflow.sinks.clickhouse.block import rows_of, times_us
from mevflow.sinks.clickhouse.columns import BatchRows, Number, TableColumn, distinct
from mevflow.sinks.clickhouse.tables import Table

_MINUTE_US = 60_000_000
#: Rows of a block that are further apart belong to two stretches of chain time.
_APART_US = 1_000_000
#: More stretches than this are joined where the gaps between them are shortest.
MAX_SPANS = 256


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of chain time, in whole minutes, both ends included; ascending and apart. Immutable."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of_minutes(cls, minutes: Iterable[int]) -> Spans:
        """The fewest stretches that cover ``minutes``, at most MAX_SPANS."""
        return cls().joined(Spans(tuple((minute, minute) for minute in sorted(set(minutes)))))

    def joined(self, other: Spans) -> Spans:
        """Both together."""
        merged: list[list[int]] = []
        for low, high in sorted((*self.spans, *other.spans)):
            if merged and low <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        if len(merged) > MAX_SPANS:
            gaps = sorted(range(1, len(merged)), key=lambda at: merged[at - 1][1] - merged[at][0])[: MAX_SPANS - 1]
            starts = [0, *sorted(gaps)]
            ends = [*starts[1:], len(merged)]
            merged = [[merged[a][0], merged[b - 1][1]] for a, b in zip(starts, ends, strict=True)]
        return Spans(tuple((low, high) for low, high in merged))

    def holds(self, minutes: np.ndarray) -> np.ndarray:
        """Which of ``minutes`` lie inside."""
        if not self.spans:
            return np.zeros(len(minutes), np.bool_)
        lows, highs = np.array(self.spans, np.int64).T
        at = np.searchsorted(lows, minutes, side="right") - 1
        inside: np.ndarray = (at >= 0) & (minutes <= highs[at])
        return inside


def find_spans(client: Client, database: str, tables: Sequence[Table], who: str, first_seq: int) -> dict[str, Spans]:
    """Table -> minutes that have rows of writers that start with ``who``, from block ``first_seq`` on."""
    parts = [
        f"SELECT '{table.name}' AS name, groupUniqArray({_MINUTE}) AS minutes FROM {database}.{table.name} "
        "WHERE startsWith(ingest_by, {who:String}) AND ingest_seq >= {first:UInt64}"
        for table in tables
    ]
    found = client.query(" UNION ALL ".join(parts), parameters={"who": who, "first": first_seq}).result_rows
    return {name: Spans.of_minutes(minutes) for name, minutes in found if len(minutes)}


class Known:
    """Tells which rows of one table others of this topology, run and node have stored in ``spans``."""

    def __init__(self, client: Client, database: str, table: Table, spans: Spans, prefix: str, writer: str) -> None:
        self.spans = spans
        self._client, self._table = client, table
        makers = {column.name: column for column in table.columns}
        self._columns = [makers.get(name) or makers[f"_{name}"] for name in table.identity]
        names = ", ".join(_shown(name, column) for name, column in zip(table.identity, self._columns, strict=True))
        self._sql = (
            f"SELECT {names} FROM {database}.{table.name} WHERE startsWith(ingest_by, {{prefix:String}}) "
            "AND ingest_by != {writer:String} AND "
        )
        self._who = {"prefix": prefix, "writer": writer}

    def fresh(self, batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
        """``batches`` (of one month) without the rows that are there."""
        times = np.sort(np.concatenate([times_us(batch).to_numpy(zero_copy_only=False) for batch in batches]))
        times = times[self.spans.holds(times // _MINUTE_US)]
        if not len(times):
            return batches
        there = self._stored(times)
        masks = [pc.invert(pc.is_in(_hash_rows(self._columns, rows_of(batch)), there)) for batch in batches]
        kept = [batch.filter(mask) for batch, mask in zip(batches, masks, strict=True)]
        return [batch for batch in kept if batch.num_rows]

    def _stored(self, times: np.ndarray) -> pa.Array:
        """Hashes of the identities of the rows that are stored in the stretches of these ascending times."""
        answer = self._client.query_arrow(
            f"{self._sql} ({' OR '.join(_between(times))})",
            parameters=self._who,
            settings={"output_format_arrow_string_as_string": "0"},
        )
        return _hash([column.combine_chunks() for column in answer.columns], answer.num_rows)


def _between(times: np.ndarray) -> list[str]:
    """SQL that is true of a ``timestamp`` in a stretch of the ascending ``times``: one a stretch, at most MAX_SPANS.

    A row that comes again has the same time, so nothing outside can be it.
    """
    gaps = np.diff(times)
    wide = np.flatnonzero(gaps > _APART_US)
    if len(wide) >= MAX_SPANS:
        wide = np.sort(wide[np.argsort(gaps[wide])[1 - MAX_SPANS :]])
    lows, highs = times[np.append(0, wide + 1)].tolist(), times[np.append(wide, -1)].tolist()
    at = "fromUnixTimestamp64Micro({}, 'UTC')".format
    return [f"timestamp BETWEEN {at(low)} AND {at(high)}" for low, high in zip(lows, highs, strict=True)]


_MINUTE = f"intDiv(toUnixTimestamp64Micro(timestamp), {_MINUTE_US})"


def _hash_rows(columns: list[TableColumn], rows: BatchRows) -> pa.Array:
    return _hash([column.values(rows) for column in columns], rows.count)


def _hash(arrays: list[pa.Array], count: int) -> pa.Array:
    """A 128-bit hash a row over its values in order, as 16 bytes each."""
    state = np.full((count, 2), (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F), np.uint64)
    for array in arrays:
        for half, (seed, factor) in enumerate(((1, 0xFF51AFD7ED558CCD), (2, 0xC4CEB9FE1A85EC53))):
            mixed = (state[:, half] ^ _words(array, seed)) * np.uint64(factor)
            state[:, half] = mixed ^ (mixed >> np.uint64(32))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(state)])


def _words(array: pa.Array, seed: int) -> np.ndarray:
    """64 bits a value: integers as they are, text and bytes hashed."""
    if pa.types.is_integer(array.type):
        return array.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64) + np.uint64(seed)
    values, keys = distinct(array)
    texts = values.cast(pa.binary()).to_pylist()
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(text, seed) for text in texts), np.uint64, len(values))
    return hashes[keys] if len(keys) else np.empty(0, np.uint64)


def _shown(name: str, column: TableColumn) -> str:
    """The SQL that shows an identity column as ``TableColumn.values`` does: integers, or text."""
    if name == "timestamp":
        return "toUnixTimestamp64Micro(timestamp)"
    return f"`{name}`" if isinstance(column, Number) else f"toString(`{name}`)"
