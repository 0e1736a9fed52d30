"""Commands in a replay: given to each stage after the row at which they took effect in the live run.

Rows are told apart by their place in the chain: of the chain that the row is on, what lies after it waits; of other
chains, what is later in time. Once every input has passed the row's time, the stage gets a watermark just after it,
then the command, then what has waited. Where a replay cuts its batches therefore makes no difference.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.stage import Command, Output, Stage, Watermark

_PLACE = ("chain", "slot", "tx_index", "ix_index", "timestamp_us")


class LoggedRow(msgspec.Struct, frozen=True):
    """Where in the chain a source row is."""

    chain: int
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int


class RecordedCommand(msgspec.Struct, frozen=True):
    """A command that a stage of the live run applied; ``after`` None: before its first row."""

    stage: str
    command_id: str
    kind: str
    target: str
    version: int
    payload: bytes
    after: LoggedRow | None

    @property
    def command(self) -> Command:
        """As the stage gets it."""
        return Command(self.command_id, self.kind, self.target, self.version, self.payload)


class RecordedCommands:
    """Stands between the runtime and one stage of a replay."""

    def __init__(self, stage: Stage, commands: list[RecordedCommand]) -> None:
        self._stage, self._commands = stage, list(commands)
        self._waiting: list[tuple[str, pa.RecordBatch]] = []
        while self._commands and self._commands[0].after is None:
            stage.on_control(self._commands.pop(0).command)

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        """Rows that come before the next command; the others wait."""
        if self._commands:
            after = self._commands[0].after
            assert after is not None
            later = _later(batch, after)
            if later.any():
                self._waiting.append((port, batch.filter(pa.array(later))))
                batch = batch.filter(pa.array(~later))
        if batch.num_rows:
            yield from self._stage.process(port, batch)

    def progress(self, port: str, marks: Mapping[str, Watermark]) -> Output:
        """``port`` has come up to its watermark in ``marks``, which has those of all; commands may be due."""
        joined = min(mark.hold_us for mark in marks.values())
        told = [port]
        while self._commands:
            after = self._commands[0].after
            assert after is not None
            if joined <= after.timestamp_us:
                break
            for each in marks:
                yield from self._stage.on_watermark(each, Watermark(after.timestamp_us + 1))
            while self._commands and self._commands[0].after == after:
                self._stage.on_control(self._commands.pop(0).command)
            waiting, self._waiting = self._waiting, []
            for each, batch in waiting:
                yield from self.process(each, batch)
            told = list(marks)
        for each in told:
            yield from self._stage.on_watermark(each, self._capped(marks[each]))

    def _capped(self, watermark: Watermark) -> Watermark:
        """What the stage may be told while rows wait."""
        after = self._commands[0].after if self._commands else None
        if after is None or watermark.hold_us <= after.timestamp_us:
            return watermark
        return Watermark(after.timestamp_us + 1)


def _later(batch: pa.RecordBatch, after: LoggedRow) -> np.ndarray:
    """Which rows come after ``after``."""
    names = batch.schema.names
    if "timestamp_us" not in names:
        return np.zeros(batch.num_rows, np.bool_)
    later: np.ndarray = batch.column("timestamp_us").to_numpy() > after.timestamp_us
    if set(_PLACE) <= set(names):
        chain, slot, tx, ix = (batch.column(name).to_numpy() for name in _PLACE[:4])
        beyond = (slot > after.slot) | (
            (slot == after.slot) & ((tx > after.tx_index) | ((tx == after.tx_index) & (ix > after.ix_index)))
        )
        later = np.where(chain == after.chain, beyond, later)
    return later
