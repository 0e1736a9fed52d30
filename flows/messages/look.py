"""What of a batch of records passes a filter: judged in columns; only what is shown becomes objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.flows.messages.conditions import Condition
from mevflow.operators.codec import codec, message_type
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.readable import readable
from mevflow.operators.stage import StageContext
from mevflow.sinks.websocket.sink import pools_of

_PREVIEW = 64


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """``schema`` empty: values are not decoded. ``pool`` and ``text`` and all ``conditions`` must hold."""

    schema: str = ""
    conditions: tuple[Condition, ...] = ()
    pool: bytes = b""
    text: str = ""

    @property
    def chooses(self) -> bool:
        """Whether any row may be left out."""
        return bool(self.conditions or self.pool or self.text)


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch of one partition, judged. ``hits``: rows that pass; ``good``: which could be decoded."""

    raw: pa.RecordBatch
    offsets: Any
    hits: Any
    good: Any
    whys: dict[int, str]
    schema: str

    def undecodable(self, count: int) -> int:
        """Of the first ``count`` rows."""
        return int((~self.good[:count]).sum())

    def row(self, at: int, partition: int, most_bytes: int | None = None) -> dict[str, Any]:
        """One row as it is shown; of a value longer than ``most_bytes`` the beginning."""
        value = self.raw.column("value")[at].as_py()
        shown: dict[str, Any] = {
            "partition": partition,
            "offset": int(self.offsets[at]),
            "timestamp_us": self.raw.column("timestamp_us")[at].as_py(),
            "bytes": len(value),
        }
        long = most_bytes is not None and len(value) > most_bytes
        if self.schema and self.good[at] and not long:
            shown["fields"] = readable(message_type(self.schema).FromString(value))
            return shown
        shown["hex"] = value[:_PREVIEW].hex()
        if long:
            shown["error"] = f"more than {most_bytes:,} bytes: open the record"
        elif self.schema:
            shown["error"] = self.whys.get(at, f"not a {self.schema}")
        return shown


class Look:
    """Judges batches by one filter."""

    def __init__(self, by: MessageFilter) -> None:
        self._by = by
        self._decode = (
            Decode(DecodeSettings(message=by.schema), StageContext("browse", "decode")) if by.schema else None
        )

    def at(self, raw: pa.RecordBatch) -> Looked:
        """A batch of RAW rows of one partition, in the order of their offsets."""
        offsets = raw.column("source_offset").to_numpy()
        good = np.ones(raw.num_rows, bool) if self._decode is None else np.zeros(raw.num_rows, bool)
        chosen = np.zeros(raw.num_rows, bool)
        whys: dict[int, str] = {}
        for port, batch in self._decode.process("in", raw) if self._decode is not None else ():
            if port == "out":
                at = np.searchsorted(offsets, batch.column("source_offset").to_numpy())
                good[at] = True
                chosen[at] = _matching(self._by, batch)
            else:
                at = np.searchsorted(offsets, batch.column("offset").to_numpy())
                whys.update(zip(at.tolist(), batch.column("detail").to_pylist(), strict=True))
        if not self._by.chooses:
            chosen[:] = True
        return Looked(raw, offsets, np.flatnonzero(chosen), good, whys, self._by.schema)


def _matching(by: MessageFilter, batch: pa.RecordBatch) -> Any:
    found = np.ones(batch.num_rows, bool)
    for condition in by.conditions:
        found &= condition.rows(batch)
    if by.pool:
        pools = pools_of(batch)
        holds = np.zeros(batch.num_rows, bool)
        equal = pc.fill_null(pc.equal(pools.flatten(), pa.scalar(by.pool, pools.type.value_type)), False)
        holds[pc.list_parent_indices(pools).to_numpy()[equal.to_numpy(zero_copy_only=False)]] = True
        found &= holds
    if by.text:
        holds = np.zeros(batch.num_rows, bool)
        for name in codec(by.schema).schema.names:
            column = batch.column(name)
            if pa.types.is_string(column.type):
                hit = pc.fill_null(pc.match_substring(column, by.text, ignore_case=True), False)
                holds |= hit.to_numpy(zero_copy_only=False)
        found &= holds
    return found
