"""Recorded files of raw transactions, opened by what is in them and parsed as they are read.

A file may be gzipped. ``open_recorded`` tells a Whirlpool day (JSON lines) from Uniswap v3 logs (csv) by its first
line, and gives Arrow batches of ``Swap``, ``PoolUpdate`` and, if errors are taken, ``DeadLetter``.
"""

from __future__ import annotations

import gzip
import heapq
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from mevflow.operators.errors import UsageError
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.output import CHUNK_ROWS
from mevflow.operators.parse.uniswap.logs import HEADER, read_log
from mevflow.operators.parse.uniswap.pools import pool_named_in
from mevflow.operators.parse.uniswap.v3 import CsvRow, UniswapDay
from mevflow.operators.parse.whirlpool.day import WhirlpoolDay
from mevflow.operators.parse.whirlpool.state import read_start_state

_GZIP = b"\x1f\x8b"
#: Nothing that a block explorer or a node gives in one line is longer.
_LONGEST_LINE = 16 << 20


class RecordedFiles(Iterator[pa.RecordBatch]):
    """One or more recorded files as an iterator of batches.

    ``kind`` is ``whirlpool`` or ``uniswap_v3``; ``day`` is the parser, whose pools and figures may be read once the
    iterator has ended; ``bytes_read`` and ``bytes_total`` count what is on disk.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        start_state: Path | None = None,
        on_error: OnError | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        """See :func:`open_recorded`."""
        self.paths = list(paths)
        if not self.paths:
            raise UsageError("no file to read")
        self._files: list[BinaryIO] = []
        self._stack = ExitStack()
        self._closed = False
        self._read = 0
        self.bytes_total = sum(_size(path) for path in self.paths)
        kinds = {_kind(path) for path in self.paths}
        if len(kinds) > 1 or (kinds == {"whirlpool"} and len(self.paths) > 1):
            raise UsageError("files that are read as one stream hold logs of one kind, a pool each")
        self.kind = kinds.pop()
        self.day: WhirlpoolDay | UniswapDay
        if self.kind == "whirlpool":
            path = self.paths[0]
            start = read_start_state(_start_state_of(path, start_state).read_bytes())
            self.day = WhirlpoolDay(start, str(path), on_error)
            self._batches = self.day.parse(self._lines(path), chunk_rows)
        else:
            self.day = UniswapDay(on_error)
            self._batches = self.day.parse(self._logs(), chunk_rows)

    def __next__(self) -> pa.RecordBatch:
        try:
            return next(self._batches)
        except BaseException:
            self.close()
            raise

    @property
    def bytes_read(self) -> int:
        """How far the files have been read, as they are on disk."""
        if not self._closed:
            self._read = sum(file.tell() for file in self._files)
        return self._read

    def close(self) -> None:
        """Let go of the files. Iterating to the end does it too."""
        self._read = self.bytes_read
        self._closed = True
        self._stack.close()

    def _lines(self, path: Path) -> Iterator[bytes]:
        """The lines of ``path``, bounded in length. Raises ParseError on damaged gzip data."""
        raw = self._stack.enter_context(path.open("rb"))
        self._files.append(raw)
        stream: io.BufferedIOBase | BinaryIO = raw
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        if zipped:
            stream = self._stack.enter_context(gzip.GzipFile(fileobj=raw))
        number = 0
        while True:
            try:
                line = stream.readline(_LONGEST_LINE)
            except (OSError, EOFError, zlib.error) as wrong:
                raise ParseError(
                    f"cannot be read on: {wrong}", file=str(path), line=number + 1, reason="damaged_file"
                ) from wrong
            if not line:
                break
            number += 1
            yield line

    def _logs(self) -> Iterator[CsvRow]:
        """The rows of all files in chain order."""
        streams = [self._rows(path) for path in self.paths]
        for _, row in heapq.merge(*(_ordered(rows) for rows in streams), key=lambda pair: pair[0]):
            yield row

    def _rows(self, path: Path) -> Iterator[CsvRow]:
        pool = pool_named_in(path.name)
        for number, line in enumerate(self._lines(path), 1):
            if number > 1 and line.strip():
                yield CsvRow(pool, str(path), number, line.decode("utf-8", "replace").rstrip("\r\n"))


def open_recorded(
    *paths: str | Path,
    start_state: str | Path | None = None,
    on_error: OnError | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> RecordedFiles:
    """Open recorded files; iterate over the result to get batches in chain order.

    Several files are merged into one stream; they must hold Uniswap v3 logs. ``start_state`` is where a Whirlpool day
    begins; by default ``whirlpool-start-DAY.json`` beside ``whirlpool-transaction-DAY.jsonl.gz``. What cannot be
    parsed raises :class:`ParseError` with file and line; with ``on_error`` it is passed there, given as a row of a
    ``DeadLetter`` batch, and the stream goes on. Raises UsageError for a missing file.
    """
    start = None if start_state is None else Path(start_state)
    return RecordedFiles((Path(path) for path in paths), start, on_error, chunk_rows)


def _ordered(rows: Iterator[CsvRow]) -> Iterator[tuple[tuple[int, int, int], CsvRow]]:
    """Rows with their place in the chain; one that cannot be read stays behind the row before it."""
    place = (0, 0, 0)
    for row in rows:
        with suppress(ParseError):
            place = read_log(row.text).at.order
        yield place, row


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as wrong:
        raise UsageError(f"cannot be read: {wrong.strerror}", file=str(path)) from wrong


def _kind(path: Path) -> str:
    """What a file holds, by its first line. Raises ParseError if it is neither."""
    try:
        with path.open("rb") as file:
            first = file.read(2)
            file.seek(0)
            head = gzip.GzipFile(fileobj=file).read(256) if first == _GZIP else file.read(256)
    except (OSError, EOFError, zlib.error) as wrong:
        raise ParseError(f"cannot be read: {wrong}", file=str(path), reason="damaged_file") from wrong
    if head.startswith(b'{"slot"'):
        return "whirlpool"
    if head.startswith(HEADER.encode()):
        return "uniswap_v3"
    raise ParseError(
        "is neither a Whirlpool day nor Uniswap v3 logs",
        hint="a JSON line a slot, or a csv with the columns " + HEADER,
        file=str(path),
        line=1,
        reason="unknown_format",
    )


def _start_state_of(path: Path, given: Path | None) -> Path:
    """The start state that goes with a Whirlpool day. Raises UsageError if there is none."""
    if given is None:
        day = re.search(r"whirlpool-transaction-(\w+)\.jsonl", path.name)
        given = path.with_name(f"whirlpool-start-{day[1]}.json") if day else None
    if given is None or not given.is_file():
        raise UsageError(
            "no start state to replay from" if given is None else f"start state {given} is not there",
            hint="derive it from the accounts at the end of the day: mevflow parse start-state",
            file=str(path),
        )
    return given
