"""What is read from files, again whenever they change: keys are rotated and roles are changed without a restart."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_Mark = tuple[tuple[str, int, int, int, int], ...]

#: Seconds between two looks at the files. A look costs some tens of microseconds.
LOOK_S = 1.0
HALF_WRITTEN_S = 5.0


class Watched(Generic[T]):
    """What ``read(path)`` makes of a file or a folder, as it is now, at most ``LOOK_S`` old.

    The first ``read`` may raise; when a later one does, ``failed`` is told and the value is ``nothing`` until it can be
    read again: who is let in must not depend on what once stood there. A file that is there and makes no sense may be
    half written: for ``HALF_WRITTEN_S`` what was read before stays.
    """

    def __init__(self, path: Path, read: Callable[[Path], T], nothing: T, failed: Callable[[Exception], None]) -> None:
        self._path, self._read, self._nothing, self._failed = path, read, nothing, failed
        self._mark: _Mark | None = _mark(path)
        self._value = read(path)
        self._looked = time.monotonic()
        self._wrong_since: float | None = None
        #: Rises whenever the value was read again.
        self.generation = 0

    def get(self, *, now: bool = False) -> T:
        """The value; ``now``: look at the files however short ago they were looked at."""
        at = time.monotonic()
        if now or at - self._looked >= LOOK_S:
            self._looked = at
            mark = _mark(self._path)
            if mark != self._mark:
                try:
                    self._value, self._mark = self._read(self._path), mark
                    self._wrong_since = None
                except Exception as error:
                    if self._wrong_since is None:
                        self._wrong_since = at
                        self._failed(error)
                    gone = isinstance(error.__cause__ or error, OSError)
                    if not gone and at - self._wrong_since < HALF_WRITTEN_S:
                        return self._value
                    self._value, self._mark = self._nothing, None  # looked at again each time
                self.generation += 1
        return self._value


def _mark(path: Path) -> _Mark:
    """What changes when the file, or a file of the folder, does, or who may read it."""
    try:
        if path.is_dir():
            return (_one(path), *sorted(_one(each) for each in os.scandir(path) if each.is_file()))
        return (_one(path),)
    except OSError:
        return ()


def _one(file: Path | os.DirEntry[str]) -> tuple[str, int, int, int, int]:
    stat = file.stat()
    return file.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
