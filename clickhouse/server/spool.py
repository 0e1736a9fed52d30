"""Data on its way into the engine: a file without a name, in memory while it is small, that the engine reads."""

from __future__ import annotations

import errno
import mmap
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from mevflow.clickhouse.server.errors import NOT_ENOUGH_SPACE, refuse

#: What is larger goes to the disk that holds the tables, in bytes.
MEMORY_BYTES = 64 << 20
#: What all together may hold in memory.
TOTAL_MEMORY_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20


class _Memory:
    """What all spools together may keep in memory."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._guard = threading.Lock()

    def take(self, size: int) -> bool:
        with self._guard:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        with self._guard:
            self._left += size


_MEMORY = _Memory(TOTAL_MEMORY_BYTES)


class Spool:
    """Bytes in, and a path that this process can open while the spool lives. ``folder`` takes what memory should not.

    Raises ServerError (NOT_ENOUGH_SPACE) when the disk is full.
    """

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._file = os.memfd_create("mevflow-clickhouse-body", os.MFD_CLOEXEC)
        self._in_memory = 0
        self.size = 0
        self.on_disk = False

    @property
    def path(self) -> str:
        """Where the engine reads it from the start, as often as it likes."""
        return f"/proc/self/fd/{self._file}"

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``."""
        if not self.on_disk:
            if self.size + len(data) > self._memory_bytes or not _MEMORY.take(len(data)):
                self._move()
            else:
                self._in_memory += len(data)
        self._append(self._file, data)
        self.size += len(data)

    def pieces(self, at: int = 0) -> Iterator[bytes]:
        """What was written from ``at`` on, a piece at a time."""
        while piece := os.pread(self._file, _PIECE_BYTES, at):
            at += len(piece)
            yield piece

    def read(self, size: int, at: int = 0) -> bytes:
        """Up to ``size`` bytes from ``at`` on."""
        return os.pread(self._file, size, at)

    def matches(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether ``pattern`` matches at the start."""
        if not self.size:
            return False
        with mmap.mmap(self._file, self.size, prot=mmap.PROT_READ) as mapped:
            return pattern.match(mapped) is not None

    def close(self) -> None:
        """Let go of the bytes."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            _MEMORY.give_back(self._in_memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _move(self) -> None:
        try:
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as unnamed:
                file = os.dup(unnamed.fileno())
        except OSError as error:
            raise _no_space(error) from None
        try:
            for piece in self.pieces():
                self._append(file, piece)
        except BaseException:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self.on_disk = file, True
        _MEMORY.give_back(self._in_memory)
        self._in_memory = 0

    def _append(self, file: int, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(file, left) :]
            except OSError as error:
                raise _no_space(error) from None


def _no_space(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return refuse(NOT_ENOUGH_SPACE, f"Cannot keep the request body: {error.strerror}")
    return error
