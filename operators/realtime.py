"""``realtime.wrap``: rows of any message -> ``RealtimeMessage``, for the realtime topic and its bridge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.codec import COORDINATES, codec
from mevflow.operators.stage import Output, Settings, Stage

_OUT = codec("mevflow.v1.RealtimeMessage")


class WrapSettings(Settings):
    """``channel`` is what clients subscribe to, e.g. ``decisions``."""

    channel: str


class RealtimeWrap(Stage[WrapSettings]):
    """Serialize each row and put it in an envelope with its channel, its type and its pool.

    The pool is the row's ``pool``, or the pool of the first leg of a cycle, or empty.
    """

    use = "realtime.wrap"
    stateless = True
    summary = "Any message in an envelope for realtime clients"
    settings_type = WrapSettings

    @classmethod
    def input_schemas(cls, settings: WrapSettings) -> Mapping[str, pa.Schema | None]:
        return {"in": None}

    @classmethod
    def output_schemas(cls, settings: WrapSettings) -> Mapping[str, pa.Schema]:
        return {"out": _OUT.located}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        name = (batch.schema.metadata or {})[b"message"].decode()
        rows = batch.num_rows
        columns: dict[str, pa.Array] = {
            "channel": pa.repeat(pa.scalar(self.settings.channel), rows),
            "payload": codec(name).encode(batch),
            "pool": first_pool(batch),
            "timestamp_us": batch.column("timestamp_us"),
            "type": pa.repeat(pa.scalar(name), rows),
        }
        for field in COORDINATES:
            given = batch.column(field.name) if field.name in batch.schema.names else pa.nulls(rows, field.type)
            columns[field.name] = given
        yield "out", pa.RecordBatch.from_arrays([columns[n] for n in _OUT.located.names], schema=_OUT.located)


def first_pool(batch: pa.RecordBatch) -> pa.Array:
    """``binary``, a row each: its pool, or the pool of its first leg; empty where it has neither."""
    if "pool" in batch.schema.names:
        return batch.column("pool")
    if "legs" not in batch.schema.names:
        return pa.repeat(pa.scalar(b"", pa.binary()), batch.num_rows)
    legs = batch.column("legs")
    pools = pc.struct_field(legs.values, "pool")
    starts = np.asarray(legs.offsets)[:-1]
    empty = np.asarray(pc.equal(pc.list_value_length(legs), 0))
    return pools.take(pa.array(starts, mask=empty)).fill_null(b"")
