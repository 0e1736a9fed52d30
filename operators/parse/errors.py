"""What a parser could not use: one error, and the same thing as a row of the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from mevflow.operators.codec import ERRORS
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
    return pa.RecordBatch.from_pylist(
        [
            {
                "topic": error.file,
                "partition": 0,
                "offset": error.line or 0,
                "timestamp_us": error.timestamp_us,
                "topology": "",
                "run_id": "",
                "stage": stage,
                "reason": error.reason,
                "detail": error.message,
                "payload": error.payload,
            }
            for error in errors
        ],
        schema=ERRORS,
    )
