"""The lineage of decisions: from each back to the record that set it off, its pools, features and scores."""

from __future__ import annotations

import pyarrow as pa

from mevflow.operators.codec import COORDINATES, codec

#: Columns that a lineage row shares with its decision, by name.
_SHARED = (
    "decision_id",
    "opportunity_id",
    "topology",
    "run_id",
    "timestamp_us",
    "chain",
    "slot",
    "tx_index",
    "ix_index",
    "features",
    "policy",
    "policy_version",
    "model_version",
    "logic_version",
)


def lineage(decisions: pa.RecordBatch, opportunities: pa.RecordBatch) -> pa.RecordBatch:
    """Located Lineage rows, one a decision. ``opportunities[i]`` is what ``decisions[i]`` answers to."""
    schema = codec("mevflow.v1.Lineage").located
    legs = opportunities.column("legs")
    pools = legs.flatten().field("pool")
    starts = pa.array([0, *legs.value_lengths().to_numpy().cumsum()], pa.int32())
    columns = {name: decisions.column(name) for name in (*_SHARED, *COORDINATES.names)}
    columns["topic"] = decisions.column("source_topic").dictionary_decode()
    columns["partition"] = decisions.column("source_partition")
    columns["offset"] = decisions.column("source_offset")
    columns["pools"] = pa.ListArray.from_arrays(starts, pools, type=schema.field("pools").type)
    columns["scores"] = decisions.column("arm_scores")
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
