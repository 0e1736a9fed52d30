"""``prices.lines``: rows as lines of JSON in a file, each once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa

from mevflow.operators.errors import StateError
from mevflow.operators.stage import Settings
from mevflow.sinks.sink import Sink


class LinesSettings(Settings):
    """``path``: the file; it is made when it is not there."""

    path: Path


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a snapshot holds: how long the file was when everything before it was durable."""

    version: int
    size_bytes: int


class Lines(Sink[LinesSettings]):
    """Each row once: a snapshot is the file's durable size, and a restart cuts the file back to it.

    What comes again after a crash is then written again where it stood.
    """

    use = "prices.lines"
    summary = "Lines of JSON in a file"
    settings_type = LinesSettings
    _file: BinaryIO

    def open(self, state: bytes | None) -> None:
        try:
            size_bytes = msgspec.msgpack.decode(state, type=Size).size_bytes if state else 0
        except msgspec.DecodeError as error:
            raise StateError(f"the snapshot of prices.lines is not readable: {error}") from None
        self._file = self.settings.path.open("ab")
        self._file.truncate(size_bytes)

    def write(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            self._file.write(msgspec.json.encode(row) + b"\n")

    def snapshot(self) -> bytes:
        self._file.flush()
        os.fsync(self._file.fileno())
        return msgspec.msgpack.encode(Size(1, self._file.tell()))

    def close(self) -> None:
        self._file.close()
