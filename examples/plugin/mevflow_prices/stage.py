"""``prices.changes``: prices that moved by more than a threshold since the last one that was told."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.codec import ERRORS
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.errors import StateError
from mevflow.operators.stage import Output, Settings, Stage, StageContext
from mevflow_prices.rows import CHANGES, PRICES


class ChangesSettings(Settings):
    """``min_change_bps``: smaller moves are not told. ``max_tokens`` bounds memory: others become dead letters."""

    min_change_bps: float = 100.0
    max_tokens: int = 10_000


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a snapshot holds: the last price that was told, by token."""

    version: int
    told_usd: dict[str, float]


class Changes(Stage[ChangesSettings]):
    """The first price of a token is remembered, not told. A price that is not positive is a dead letter."""

    use = "prices.changes"
    summary = "Prices that moved"
    settings_type = ChangesSettings

    def __init__(self, settings: ChangesSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._told_usd: dict[str, float] = {}

    @classmethod
    def input_schemas(cls, settings: ChangesSettings) -> Mapping[str, pa.Schema | None]:
        return {"in": PRICES}

    @classmethod
    def output_schemas(cls, settings: ChangesSettings) -> Mapping[str, pa.Schema]:
        return {"out": CHANGES, "errors": ERRORS}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        moved, changes, wrong = [], [], []
        tokens, prices = batch.column("token").to_pylist(), batch.column("usd").to_numpy()
        for row, (token, usd) in enumerate(zip(tokens, prices, strict=True)):
            if not (np.isfinite(usd) and usd > 0):
                wrong.append((row, "bad_price", f"{token} at {usd} USD"))
                continue
            before = self._told_usd.get(token)
            if before is None and len(self._told_usd) >= self.settings.max_tokens:
                wrong.append((row, "too_many_tokens", f"{token} is one more than max_tokens"))
                continue
            change_bps = 0.0 if before is None else (usd / before - 1.0) * 10_000
            if before is None or abs(change_bps) >= self.settings.min_change_bps:
                self._told_usd[token] = float(usd)
            if abs(change_bps) >= self.settings.min_change_bps:
                moved.append(row)
                changes.append(change_bps)
        if moved:
            rows = batch.take(pa.array(moved))
            yield "out", pa.RecordBatch.from_arrays([*rows.columns, pa.array(changes)], schema=CHANGES)
        if wrong:
            yield "errors", self._letters(batch, wrong)

    def _letters(self, batch: pa.RecordBatch, wrong: list[tuple[int, str, str]]) -> pa.RecordBatch:
        """Dead letters with the coordinates of the rows that they stand for."""
        rows = batch.take(pa.array([row for row, _, _ in wrong]))
        reasons, details = [reason for _, reason, _ in wrong], [detail for _, _, detail in wrong]
        return dead_letters(self.context, rows, reasons, details, pa.repeat(pa.scalar(b"", pa.binary()), len(wrong)))

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(State(1, self._told_usd))

    def restore(self, state: bytes) -> None:
        try:
            self._told_usd = dict(msgspec.msgpack.decode(state, type=State).told_usd)
        except msgspec.DecodeError as error:
            raise StateError(f"the snapshot of prices.changes is not readable: {error}") from None
