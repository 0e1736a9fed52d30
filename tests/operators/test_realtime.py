"""The envelope carries the serialized row, its type and the pool that filters look at."""

import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.realtime import RealtimeWrap, WrapSettings, first_pool
from mevflow.operators.stage import StageContext
from mevflow.v1.decision_pb2 import Leg, Opportunity
from mevflow.v1.market_pb2 import Swap


def located(name, messages):
    batch = codec(name).decode(pa.array([m.SerializeToString() for m in messages], pa.binary()))
    schema = codec(name).located
    extra = [pa.nulls(len(messages), schema.field(c).type) for c in schema.names[len(batch.schema) :]]
    return pa.RecordBatch.from_arrays([*batch.columns, *extra], schema=schema)


def test_wraps_swaps_and_opportunities():
    stage = RealtimeWrap(WrapSettings(channel="c"), StageContext("t", "n"))
    swap = Swap(slot=4, pool=b"p", timestamp_us=9)
    found = Opportunity(slot=5, legs=[Leg(pool=b"q"), Leg(pool=b"r")], timestamp_us=10)
    for name, message, kind, pool in (
        ("mevflow.v1.Swap", swap, Swap, b"p"),
        ("mevflow.v1.Opportunity", found, Opportunity, b"q"),
    ):
        ((port, batch),) = stage.process("in", located(name, [message, message]))
        assert port == "out"
        assert batch.schema.equals(stage.output_schemas(stage.settings)["out"])
        row = batch.to_pylist()[1]
        assert kind.FromString(row["payload"]) == message
        assert (row["channel"], row["type"], row["pool"], row["timestamp_us"]) == (
            "c",
            name,
            pool,
            message.timestamp_us,
        )


def test_a_row_without_legs_has_no_pool():
    batch = located("mevflow.v1.Opportunity", [Opportunity(slot=1), Opportunity(legs=[Leg(pool=b"z")])])
    assert first_pool(batch).to_pylist() == [b"", b"z"]
