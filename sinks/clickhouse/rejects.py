"""Rows that their table does not hold: they become dead letters with their coordinates, and the others go on."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import xxhash

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse.columns import LAST_US

log = logging.getLogger("mevflow.clickhouse")

LETTER = "mevflow.v1.DeadLetter"
REASON = "cannot be stored"
#: Longer payloads are cut; the letter then says how long the row was, and its SHA-256.
MAX_PAYLOAD_BYTES = 262_144
_MAX_DETAIL = 500


class Rejects:
    """Collects letters from the writers' threads until the sink takes them."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._letters: list[dict[str, Any]] = []
        #: Rows that were rejected since the sink opened.
        self.count = 0

    def add(self, table: str, batch: pa.RecordBatch, reasons: Sequence[str]) -> None:
        """Reject every row of ``batch``, each with why. A letter that cannot be stored is logged: it has no letter."""
        if _message(batch) == LETTER:
            log.error("%d dead letters cannot be stored, the first: %s", batch.num_rows, reasons[0])
            self.count += batch.num_rows
            return
        letters = [self._letter(table, batch.slice(row, 1), why) for row, why in enumerate(reasons)]
        with self._lock:
            self._letters += letters
            self.count += len(letters)

    def take(self) -> pa.RecordBatch | None:
        """What was collected since the last time, as ``mevflow.v1.DeadLetter``."""
        if not self._letters:
            return None
        with self._lock:
            letters, self._letters = self._letters, []
        return pa.RecordBatch.from_pylist(letters, schema=ERRORS)

    def _letter(self, table: str, row: pa.RecordBatch, why: str) -> dict[str, Any]:
        message = _message(row)
        payload, detail = _payload(row, message), f"{message} into {table}: {why}"
        size, digest = 0, b""
        if len(payload) > MAX_PAYLOAD_BYTES:
            size, digest = len(payload), hashlib.sha256(payload).digest()
            detail = f"cut from {size} bytes, sha256 {digest.hex()}; {detail}"
        topic, partition, offset = (_cell(row, f"source_{name}") for name in ("topic", "partition", "offset"))
        if topic is None:
            # A derived row has no record of its own: its content tells it from others.
            topic, partition, offset = "", -1, xxhash.xxh3_64_intdigest(payload) >> 1
        return {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "timestamp_us": min(max(_cell(row, "timestamp_us") or 0, 0), LAST_US),
            "topology": self._context.topology,
            "run_id": self._context.run_id,
            "stage": self._context.node,
            "reason": REASON,
            "detail": detail.encode(errors="replace")[:_MAX_DETAIL].decode(errors="ignore"),
            "payload": payload[:MAX_PAYLOAD_BYTES],
            "size": size,
            "sha256": digest,
        }


def _message(batch: pa.RecordBatch) -> str:
    return (batch.schema.metadata or {}).get(b"message", b"").decode()


def _cell(row: pa.RecordBatch, name: str) -> Any:
    return row.column(name)[0].as_py() if name in row.schema.names else None


def _payload(row: pa.RecordBatch, message: str) -> bytes:
    """The row as its message; empty when it cannot even be that."""
    try:
        return bytes(codec(message).encode(row)[0].as_py() or b"")
    except Exception:  # a letter without payload is better than a stream that stands
        return b""
