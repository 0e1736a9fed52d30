"""The chDB engine: one owner per data directory, one engine connection per request or session.

A connection costs 0.1 ms to open, carries its own settings, current database and temporary tables, and runs
in parallel with the others; it must not be used by two threads at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mevflow.clickhouse.server.config import written
from mevflow.clickhouse.server.errors import ServerError, from_engine
from mevflow.operators.errors import MevflowError


@dataclass(frozen=True, slots=True)
class Counts:
    """What a statement did, for ``X-ClickHouse-Summary``."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0


class Connection:
    """One connection to the engine. Errors come as :class:`ServerError`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.database = "default"
        #: Whether ``log_comment`` holds the id of an earlier query.
        self.marked = False

    def query(self, sql: str | bytes, form: str, params: Mapping[str, str] | None = None) -> tuple[bytes, Counts]:
        """Run a statement to its end and give its whole answer."""
        try:
            result = self._raw.query(sql, form, params=dict(params or {}))
        except Exception as error:
            raise from_engine(error) from None
        return result.bytes(), _counts(result)

    def stream(
        self, sql: str | bytes, form: str, params: Mapping[str, str]
    ) -> Generator[tuple[bytes, Counts], None, None]:
        """Run a SELECT; give its blocks, with the counts so far; after the last an empty one with those of all.

        Closing the iterator cancels the query.
        """
        try:
            stream = self._raw.send_query(sql, form, params=dict(params))
        except Exception as error:
            raise from_engine(error) from None
        ended = False
        total = Counts()
        try:
            while True:
                try:
                    block = self._raw.streaming_fetch_result(stream)
                except Exception as error:
                    ended = True
                    raise from_engine(error) from None
                ended = block is None or block.size() == 0
                if block is not None:
                    total = _sum(total, _counts(block))
                if not ended:
                    yield block.bytes(), total
                    continue
                if total.result_rows:
                    yield b"", total
                return
        finally:
            if not ended:
                self._raw.streaming_cancel_query(stream)

    def insert(self, head: bytes, settings: bytes, form: str, path: str, params: Mapping[str, str]) -> Counts:
        """Run an INSERT whose rows are what ``path`` holds in ``form``. What returns is stored, what is not is raised.

        The engine's ``send_insert`` must not be used: it drops every error that comes when a part is written.
        """
        source = f"FROM INFILE {literal(path)} COMPRESSION 'none'"
        sql = b"%b\n%b\n%b\nFORMAT %b" % (head, source.encode(), settings, form.encode("latin-1"))
        return self.query(sql, "TabSeparated", params)[1]

    def use(self, database: str) -> None:
        """Make ``database`` the current one."""
        if database != self.database:
            self.query(f"USE {identifier(database)}", "TSV")
            self.database = database

    def refresh_database(self) -> None:
        """Learn the current database again, after a statement that may have changed it."""
        answer, _ = self.query("SELECT currentDatabase()", "TSVRaw")
        self.database = answer.decode().rstrip("\n")

    def close(self) -> None:
        self._raw.close()


class Engine:
    """The engine on ``path``, for as long as this process lives.

    Raises MevflowError when another process owns the directory.
    """

    def __init__(self, path: Path) -> None:
        # The engine itself: its Python wrapper adds result types and progress bars that nobody here wants.
        _chdb: Any = import_module("chdb._chdb")

        path.mkdir(parents=True, exist_ok=True)
        self._lock = _take(path)
        self.path = path
        # The engine would otherwise install handlers that end the process without closing anything.
        _chdb.set_signal_handlers_enabled(0)
        self._connect = _chdb.connect
        self._target = f"{path}/data?config-file={written(path)}"
        # Held until the end: the engine shuts down with its last connection.
        self._root = self._open()
        answer, _ = self._root.query("SELECT version(), timezone()", "TSVRaw")
        self.version, self.timezone = answer.decode().rstrip("\n").split("\t")

    def _open(self) -> Connection:
        try:
            return Connection(self._connect(self._target))
        except Exception as error:
            raise MevflowError(
                f"the ClickHouse engine does not open {self.path}: {error}", file=str(self.path)
            ) from None

    def connect(self) -> Connection:
        """A fresh connection: default settings, database ``default``, no temporary tables."""
        return self._open()

    def kill(self, condition: str) -> None:
        """Cancel the running queries of ``condition`` (about system.processes)."""
        with closing(self._open()) as connection, suppress(ServerError):
            connection.query(f"KILL QUERY WHERE ({condition}) AND query NOT LIKE 'KILL QUERY%' ASYNC", "TSV")

    def close(self) -> None:
        """Shut the engine down and let go of the directory."""
        self._root.close()
        os.close(self._lock)


def identifier(name: str) -> str:
    """``name`` as a quoted identifier."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(text: str) -> str:
    """``text`` as a string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _take(path: Path) -> int:
    """Lock the data directory for this process; the lock ends with the process, however it ends."""
    lock = os.open(path / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise MevflowError(
            f"another process (pid {owner}) owns the ClickHouse data here",
            hint="use the running server, or stop it first with: mevflow clickhouse stop",
            file=str(path),
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _counts(result: Any) -> Counts:
    return Counts(
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        result_bytes=result.size(),
        elapsed_ns=int(result.elapsed() * 1e9),
    )


def _sum(so_far: Counts, block: Counts) -> Counts:
    """The counts of an answer's blocks together; each tells of itself, but for the time."""
    return Counts(
        read_rows=so_far.read_rows + block.read_rows,
        read_bytes=so_far.read_bytes + block.read_bytes,
        result_rows=so_far.result_rows + block.result_rows,
        result_bytes=so_far.result_bytes + block.result_bytes,
        elapsed_ns=max(so_far.elapsed_ns, block.elapsed_ns),
    )
