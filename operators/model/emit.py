"""Scores and what happens to models, as the columns of the stage's output ports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.model.contest import Candidate, Happening
from mevflow.operators.model.labels import Waiting
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.stage import StageContext

LOGIC_VERSION = 1

SCORE = codec("mevflow.v1.ModelScore").located
EVENT = codec("mevflow.v1.ModelEvent").located


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of one row of a batch, and who gave it."""

    row: int
    score: float
    candidate: str
    learned: int
    model_id: bytes


def scores(
    batch: pa.RecordBatch, scored: Sequence[Scored], settings: ModelSettings, by: StageContext
) -> pa.RecordBatch:
    """Located ModelScore rows, in the order of the batch's rows."""
    rows = batch.take(pa.array([one.row for one in scored]))
    count = len(scored)
    columns: dict[str, Any] = {
        "topology": pa.repeat(by.topology, count),
        "run_id": pa.repeat(by.run_id, count),
        "model": pa.repeat(by.node, count),
        "target": pa.repeat(settings.target, count),
        "score": [one.score for one in scored],
        "candidate": [one.candidate for one in scored],
        "model_version": [one.learned for one in scored],
        "model_id": [one.model_id for one in scored],
        "logic_version": pa.repeat(LOGIC_VERSION, count),
    }
    return _batch({field.name: columns.get(field.name) for field in SCORE}, SCORE, rows)


def event(
    happened: Happening, of: Candidate, champion: bool, row: Waiting, ordinal: int, settings: ModelSettings
) -> dict[str, Any]:
    """One ModelEvent as a row: how a candidate stands when ``row`` has been learned."""
    progress, challenge = of.progress, of.challenge
    topic, partition, offset = row.source
    return {
        "kind": happened.kind,
        "slot": row.slot,
        "timestamp_us": row.timestamp_us,
        "target": settings.target,
        "candidate": happened.candidate,
        "champion": champion,
        "labels": progress.labels,
        "log_loss": progress.log_loss if settings.target != "decay" else math.nan,
        "mae": progress.mae,
        "roc_auc": progress.roc_auc if settings.target != "decay" else math.nan,
        "ece": progress.ece if settings.target != "decay" else math.nan,
        "loss_difference": challenge.difference,
        "evidence": math.nan if champion else challenge.evidence,
        "detail": happened.detail,
        "opportunity_id": row.opportunity_id,
        "ordinal": ordinal,
        "source_topic": topic,
        "source_partition": partition,
        "source_offset": offset,
    }


def events(rows: Sequence[dict[str, Any]], chain: int, by: StageContext) -> pa.RecordBatch:
    """Located ModelEvent rows."""
    shared = {"topology": by.topology, "run_id": by.run_id, "model": by.node, "chain": chain}
    return pa.RecordBatch.from_pylist([row | shared for row in rows], schema=EVENT)


def _batch(columns: dict[str, Any], schema: pa.Schema, rows: pa.RecordBatch) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        value = columns[field.name]
        if value is None:
            value = rows.column(field.name)
        arrays.append(value if isinstance(value, pa.Array) else pa.array(value, field.type))
    arrays = [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
