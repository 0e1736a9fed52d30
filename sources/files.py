"""Files on disk as batches: what their readers have in common."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from mevflow.operators.errors import UsageError

_GZIP = b"\x1f\x8b"


class FileBatches(Iterator[pa.RecordBatch]):
    """Batches of files that are read one after the other; a reader sets ``_batches`` and adds to ``_done``."""

    _batches: Iterator[pa.RecordBatch]

    def __init__(self, paths: Sequence[Path]) -> None:
        self.bytes_total = sum(path.stat().st_size for path in paths)
        self._done = 0
        self._stop = False

    @property
    def bytes_read(self) -> int:
        """Of the files that were read to their end."""
        return self._done

    def __next__(self) -> pa.RecordBatch:
        if self._stop:
            raise StopIteration
        return next(self._batches)

    def close(self) -> None:
        """Give no more."""
        self._stop = True


def opened(path: Path) -> BinaryIO:
    """A file's bytes, unzipped where it is gzip by its first two. Raises UsageError where it cannot be read."""
    try:
        raw = path.open("rb")
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
    except OSError as wrong:
        raise UsageError(f"cannot be read: {wrong.strerror}", file=str(path)) from wrong
    return io.BufferedReader(gzip.GzipFile(fileobj=raw)) if zipped else raw
