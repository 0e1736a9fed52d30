"""Background writers: blocks in through a bounded queue, INSERTs out, each block exactly once.

A block is one INSERT into one partition, so ClickHouse takes it whole or not at all. When an INSERT's answer is
lost, the writer asks whether the block (its ``ingest_seq``) is there before it sends it again.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, cast

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from mevflow.operators.errors import MevflowError

log = logging.getLogger("mevflow.clickhouse")

#: Errors that pass by themselves: too many queries or parts, memory, time, network, a table or disk that is read-only
#: or full now, a query that was killed, a server that stops.
_TRANSIENT = frozenset((75, 159, 202, 209, 210, 236, 241, 242, 243, 252, 394, 439, 1001))
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
#: A wait is logged when it starts and then this often, in seconds.
_LOG_EVERY_S = 10.0

#: Settings of every INSERT. A block is stored as it comes: merging it with itself first would only cost time.
#: One thread an INSERT is enough, for the writers are as many as there are INSERTs at a time.
INSERT_SETTINGS = {"optimize_on_insert": "0", "async_insert": "0", "max_threads": "1"}


class Block(Protocol):
    """Rows for one table, encoded when a writer takes them."""

    @property
    def table(self) -> str: ...

    @property
    def seq(self) -> int: ...

    @property
    def rows(self) -> int: ...

    def encode(self) -> tuple[list[str], list[bytes | memoryview]]:
        """(column names, Native blocks in pieces). Raises MevflowError for rows that cannot be stored."""


@dataclass
class Inserter:
    """Sends one block, for as long as it takes."""

    client: Client
    database: str
    writer: str
    stopping: threading.Event
    after_doubt: Callable[[str], None]

    def insert(self, block: Block) -> None:
        """Insert ``block`` once. Raises MevflowError when ClickHouse refuses it for good."""
        columns, data = block.encode()
        delay = _FIRST_DELAY_S
        logged_at = 0.0
        in_doubt = False
        while True:
            try:
                if in_doubt and self._is_there(block):
                    self.after_doubt(block.table)
                    return
                self.client.raw_insert(
                    f"{self.database}.{block.table} {mark(self.writer)}",
                    columns,
                    _in_pieces(data),
                    settings=dict(INSERT_SETTINGS),
                    fmt="Native",
                )
                return
            except (ClickHouseError, OSError) as error:
                code = getattr(error, "code", None)
                if code and code not in _TRANSIENT:
                    raise MevflowError(
                        f"ClickHouse refuses {block.rows} rows: {_first_line(error)}",
                        hint="compare the table with: mevflow clickhouse status",
                        key=f"table {block.table}",
                    ) from None
                in_doubt = True
                why = _first_line(error)
            if self.stopping.is_set():
                raise MevflowError(f"stopped while ClickHouse was away: {why}", key=f"table {block.table}")
            if time.monotonic() - logged_at > _LOG_EVERY_S:
                log.warning("waiting for ClickHouse to take %d rows of %s: %s", block.rows, block.table, why)
                logged_at = time.monotonic()
            self.stopping.wait(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY_S)

    def _is_there(self, block: Block) -> bool:
        """Whether an earlier attempt was taken after all; waits until no attempt is still running."""
        wait_for_inserts(self.client, self.writer, f"{self.database}.{block.table}")
        found = self.client.query(
            f"SELECT count() FROM {self.database}.{block.table} "
            "WHERE ingest_by = {writer:String} AND ingest_seq = {seq:UInt64}",
            parameters={"writer": self.writer, "seq": block.seq},
        ).result_rows[0][0]
        return int(found) > 0


class Writers:
    """``count`` threads that insert blocks. The first failure stops them all and is raised to the caller."""

    def __init__(self, inserter: Inserter, count: int, depth: int) -> None:
        self._inserter = inserter
        self._queue: queue.Queue[Block | None] = queue.Queue(depth)
        self._failure: BaseException | None = None
        self._idle = threading.Condition()
        self._open_blocks = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"clickhouse-writer-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, block: Block) -> None:
        """Hand a block over; blocks while the queue is full. Raises the writers' failure."""
        with self._idle:
            self._open_blocks += 1
        while True:
            self.check()
            try:
                self._queue.put(block, timeout=0.2)
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
                self._idle.notify_all()


def wait_for_inserts(client: Client, writer: str, table: str = "", patience_s: float = 60.0) -> None:
    """Wait until no INSERT of ``writer`` is running: one whose sender died may still be taken."""
    deadline = time.monotonic() + patience_s
    while True:
        running = client.query(
            "SELECT count() FROM system.processes WHERE query ILIKE 'INSERT INTO%' "
            "AND position(query, {mark:String}) > 0 AND position(query, {table:String}) > 0",
            parameters={"mark": mark(writer), "table": table},
        ).result_rows[0][0]
        if not running:
            return
        if time.monotonic() > deadline:
            raise MevflowError(
                f"an earlier INSERT of {writer} is still running after {patience_s:.0f} s", key=f"table {table}"
            )
        time.sleep(0.05)


def mark(writer: str) -> str:
    """The comment by which a writer's INSERTs are known among the running queries."""
    return f"/* ingest_by {writer} */"


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
