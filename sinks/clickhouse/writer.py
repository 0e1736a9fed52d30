"""Background writers: blocks in through a bounded queue, INSERTs out, each block exactly once.

A block is one INSERT into one partition, so ClickHouse takes it whole or not at all. When an INSERT's answer is
lost, the writer asks whether the block (its ``ingest_seq``) is there before it sends it again. What an error means:

* ClickHouse is away, full or busy: the block is sent again, for as long as it takes.
* A row's content cannot be stored: the block is parted until the row is alone; it is rejected, the others are stored.
* The writer is fenced (another process claimed its lineage), or the table is not as it should be: raised.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from mevflow.operators.errors import MevflowError
from mevflow.processes.fail_points import passed
from mevflow.sinks.clickhouse.block import InsertBlock
from mevflow.sinks.clickhouse.claim import CONSTRAINT, SinkClaim
from mevflow.sinks.clickhouse.columns import ColumnError
from mevflow.sinks.clickhouse.figures import Figures
from mevflow.sinks.clickhouse.rejects import Rejects

log = logging.getLogger("mevflow.clickhouse")

#: Errors that pass by themselves: too many queries or parts, memory, disk, time, network, a table that is read-only
#: now, a query that someone stopped. 1001 is what the engine says of the operating system's errors.
_TRANSIENT = frozenset(
    (74, 75, 76, 159, 164, 173, 202, 209, 210, 236, 241, 242, 243, 252, 285, 319, 394, 439, 999, 1001)
)
#: Errors that speak of values: they could not be parsed or converted, or a constraint or an expression refused them.
_CONTENT = frozenset((6, 27, 33, 38, 41, 69, 70, 72, 117, 128, 131, 321, 349, 395, 407, 432, 469, 691))
_VIOLATED_CONSTRAINT = 469
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
#: A wait is logged when it starts and then this often, in seconds.
_LOG_EVERY_S = 10.0

#: Settings of every INSERT. A block is stored as it comes: merging it with itself first would only cost time.
#: One thread an INSERT is enough, for the writers are as many as there are INSERTs at a time.
INSERT_SETTINGS = {"optimize_on_insert": "0", "async_insert": "0", "max_threads": "1"}


class RefusedError(Exception):
    """ClickHouse refuses a block because of what a row holds."""


@dataclass
class Inserter:
    """Sends one block, for as long as it takes. ``numbers`` gives new blocks their ``seq``."""

    client: Client
    claim: SinkClaim
    numbers: Iterator[int]
    rejects: Rejects
    stopping: threading.Event
    figures: Figures = field(default_factory=Figures)

    def insert(self, block: InsertBlock) -> None:
        """Insert ``block`` once, rows that cannot be stored left out. Raises FencedError, MevflowError."""
        try:
            try:
                encoded = block.encode()
            except ColumnError:
                block, misfits = block.sifted()
                for batch, reasons in misfits:
                    self.rejects.add(block.table.name, batch, reasons)
                if not block.batches:
                    return
                encoded = block.encode()
        except MemoryError:
            raise
        except Exception as error:
            # No rule foresaw this content. Whatever it is, it is in some row.
            self._part(block, f"{type(error).__name__}: {error}")
            return
        try:
            self._send(block, *encoded)
        except RefusedError as error:
            self._part(block, str(error))

    def _part(self, block: InsertBlock, why: str) -> None:
        if block.rows == 1:
            self.rejects.add(block.table.name, pa.concat_batches(block.batches), [why])
            return
        for half in block.halves(self.numbers):
            self.insert(half)

    def _send(self, block: InsertBlock, columns: list[str], data: list[bytes | memoryview]) -> None:
        delay = _FIRST_DELAY_S
        began, logged_at = time.monotonic(), 0.0
        in_doubt, refused = False, ""
        while True:
            try:
                if in_doubt and self._is_there(block):
                    if refused:  # by a view over the table, which itself has taken the rows
                        log.warning("a view refuses %d rows of %s: %s", block.rows, block.table.name, refused)
                    self.figures.stored(block, time.monotonic() - began)
                    return
                if refused:
                    raise RefusedError(refused)
                self.client.raw_insert(
                    f"{self.claim.database}.{block.table.name} {mark(self.claim.lineage)}",
                    columns,
                    _in_pieces(data),
                    settings=dict(INSERT_SETTINGS),
                    fmt="Native",
                )
                passed("sink stored")
                self.figures.stored(block, time.monotonic() - began)
                return
            except (ClickHouseError, OSError) as error:
                why = _first_line(error)
                code = getattr(error, "code", None)
                if code == _VIOLATED_CONSTRAINT and f"`{CONSTRAINT}`" in str(error):
                    raise self.claim.fenced() from None
                if code in _CONTENT:
                    in_doubt, refused = True, why
                    continue
                if code and code not in _TRANSIENT:
                    raise MevflowError(
                        f"ClickHouse refuses {block.rows} rows: {why}",
                        hint="compare the table with: mevflow clickhouse status",
                        key=f"table {block.table.name}",
                    ) from None
                in_doubt = True
            if self.stopping.is_set():
                raise MevflowError(f"stopped while ClickHouse was away: {why}", key=f"table {block.table.name}")
            if time.monotonic() - logged_at > _LOG_EVERY_S:
                log.warning("waiting for ClickHouse to take %d rows of %s: %s", block.rows, block.table.name, why)
                logged_at = time.monotonic()
            self.figures.again()
            self.stopping.wait(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY_S)

    def _is_there(self, block: InsertBlock) -> bool:
        """Whether an earlier attempt was taken after all; waits until no attempt is still running."""
        table = f"{self.claim.database}.{block.table.name}"
        wait_for_inserts(self.client, self.claim.lineage, table)
        found = self.client.query(
            f"SELECT count() FROM {table} WHERE ingest_by = {{writer:String}} AND ingest_seq = {{seq:UInt64}}",
            parameters={"writer": block.writer, "seq": block.seq},
        ).result_rows[0][0]
        return int(found) > 0


class Writers:
    """``count`` threads that insert blocks. The first failure stops them all and is raised to the caller."""

    def __init__(self, inserter: Inserter, count: int, depth: int) -> None:
        self._inserter = inserter
        self._queue: queue.Queue[InsertBlock | None] = queue.Queue(depth)
        self._failure: BaseException | None = None
        self._idle = threading.Condition()
        self._open_blocks = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"clickhouse-writer-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, block: InsertBlock) -> None:
        """Hand a block over; blocks while the queue is full. Raises the writers' failure."""
        with self._idle:
            self._open_blocks += 1
        self._inserter.figures.queued(1)
        began = time.monotonic()
        while True:
            self.check()
            try:
                self._queue.put(block, timeout=0.2)
                self._inserter.figures.blocked(time.monotonic() - began)
                return
            except queue.Full:
                continue

    def flush(self) -> None:
        """Wait until everything handed over is in ClickHouse. Raises the writers' failure."""
        with self._idle:
            while self._open_blocks and self._failure is None:
                self._idle.wait(0.2)
        self.check()

    @property
    def has_room(self) -> bool:
        """Whether a writer has nothing to do."""
        return self._open_blocks < len(self._threads)

    def check(self) -> None:
        """Raise what made a writer stop, if anything did."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the threads. A block that still waits for ClickHouse is given up: flush first."""
        self._inserter.stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (block := self._queue.get()) is not None:
            try:
                if self._failure is None:
                    self._inserter.insert(block)
            except BaseException as error:
                self._failure = self._failure or error
            with self._idle:
                self._open_blocks -= 1
                self._inserter.figures.queued(-1)
                self._idle.notify_all()


def wait_for_inserts(client: Client, lineage: str, table: str = "") -> None:
    """Wait until no INSERT of ``lineage`` is running: one whose answer was lost may still be taken."""
    while _running(client, lineage, table):
        time.sleep(0.05)


def end_inserts(client: Client, lineage: str, patience_s: float = 10.0) -> None:
    """Wait until no INSERT of the fenced epochs of ``lineage`` is about to be stored, for as long as that takes.

    One that has passed the fence is stored, however slow the machine is: what is looked for before that would not be
    found. One that runs for longer than ``patience_s`` may wait for a sender that stands still, so it is killed, and
    again; what a kill does not end any more is stored, and has to be waited for all the same.
    """
    asked = time.monotonic()
    while running := _running(client, lineage):
        if time.monotonic() - asked > patience_s:
            log.warning("%d earlier INSERTs of %s do not end: they are killed", len(running), lineage)
            for query_id in running:
                with suppress(ClickHouseError):
                    client.command("KILL QUERY WHERE query_id = {id:String} ASYNC", parameters={"id": query_id})
            asked = time.monotonic()
        time.sleep(0.05)


def _running(client: Client, lineage: str, table: str = "") -> list[str]:
    """Ids of the INSERTs of ``lineage`` that the engine works on."""
    found = client.query(
        "SELECT query_id FROM system.processes WHERE query ILIKE 'INSERT INTO%' "
        "AND position(query, {mark:String}) > 0 AND position(query, {table:String}) > 0",
        parameters={"mark": mark(lineage), "table": table},
    ).result_rows
    return [row[0] for row in found]


def mark(lineage: str) -> str:
    """The comment by which a lineage's INSERTs are known among the running queries."""
    return f"/* ingest_by {lineage} */"


def _in_pieces(data: list[bytes | memoryview]) -> Generator[bytes, None, None]:
    """The body as the driver streams it: piece by piece, never joined. It takes any buffer for bytes."""
    yield from cast("list[bytes]", data)


def _first_line(error: BaseException) -> str:
    """What went wrong in one short line: the driver's own text repeats the whole request."""
    if not getattr(error, "code", None):
        while error.__cause__ is not None or error.__context__ is not None:
            error = error.__cause__ or error.__context__ or error
        return f"{type(error).__name__}: {error}"[:200]
    return str(error).strip().splitlines()[0][:500]
