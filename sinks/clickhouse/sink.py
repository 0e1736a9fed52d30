"""``clickhouse.sink``: batches of any mevflow message into its table, each row effectively once.

What was written is known by row. Nothing is concluded from how far a block or an offset reaches, so the number of
crashes in a row, their places, and how a re-read is cut into batches do not matter.

1. ``open`` claims the lineage (topology/run/node/shard) under the next epoch, and fences all earlier ones: the engine
   refuses what a zombie sends from then on (``clickhouse_claim``). It waits until no INSERT is left that may have
   passed before the fence stood.
2. ``open`` asks which minutes of chain time have rows that were stored after the last snapshot (their number
   ``ingest_seq`` is at or above the snapshot's). Those, and the ones that the snapshot names, may have rows that come
   again.
3. ``write`` gathers batches. A full buffer is cut into blocks, one a month. Rows in those minutes are looked up by
   identity, and those that are there are left out (``clickhouse_resume``). Each block is one INSERT into one
   partition: it is stored whole or not at all. A row that its table cannot hold becomes a dead letter
   (``clickhouse_rejects``).
4. ``snapshot`` cuts what is left, waits until ClickHouse has all of it, makes the dead letters durable, checks that
   the claim still stands (so no block met a fence), and gives the next number and the minutes as state.
5. The runtime stores that state together with the sources' positions.

Fail points (:mod:`mevflow.processes.fail_points`): ``sink claimed`` and ``sink fenced`` in 1, ``sink opened`` after 2,
``sink stored`` after each block of 3, ``sink flushed`` and ``sink snapshot`` in 4.

States of a row, and what a death between two steps leaves:

| the row is | died in | the next ``open`` finds | when the row comes again |
|---|---|---|---|
| gathered, or in a block that is not stored | 3 | nothing | it is stored |
| in a stored block, others of its cut are not | 3, 4 | its minute, by number | it is known, others are stored |
| stored, the snapshot not made or not kept | 4, 5 | its minute, by number | it is known |
| stored before an earlier crash, has not come again | 2 to 5 | its minute, in the state | it is known |
| stored, and the snapshot is kept | after 5 | nothing | it does not come again |
| sent by a process that stood still | any | its minute, if stored | known or stored; the zombie is refused |
| a dead letter | 3 to 5 | its letter's minute | it is the same dead letter again |

With no state at all (a first start, or ``--fresh``) every row of the topology, run and node may come again.
``mev_stats_1m`` and ``raw_swaps`` are views over the rows, so they have nothing of their own that could be wrong.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from pydantic import Field, SecretStr

from mevflow.clickhouse.client import connect
from mevflow.metrics.page import Page
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.stage import Settings, StageContext, Watermark
from mevflow.processes.fail_points import passed
from mevflow.sinks.clickhouse.block import InsertBlock, by_month, times_us
from mevflow.sinks.clickhouse.claim import claim
from mevflow.sinks.clickhouse.figures import Figures
from mevflow.sinks.clickhouse.rejects import LETTER, Rejects
from mevflow.sinks.clickhouse.resume import Known, Spans, find_spans
from mevflow.sinks.clickhouse.tables import TABLES, Table
from mevflow.sinks.clickhouse.writer import Inserter, Writers, end_inserts
from mevflow.sinks.sink import Sink

log = logging.getLogger("mevflow.clickhouse")

STATE_VERSION = 2
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"


class ClickHouseSettings(Settings):
    """Where ClickHouse is, and how rows are gathered into blocks.

    ``flush_rows`` and ``flush_ms``: a block is cut at so many rows, or when its first row is so old and a writer is
    free. Under load blocks grow by themselves: fewer and larger ones cost the engine fewer merges.
    ``writers`` INSERTs run at once; up to ``queue_blocks`` more wait before ``write`` blocks.
    """

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "latency": {"flush_ms": 50},
        "throughput": {"flush_ms": 1_000},
    }

    host: str = "127.0.0.1"
    port: int = Field(default=8123, ge=1, le=65535)
    user: str = "default"
    password: SecretStr = SecretStr("")
    database: str = Field(default="mevflow", pattern=_IDENTIFIER)
    flush_rows: int = Field(default=200_000, ge=1, le=1_000_000)
    flush_ms: int = Field(default=200, ge=1)
    writers: int = Field(default=2, ge=1, le=8)
    queue_blocks: int = Field(default=2, ge=1, le=64)


class _State(msgspec.Struct, frozen=True):
    """A snapshot. Version 1 had no ``again``: its blocks came again from ``next_seq`` on, and that is still found."""

    version: int
    next_seq: int
    #: Table -> stretches of minutes in which rows may come again.
    again: dict[str, list[tuple[int, int]]] = {}


@dataclass
class _Buffer:
    """Batches of one message that are not cut into a block yet."""

    table: Table
    known: Known | None
    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    since: float = 0.0


class ClickHouseSink(Sink[ClickHouseSettings]):
    """Gathers, looks up, cuts and hands over; the writers insert."""

    use: ClassVar[str] = "clickhouse.sink"
    summary: ClassVar[str] = "Every message into its ClickHouse table, effectively once"
    settings_type: ClassVar[type[Settings]] = ClickHouseSettings

    def __init__(self, settings: ClickHouseSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._prefix = f"{context.topology}/{context.run_id}/{context.node}/"
        self._buffers: dict[str, _Buffer] = {}
        self._rejects = Rejects(context)
        self._letters_open = False
        self._figures = Figures()

    @classmethod
    def input_schemas(cls, settings: ClickHouseSettings) -> Mapping[str, pa.Schema | None]:
        return {"in": None}

    @classmethod
    def accepts(cls, settings: ClickHouseSettings, message: str) -> bool:
        return message in TABLES

    @property
    def rejected(self) -> int:
        """Rows that could not be stored since the sink opened; each is a dead letter."""
        return self._rejects.count

    def open(self, state: bytes | None) -> None:
        """Claim, and find out what is there. Raises UnreachableError, MevflowError (no tables), StateError."""
        restored = _restore(state)
        self._client = self._connect()
        self._check_tables()
        lineage, database = f"{self._prefix}{self.context.shard}", self.settings.database
        self._claim = claim(self._client, database, lineage, restored.next_seq if restored else 0)
        self._numbers = itertools.count(self._claim.first_seq)
        passed("sink fenced")
        end_inserts(self._client, lineage)
        self._find_known(restored)
        inserter = Inserter(
            self._connect(), self._claim, self._numbers, self._rejects, threading.Event(), self._figures
        )
        self._writers = Writers(inserter, self.settings.writers, self.settings.queue_blocks)
        passed("sink opened")

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; blocks while ClickHouse is slower than the stream, or away."""
        self._writers.check()
        self._give_letters()
        self._gather(batch)

    def on_watermark(self, watermark: Watermark) -> None:
        """Send what has waited long enough."""
        self._give_letters()
        now = time.monotonic()
        for buffer in self._buffers.values():
            if buffer.rows and self._lingers(buffer, now):
                self._cut(buffer)

    def snapshot(self) -> bytes:
        """Everything written is in ClickHouse when this returns. Raises what ClickHouse refused, and FencedError."""
        self._flush()
        while self._give_letters():
            self._flush()
        passed("sink flushed")
        if self._letters_open and self.dead_letters is not None:
            self.dead_letters.snapshot()
        self._claim.check(self._client)
        again = {name: list(known.spans.spans) for name, known in self._known.items()}
        passed("sink snapshot")
        return msgspec.json.encode(_State(STATE_VERSION, next(self._numbers), again))

    def tell(self, page: Page) -> None:
        """Put what was stored, and what waits."""
        self._figures.tell(page, self.context.node)

    def close(self) -> None:
        """Flush and let go. After a failure nothing more is flushed."""
        try:
            self.snapshot()
        finally:
            self._writers.close()
            self._client.close()
            if self._letters_open and self.dead_letters is not None:
                self.dead_letters.close()

    def _connect(self) -> Client:
        where = self.settings
        return connect(
            where.host, where.port, user=where.user, password=where.password.get_secret_value(), timeout_s=120
        )

    def _check_tables(self) -> None:
        found = self._client.query(
            "SELECT table, groupArray(name) FROM system.columns WHERE database = {database:String} GROUP BY table",
            parameters={"database": self.settings.database},
        ).result_rows
        there = {name: set(columns) for name, columns in found}
        needed = {table.name: {column.name for column in table.columns} for table in TABLES.values()}
        needed |= {"sink_claims": {"token"}, "sink_fences": {"writer"}}
        for name, columns in sorted(needed.items()):
            missing = sorted(columns - there.get(name, set()))
            if missing:
                what = f"table {name}" if name not in there else f"column {', '.join(missing)} in table {name}"
                raise MevflowError(
                    f"database {self.settings.database} has no {what}",
                    hint="create it with: mevflow clickhouse migrate",
                )

    def _find_known(self, restored: _State | None) -> None:
        """Where rows may come again: those of this shard after the snapshot; without one, those of the whole node."""
        tables = {table.name: table for table in TABLES.values()}
        who = self._prefix if restored is None else self._claim.lineage
        spans = find_spans(
            self._client, self.settings.database, list(tables.values()), who, restored.next_seq if restored else 0
        )
        for name, kept in (restored.again if restored else {}).items():
            if name in tables:
                spans[name] = spans.get(name, Spans()).joined(Spans(tuple(kept)))
        self._known = {
            name: Known(self._client, self.settings.database, tables[name], found, self._prefix, self._claim.writer)
            for name, found in spans.items()
        }

    def _gather(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        buffer = self._buffer(batch)
        now = time.monotonic()
        if not buffer.rows:
            buffer.since = now
        buffer.batches.append(_in_range(batch) if buffer.table is TABLES[LETTER] else _with_incarnation(batch))
        buffer.rows += batch.num_rows
        if buffer.rows >= self.settings.flush_rows or self._lingers(buffer, now):
            self._cut(buffer)

    def _lingers(self, buffer: _Buffer, now: float) -> bool:
        return now - buffer.since > self.settings.flush_ms / 1000 and self._writers.has_room

    def _buffer(self, batch: pa.RecordBatch) -> _Buffer:
        name = (batch.schema.metadata or {}).get(b"message", b"").decode()
        buffer = self._buffers.get(name)
        if buffer is None:
            if name not in TABLES:
                raise UsageError(f"clickhouse.sink has no table for {name or 'an unnamed message'}", key="from")
            table = TABLES[name]
            buffer = self._buffers[name] = _Buffer(table, self._known.get(table.name))
        return buffer

    def _cut(self, buffer: _Buffer) -> None:
        """Make blocks of what is buffered: one a month, for a block must fall into one partition to be atomic."""
        batches, buffer.batches, buffer.rows = buffer.batches, [], 0
        for part in by_month(batches):
            fresh = part if buffer.known is None else buffer.known.fresh(part)
            if fresh:
                self._writers.put(
                    InsertBlock(buffer.table, fresh, self.context, self._claim.writer, next(self._numbers))
                )

    def _flush(self) -> None:
        for buffer in self._buffers.values():
            self._cut(buffer)
        self._writers.flush()

    def _give_letters(self) -> bool:
        """Hand on what could not be stored, as dead letters: to their table, and to the topology's ``dlq.sink``."""
        letters = self._rejects.take()
        if letters is None:
            return False
        log.warning("%d rows cannot be stored, the first: %s", letters.num_rows, letters.column("detail")[0].as_py())
        if self.dead_letters is not None:
            if not self._letters_open:
                self.dead_letters.open(None)
                self._letters_open = True
            self.dead_letters.write(letters)
        self._gather(letters)
        return True


def _in_range(letters: pa.RecordBatch) -> pa.RecordBatch:
    """A dead letter is kept whatever its time is: one beyond the table's ends is moved to them."""
    at = letters.schema.get_field_index("timestamp_us")
    return letters.set_column(at, letters.schema.field(at), times_us(letters))


def _with_incarnation(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Coordinates with the topic's incarnation, which the metadata may tell: ``incarnations``, JSON by topic."""
    if "source_topic" not in batch.schema.names:
        return batch
    told = (batch.schema.metadata or {}).get(b"incarnations", b"{}")
    by_topic = msgspec.json.decode(told, type=dict[str, str])
    topics = batch.column("source_topic")
    if not pa.types.is_dictionary(topics.type):
        topics = topics.dictionary_encode()
    names = [by_topic.get(topic, "") for topic in topics.dictionary.to_pylist()]
    column = pa.DictionaryArray.from_arrays(topics.indices, pa.array(names, pa.utf8()))
    return batch.append_column("source_incarnation", column)


def _restore(state: bytes | None) -> _State | None:
    """What a snapshot says; None on a first start."""
    if not state:
        return None
    try:
        found = msgspec.json.decode(state, type=_State)
    except msgspec.DecodeError:
        raise StateError("the snapshot of clickhouse.sink is not readable") from None
    if found.version not in (1, STATE_VERSION):
        raise StateError(f"clickhouse.sink cannot read a snapshot of version {found.version}")
    return found
