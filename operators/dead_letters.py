"""Dead letters: rows that could not be used, as the batch that every ``errors`` port emits.

This is the only place where such rows are built. A letter is known by where its record came from (topic, partition,
offset) and by the stage that refused it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.stage import StageContext

#: (mask of the rows that have it, reason, detail)
Fault = tuple[NDArray[np.bool_], str, str]
#: Characters of ``detail`` that are kept: it may quote what a stranger sent.
MAX_DETAIL = 1000
#: Reason of the letter that stands for records which cannot be read at all; it has no payload.
UNREADABLE = "unreadable"


def dead_letters(
    context: StageContext,
    rows: pa.RecordBatch,
    reasons: str | Sequence[str],
    details: str | Sequence[str],
    payloads: pa.Array | None = None,
) -> pa.RecordBatch:
    """A letter for each of ``rows``.

    ``rows`` bears coordinates and ``timestamp_us``. ``reasons`` and ``details`` are one for all, or one a row.
    ``payloads`` are the messages' bytes; without them the rows are encoded as the message that their schema names.
    """
    count = rows.num_rows
    if payloads is None:
        payloads = codec(rows.schema.metadata[b"message"].decode()).encode(rows)
    columns: Mapping[str, pa.Array] = {
        "topic": _column(rows, "source_topic", pa.utf8(), ""),
        "partition": _column(rows, "source_partition", pa.int32(), 0),
        "offset": _column(rows, "source_offset", pa.int64(), 0),
        "timestamp_us": _column(rows, "timestamp_us", pa.int64(), 0),
        "topology": pa.repeat(context.topology, count),
        "run_id": pa.repeat(context.run_id, count),
        "stage": pa.repeat(context.node, count),
        "reason": _texts(reasons, count),
        "detail": _texts(details, count),
        "payload": payloads,
    }
    return letters(columns, count)


def letters(columns: Mapping[str, pa.Array], count: int) -> pa.RecordBatch:
    """A batch of ERRORS from its columns; those left out are empty."""
    rest = {"size": pa.array(np.zeros(count, np.uint64)), "sha256": pa.repeat(pa.scalar(b"", pa.binary()), count)}
    given = rest | dict(columns)
    return pa.RecordBatch.from_arrays([given[field.name].cast(field.type) for field in ERRORS], schema=ERRORS)


def refuse(
    context: StageContext, batch: pa.RecordBatch, faults: Sequence[Fault], raw: pa.RecordBatch | None = None
) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    """Part ``batch`` into the rows without a fault and, where there are others, their dead letters.

    The first of a row's faults names it. ``raw`` are the same rows as they were read, where a stage has them.
    """
    first = np.full(batch.num_rows, -1, np.int32)
    for number, (mask, _, _) in enumerate(faults):
        first[mask & (first < 0)] = number
    bad = first >= 0
    if not bad.any():
        return batch, None
    at = np.flatnonzero(bad)
    reasons = [faults[number][1] for number in first[at].tolist()]
    details = [faults[number][2] for number in first[at].tolist()]
    rows = (batch if raw is None else raw).take(pa.array(at))
    payloads = None if raw is None else rows.column("value")
    return batch.filter(pa.array(~bad)), dead_letters(context, rows, reasons, details, payloads)


def _column(rows: pa.RecordBatch, name: str, kind: pa.DataType, empty: str | int) -> pa.Array:
    """A column of ``rows`` without nulls; all empty where there is none."""
    if name not in rows.schema.names:
        return pa.repeat(pa.scalar(empty, kind), rows.num_rows)
    return pc.fill_null(rows.column(name).cast(kind), pa.scalar(empty, kind))


def _texts(given: str | Sequence[str], count: int) -> pa.Array:
    if isinstance(given, str):
        return pa.repeat(given[:MAX_DETAIL], count)
    return pa.array([text[:MAX_DETAIL] for text in given], pa.utf8())
