"""What a parser could not use: one error, and the same thing as a row of the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from mevflow.operators.dead_letters import MAX_DETAIL, letters
from mevflow.operators.errors import MevflowError


@dataclass
class ParseError(MevflowError):
    """A line or an instruction that is not what it should be.

    ``reason`` is a short code (``malformed``, ``unknown_pool`` …), ``payload`` the bytes in question.
    """

    reason: str = "malformed"
    payload: bytes = b""
    timestamp_us: int = 0


#: Takes what could not be used; the parser then goes on. Without one, the error is raised.
OnError = Callable[[ParseError], None]


def dead_letters(errors: Iterable[ParseError], stage: str = "parse") -> pa.RecordBatch:
    """``errors`` as a batch of ``mevflow.v1.DeadLetter``: file name as topic, line as offset."""
    found = list(errors)
    columns = {
        "topic": pa.array([error.file for error in found], pa.utf8()),
        "partition": pa.array([0] * len(found), pa.int32()),
        "offset": pa.array([error.line or 0 for error in found], pa.int64()),
        "timestamp_us": pa.array([error.timestamp_us for error in found], pa.int64()),
        "topology": pa.repeat("", len(found)),
        "run_id": pa.repeat("", len(found)),
        "stage": pa.repeat(stage, len(found)),
        "reason": pa.array([error.reason for error in found], pa.utf8()),
        "detail": pa.array([error.message[:MAX_DETAIL] for error in found], pa.utf8()),
        "payload": pa.array([error.payload for error in found], pa.binary()),
    }
    return letters(columns, len(found))
