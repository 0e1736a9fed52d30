"""What is in ClickHouse already, so that a re-read after a crash inserts nothing twice.

A block that was inserted after the last snapshot will come again: the source goes back to the snapshot, and the
stages are deterministic. Its rows are known by ``ingest_seq`` at or above the snapshot's counter. They are told by
coordinates where rows come from a topic as they are (ranges of offsets), and by their identity otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash
from clickhouse_connect.driver.client import Client

from mevflow.operators.errors import StateError
from mevflow.sinks.clickhouse.columns import Column, Number, Rows, distinct
from mevflow.sinks.clickhouse.tables import Table

#: Identities are held in memory until they have come again: 16 bytes each.
MAX_IDENTITIES = 30_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """Which blocks to look at: those of this writer (or prefix), numbered from ``first`` to before ``end``."""

    writer: str
    prefix: bool
    first: int
    end: int

    def condition(self) -> str:
        """A WHERE condition with parameters ``writer``, ``first`` and ``end``."""
        who = "startsWith(ingest_by, {writer:String})" if self.prefix else "ingest_by = {writer:String}"
        return f"{who} AND ingest_seq >= {{first:UInt64}} AND ingest_seq < {{end:UInt64}}"

    def parameters(self) -> dict[str, object]:
        return {"writer": self.writer, "first": self.first, "end": self.end}


class Seen:
    """Tells rows that are there already. Base of the two ways."""

    @property
    def exhausted(self) -> bool:
        """Whether everything that was there has come again, so that nobody need ask any more."""
        raise NotImplementedError

    def fresh(self, rows: Rows) -> np.ndarray:
        """A mask of the rows that are not there, shape (n,)."""
        raise NotImplementedError


class SeenOffsets(Seen):
    """By source coordinates: the ranges of offsets that the blocks hold.

    A block holds every row of its range that the table is given, for rows arrive in the order of their offsets.
    """

    def __init__(self, client: Client, database: str, table: Table, span: Span) -> None:
        self._table = table
        found = client.query(
            "SELECT source_topic, source_partition, ingest_seq, min(source_offset), max(source_offset), "
            f"argMax(slot, source_offset) FROM {database}.{table.name} WHERE {span.condition()} "
            "GROUP BY source_topic, source_partition, ingest_by, ingest_seq",
            parameters=span.parameters(),
        ).result_rows
        self._ranges: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
        for topic, partition, _, low, high, slot in found:
            self._ranges.setdefault((topic, partition), []).append((low, high, slot))
        for ranges in self._ranges.values():
            ranges.sort()

    @property
    def exhausted(self) -> bool:
        return not self._ranges

    def fresh(self, rows: Rows) -> np.ndarray:
        mask = np.ones(rows.count, bool)
        if "source_topic" not in rows.arrays:
            return mask
        topics, keys = distinct(rows.arrays["source_topic"])
        partitions = rows.arrays["source_partition"].to_numpy(zero_copy_only=False)
        offsets = rows.arrays["source_offset"].to_numpy(zero_copy_only=False)
        slots = rows.arrays["slot"].to_numpy(zero_copy_only=False)
        for (topic, partition), ranges in list(self._ranges.items()):
            here = (partitions == partition) & _is_topic(topics, keys, topic)
            if not here.any():
                continue
            for low, high, slot in ranges:
                inside = here & (offsets >= low) & (offsets <= high)
                self._check_same(topic, partition, high, slot, slots[inside & (offsets == high)])
                mask &= ~inside
            reached = int(offsets[here].max())
            left = [entry for entry in ranges if entry[1] > reached]
            if left:
                self._ranges[topic, partition] = left
            else:
                del self._ranges[topic, partition]
        return mask

    def _check_same(self, topic: str, partition: int, offset: int, slot: int, found: np.ndarray) -> None:
        if len(found) and int(found[0]) != slot:
            raise StateError(
                f"{self._table.name} holds another message with these coordinates (slot {slot}, now {int(found[0])}): "
                "the topic was made anew",
                hint="replay under a run id of its own, or delete the old rows of this topology",
                topic=topic,
                partition=partition,
                offset=offset,
            )


class SeenIdentities(Seen):
    """By identity: a 128-bit hash of the identity columns of every row that is there."""

    def __init__(self, client: Client, database: str, table: Table, span: Span, count: int) -> None:
        if count > MAX_IDENTITIES:
            raise StateError(
                f"{table.name} has {count} rows of this topology and no snapshot says which of them will come again",
                hint="resume from the recovery store, or start under a run id of its own",
            )
        self._table = table
        makers = {column.name: column for column in table.columns}
        self._columns = [makers.get(name) or makers[f"_{name}"] for name in table.identity]
        names = ", ".join(_shown(name, column) for name, column in zip(table.identity, self._columns, strict=True))
        answer = client.query_arrow(
            f"SELECT {names} FROM {database}.{table.name} WHERE {span.condition()}",
            parameters=span.parameters(),
            settings={"output_format_arrow_string_as_string": "0"},
        )
        keys = _hash([column.combine_chunks() for column in answer.columns], answer.num_rows)
        keys = np.unique(keys, axis=0) if len(keys) else keys
        self._high, self._low = keys[:, 0].copy(), keys[:, 1].copy()
        self._missing = np.ones(len(keys), bool)

    @property
    def exhausted(self) -> bool:
        return not bool(self._missing.any())

    def fresh(self, rows: Rows) -> np.ndarray:
        keys = _hash([column.values(rows) for column in self._columns], rows.count)
        at = np.searchsorted(self._high, keys[:, 0])
        found = np.full(rows.count, -1, np.int64)
        # Equal first halves are neighbours; two different identities share one about never.
        for _ in range(4):
            inside = (at < len(self._high)) & (found < 0)
            place = np.minimum(at, len(self._high) - 1)
            match = inside & (self._high[place] == keys[:, 0]) & (self._low[place] == keys[:, 1])
            found[match] = place[match]
            at = at + 1
        self._missing[found[found >= 0]] = False
        return found < 0


def _hash(arrays: list[pa.Array], count: int) -> np.ndarray:
    """A 128-bit hash a row over its values in order, as uint64 of shape (n, 2)."""
    state = np.full((count, 2), (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F), np.uint64)
    for array in arrays:
        for half, (seed, factor) in enumerate(((1, 0xFF51AFD7ED558CCD), (2, 0xC4CEB9FE1A85EC53))):
            mixed = (state[:, half] ^ _words(array, seed)) * np.uint64(factor)
            state[:, half] = mixed ^ (mixed >> np.uint64(32))
    return state


def _words(array: pa.Array, seed: int) -> np.ndarray:
    """64 bits a value: integers as they are, text and bytes hashed."""
    if pa.types.is_integer(array.type):
        return array.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64) + np.uint64(seed)
    values, keys = distinct(array)
    texts = (value.encode() if isinstance(value, str) else value for value in values.to_pylist())
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(text, seed) for text in texts), np.uint64, len(values))
    return hashes[keys] if len(keys) else np.empty(0, np.uint64)


def _shown(name: str, column: Column) -> str:
    """The SQL that shows an identity column as ``Column.values`` does: integers, or text."""
    if name == "timestamp":
        return "toUnixTimestamp64Micro(timestamp)"
    return f"`{name}`" if isinstance(column, Number) else f"toString(`{name}`)"


def _is_topic(topics: pa.Array, keys: np.ndarray, topic: str) -> np.ndarray:
    names = topics.to_pylist()
    return keys == names.index(topic) if topic in names else np.zeros(len(keys), bool)
