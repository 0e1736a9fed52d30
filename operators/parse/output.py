"""What a parser has gathered and not yet given: rows, and what it could not use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from mevflow.operators.parse.errors import OnError, ParseError, dead_letters
from mevflow.operators.parse.rows import RowBuilder

#: Rows of one message that a batch holds, about.
CHUNK_ROWS = 4096


@dataclass(slots=True)
class ParseFigures:
    """How well the arithmetic met the record, for one pool: swaps, and changes of liquidity."""

    swaps: int = 0
    exact: int = 0
    reanchored: int = 0
    first: int = 0  # swaps with nothing before them: they state where the pool stands
    changes: int = 0
    exact_changes: int = 0


class Output:
    """Rows of ``Swap`` and ``PoolUpdate`` and rejected input, given as one round of batches at a time."""

    def __init__(self, on_error: OnError | None) -> None:
        """Without ``on_error`` a rejected error is raised."""
        self.swaps = RowBuilder("mevflow.v1.Swap")
        self.updates = RowBuilder("mevflow.v1.PoolUpdate")
        self._rejected: list[ParseError] = []
        self._on_error = on_error

    def reject(self, error: ParseError, file: str, line: int, timestamp_us: int) -> None:
        """Put ``error`` in its place and take or raise it."""
        error.file, error.line = file, line
        error.timestamp_us = error.timestamp_us or timestamp_us
        if self._on_error is None:
            raise error
        self._on_error(error)
        self._rejected.append(error)

    def full(self, rows: int) -> bool:
        """Whether any message has at least ``rows`` rows."""
        return max(len(self.swaps), len(self.updates), len(self._rejected)) >= rows

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Everything gathered: updates, swaps, dead letters; no batch is empty."""
        if self.updates:
            yield self.updates.take()
        if self.swaps:
            yield self.swaps.take()
        if self._rejected:
            rejected, self._rejected = self._rejected, []
            yield dead_letters(rejected)
