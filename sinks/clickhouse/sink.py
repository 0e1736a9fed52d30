"""``clickhouse.sink``: batches of any mevflow message into its table, effectively once.

The commit protocol, and what happens when the process dies between two steps:

1. ``write`` buffers batches; full buffers are cut into blocks, each numbered (``ingest_seq``) and inserted whole.
2. ``snapshot`` cuts what is buffered, waits until ClickHouse has every block, and gives the next number as state.
3. The runtime stores that state together with the sources' positions.
4. ``open`` with the last stored state asks ClickHouse for the blocks from that number on. Their rows will be
   read and derived again; those that are there already are dropped (see ``clickhouse_resume``).

Death before 2 ends or before 3: blocks from the stored number on are partly there, and 4 finds them. Death after 3:
nothing of a later number is there. With no state at all, 4 looks at every block of the topology and run.
An INSERT and its materialized view are two commits; ``open`` therefore compares the sums with their rows and adds
the difference.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client
from pydantic import Field, SecretStr

from mevflow.clickhouse.client import connect
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.stage import Settings, StageContext, Watermark
from mevflow.sinks.clickhouse import native
from mevflow.sinks.clickhouse.columns import ColumnError, Rows, encode_all
from mevflow.sinks.clickhouse.resume import Seen, SeenIdentities, SeenOffsets, Span
from mevflow.sinks.clickhouse.tables import TABLES, Table
from mevflow.sinks.clickhouse.writer import Inserter, Writers, wait_for_inserts
from mevflow.sinks.sink import Sink

STATE_VERSION = 1
#: Batches are sent as they are when they have about so many rows; smaller ones are joined first.
_SMALL_BATCH_ROWS = 8_192
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"


class ClickHouseSettings(Settings):
    """Where ClickHouse is, and how rows are gathered into blocks.

    ``flush_rows`` and ``flush_ms``: a block is cut at so many rows, or when its first row is so old and a writer is
    free. Under load blocks grow by themselves: fewer and larger ones cost the engine fewer merges.
    ``writers`` INSERTs run at once; up to ``queue_blocks`` more wait before ``write`` blocks.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8123, ge=1, le=65535)
    user: str = "default"
    password: SecretStr = SecretStr("")
    database: str = Field(default="mevflow", pattern=_IDENTIFIER)
    flush_rows: int = Field(default=200_000, ge=1, le=1_000_000)
    flush_ms: int = Field(default=200, ge=1)
    writers: int = Field(default=2, ge=1, le=8)
    queue_blocks: int = Field(default=2, ge=1, le=64)


@dataclass
class _Buffer:
    """Batches of one message that are not cut into a block yet."""

    table: Table
    seen: Seen | None
    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of one table and one month, numbered ``seq``; encoded by the writer that takes it."""

    spec: Table
    batches: list[pa.RecordBatch]
    context: StageContext
    writer: str
    seq: int
    rows: int

    @property
    def table(self) -> str:
        return self.spec.name

    def encode(self) -> tuple[list[str], list[bytes | memoryview]]:
        return encode_rows(self.spec, self.batches, self.context, self.writer, self.seq)


class ClickHouseSink(Sink):
    """Buffers, cuts and hands over; the writers insert."""

    use: ClassVar[str] = "clickhouse.sink"
    summary: ClassVar[str] = "Every message into its ClickHouse table, effectively once"
    settings_type: ClassVar[type[Settings]] = ClickHouseSettings
    settings: ClickHouseSettings

    def __init__(self, settings: Settings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._prefix = f"{context.topology}/{context.run_id}/{context.node}/"
        self._writer = f"{self._prefix}{context.shard}"
        self._buffers: dict[str, _Buffer] = {}
        self._next_seq = 1
        self._spans: dict[str, tuple[Span, int]] = {}

    @classmethod
    def input_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema | None]:
        return {"in": None}

    @classmethod
    def accepts(cls, settings: Settings, message: str) -> bool:
        return message in TABLES

    def open(self, state: bytes | None) -> None:
        """Connect, find out what is there. Raises UnreachableError, MevflowError (no tables), StateError."""
        restored = _restore(state)
        self._client = self._connect()
        self._check_tables()
        wait_for_inserts(self._client, self._writer)
        self._find_blocks(restored)
        self._repair_sums()
        self._stopping = threading.Event()
        inserter = Inserter(
            self._connect(), self.settings.database, self._writer, self._stopping, lambda _: self._repair_sums()
        )
        self._writers = Writers(inserter, self.settings.writers, self.settings.queue_blocks)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; blocks while ClickHouse is slower than the stream, or away."""
        self._writers.check()
        buffer = self._buffer(batch)
        if buffer.seen is not None:
            fresh = buffer.seen.fresh(rows_of(batch))
            if not fresh.all():
                batch = batch.filter(pa.array(fresh))
            if buffer.seen.exhausted:
                buffer.seen = None
        if batch.num_rows == 0:
            return
        now = time.monotonic()
        if not buffer.rows:
            buffer.since = now
        buffer.batches.append(batch)
        buffer.rows += batch.num_rows
        if buffer.rows >= self.settings.flush_rows or self._lingers(buffer, now):
            self._cut(buffer)

    def on_watermark(self, watermark: Watermark) -> None:
        """Send what has waited long enough."""
        now = time.monotonic()
        for buffer in self._buffers.values():
            if buffer.rows and self._lingers(buffer, now):
                self._cut(buffer)

    def _lingers(self, buffer: _Buffer, now: float) -> bool:
        return now - buffer.since > self.settings.flush_ms / 1000 and self._writers.has_room

    def snapshot(self) -> bytes:
        """Everything written is in ClickHouse when this returns. Raises what ClickHouse refused."""
        for buffer in self._buffers.values():
            self._cut(buffer)
        self._writers.flush()
        return json.dumps({"version": STATE_VERSION, "next_seq": self._next_seq}).encode()

    def close(self) -> None:
        """Flush and let go. After a failure nothing more is flushed."""
        try:
            self.snapshot()
        finally:
            self._writers.close()
            self._client.close()

    def _connect(self) -> Client:
        where = self.settings
        return connect(
            where.host, where.port, user=where.user, password=where.password.get_secret_value(), timeout_s=120
        )

    def _check_tables(self) -> None:
        known = self._client.query(
            "SELECT name FROM system.tables WHERE database = {database:String}",
            parameters={"database": self.settings.database},
        ).result_columns
        missing = sorted({table.name for table in TABLES.values()} - set(known[0] if known else ()))
        if missing:
            raise MevflowError(
                f"database {self.settings.database} has no table {', '.join(missing)}",
                hint="create them with: mevflow clickhouse migrate",
            )

    def _find_blocks(self, restored: int | None) -> None:
        """Where this writer's numbers go on, and which tables have blocks that will come again."""
        by_prefix = restored is None
        who = self._prefix if by_prefix else self._writer
        condition = "startsWith(ingest_by, {who:String})" if by_prefix else "ingest_by = {who:String}"
        parts = [
            f"SELECT '{table.name}', max(ingest_seq), countIf(ingest_seq >= {{first:UInt64}}) "
            f"FROM {self.settings.database}.{table.name} WHERE {condition}"
            for table in TABLES.values()
        ]
        first = restored or 0
        found = self._client.query(" UNION ALL ".join(parts), parameters={"who": who, "first": first}).result_rows
        self._next_seq = max([first, 1, *(int(last) + 1 for _, last, count in found if last)])
        self._spans = {
            name: (Span(who, by_prefix, first, self._next_seq), int(count)) for name, _, count in found if count
        }

    def _buffer(self, batch: pa.RecordBatch) -> _Buffer:
        name = (batch.schema.metadata or {}).get(b"message", b"").decode()
        buffer = self._buffers.get(name)
        if buffer is None:
            if name not in TABLES:
                raise UsageError(f"clickhouse.sink has no table for {name or 'an unnamed message'}", key="from")
            table = TABLES[name]
            buffer = self._buffers[name] = _Buffer(table, self._load_seen(table))
        return buffer

    def _load_seen(self, table: Table) -> Seen | None:
        if table.name not in self._spans:
            return None
        span, count = self._spans.pop(table.name)
        if table.by_offset:
            return SeenOffsets(self._client, self.settings.database, table, span)
        return SeenIdentities(self._client, self.settings.database, table, span, count)

    def _cut(self, buffer: _Buffer) -> None:
        """Make blocks of what is buffered: one a month, for a block must fall into one partition to be atomic."""
        batches, buffer.batches, buffer.rows = buffer.batches, [], 0
        for part in by_month(batches):
            rows = sum(batch.num_rows for batch in part)
            self._writers.put(_Block(buffer.table, part, self.context, self._writer, self._next_seq, rows))
            self._next_seq += 1

    def _repair_sums(self) -> None:
        """Make the sums of this writer's rows what the rows say. No other writer touches them."""
        database = self.settings.database
        self._client.command(
            f"""
            INSERT INTO {database}.mev_stats_1m
            SELECT minute, chain, topology, run_id, ingest_by, sum(n) AS dn, sum(e) AS de, sum(p) AS dp
            FROM
            (
                SELECT toStartOfMinute(timestamp) AS minute, chain, topology, run_id, ingest_by, toInt64(1) AS n,
                    toInt64(new_episode) AS e, toInt64(round(net_profit_usd * 1e6)) AS p
                FROM {database}.mev_opportunities FINAL
                WHERE ingest_by = {{writer:String}} AND NOT closed
                UNION ALL
                SELECT minute, chain, topology, run_id, ingest_by, -opportunities, -episodes, -total_profit
                FROM {database}.mev_stats_1m WHERE ingest_by = {{writer:String}}
            )
            GROUP BY minute, chain, topology, run_id, ingest_by
            HAVING dn != 0 OR de != 0 OR dp != 0
            """,
            parameters={"writer": self._writer},
        )


def encode_rows(
    table: Table, batches: list[pa.RecordBatch], context: StageContext, writer: str, seq: int
) -> tuple[list[str], list[bytes | memoryview]]:
    """(column names, Native blocks in pieces) of ``batches``. Raises MevflowError that names table and column."""
    rows = sum(batch.num_rows for batch in batches)
    if len(batches) > 1 and rows < _SMALL_BATCH_ROWS * len(batches):
        batches = [pa.concat_batches(batches)]
    pieces: list[bytes | memoryview] = []
    names: list[str] = []
    for batch in batches:
        columns = _encode_batch(table, batch, context, writer, seq)
        names = [name for name, _ in columns]
        pieces += native.block(columns, batch.num_rows)
    return names, pieces


def _encode_batch(
    table: Table, batch: pa.RecordBatch, context: StageContext, writer: str, seq: int
) -> list[tuple[str, native.Encoded]]:
    rows = batch.num_rows
    try:
        columns = encode_all(table.columns, rows_of(batch))
    except ColumnError as error:
        raise MevflowError(
            f"{rows} rows cannot be stored: {error}", key=f"table {table.name}, column {error.column}"
        ) from None
    if not table.states_run:
        columns.append(("topology", native.constant(context.topology, rows)))
        columns.append(("run_id", native.constant(context.run_id, rows)))
    columns.append(("_ingest_by", native.constant(writer, rows)))
    columns.append(("_ingest_seq", native.fixed("UInt64", np.full(rows, seq, np.uint64))))
    return columns


def rows_of(batch: pa.RecordBatch) -> Rows:
    """A batch as column makers see it."""
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    chain = arrays.get("chain")
    chains = None if chain is None else chain.fill_null(0).to_numpy(zero_copy_only=False)
    return Rows(arrays, chains, batch.num_rows)


def by_month(batches: list[pa.RecordBatch]) -> list[list[pa.RecordBatch]]:
    """The rows by calendar month (UTC) of ``timestamp_us``, in their order; most often there is only one."""
    months: dict[int, list[pa.RecordBatch]] = {}
    for batch in batches:
        times = batch.column(batch.schema.get_field_index("timestamp_us")).fill_null(0)
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


def _restore(state: bytes | None) -> int | None:
    """The next block's number as a snapshot has it; None on a first start."""
    if not state:
        return None
    try:
        entry = json.loads(state)
        if entry["version"] != STATE_VERSION:
            raise StateError(f"clickhouse.sink cannot read a snapshot of version {entry['version']}")
        return int(entry["next_seq"])
    except (ValueError, KeyError, TypeError):
        raise StateError("the snapshot of clickhouse.sink is not readable") from None
