"""Decode: columns equal the messages, and one bad value costs only itself."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.codec import COORDINATES, RAW, codec, unreadable_row
from mevflow.operators.decode import Decode, DecodeSettings
from mevflow.operators.errors import UsageError
from mevflow.operators.stage import StageContext
from mevflow.v1.market_pb2 import Swap


def raw(values: list[bytes], first_offset: int = 0) -> pa.RecordBatch:
    rows = len(values)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(values, pa.binary()),
            pa.array(range(rows), pa.int64()),
            pa.array(["t"] * rows).cast(COORDINATES.field("source_topic").type),
            pa.array([3] * rows, pa.int32()),
            pa.array(range(first_offset, first_offset + rows), pa.int64()),
        ],
        schema=RAW,
    )


def decode(values: list[bytes]) -> dict[str, list[dict]]:
    stage = Decode(DecodeSettings(message="mevflow.v1.Swap"), StageContext("topo", "decoded", "r"))
    found: dict[str, list[dict]] = {"out": [], "errors": []}
    for port, batch in stage.process("in", raw(values)):
        assert batch.schema.equals(Decode.output_schemas(stage.settings)[port])
        found[port] += batch.to_pylist()
    return found


def test_columns_and_coordinates():
    swap = Swap(chain=1, slot=7, pool=b"p" * 32, amount_in=(1 << 100).to_bytes(16, "little"), tick=-5, a_to_b=True)
    row = decode([swap.SerializeToString()] * 2)["out"][1]
    assert (row["slot"], row["pool"], row["tick"], row["a_to_b"]) == (7, b"p" * 32, -5, True)
    assert int.from_bytes(row["amount_in"], "little") == 1 << 100
    assert (row["source_topic"], row["source_partition"], row["source_offset"]) == ("t", 3, 1)


@given(st.lists(st.sampled_from(["good", "bad", "empty"]), max_size=40))
def test_bad_values_are_dead_letters_and_the_rest_goes_on(kinds):
    values = {"good": Swap(slot=9, pool=b"x").SerializeToString(), "bad": b"\xff\xff\xff", "empty": b""}
    found = decode([values[kind] for kind in kinds])
    assert [row["source_offset"] for row in found["out"]] == [i for i, kind in enumerate(kinds) if kind == "good"]
    assert [row["offset"] for row in found["errors"]] == [i for i, kind in enumerate(kinds) if kind != "good"]
    for row in found["errors"]:
        assert row["payload"] == values[kinds[row["offset"]]]
        assert (row["topic"], row["partition"], row["stage"], row["topology"]) == ("t", 3, "decoded", "topo")
        assert row["reason"] == "undecodable"


@given(st.binary(max_size=200))
def test_no_bytes_raise(value):
    found = decode([value])
    assert len(found["out"]) + len(found["errors"]) == 1


def test_encode_is_the_inverse():
    swaps = [Swap(slot=slot, pool=b"p", signature=b"s" * 64) for slot in range(1, 5)]
    values = pa.array([swap.SerializeToString() for swap in swaps], pa.binary())
    swap_codec = codec("mevflow.v1.Swap")
    assert swap_codec.encode(swap_codec.decode(values)).to_pylist() == values.to_pylist()


def test_unknown_message():
    with pytest.raises(UsageError, match="unknown message"):
        codec("mevflow.v1.Nothing")


@pytest.mark.parametrize(
    ("field", "value"),
    [("slot", 1 << 63), ("timestamp_us", (1 << 63) - 1), ("timestamp_us", -1), ("tx_index", (1 << 32) - 1)],
)
def test_a_field_outside_its_bounds_is_a_dead_letter(field, value):
    values = [Swap(slot=9, pool=b"x").SerializeToString()] * 3
    values[1] = Swap(**{"slot": 9, "pool": b"x", field: value}).SerializeToString()
    found = decode(values)
    assert [row["source_offset"] for row in found["out"]] == [0, 2]
    (letter,) = found["errors"]
    assert (letter["offset"], letter["reason"], letter["payload"]) == (1, "out_of_bounds", values[1])
    assert letter["detail"].startswith(f"{field} is not in 0 .. ")


def test_an_enum_value_that_is_not_known_passes():
    row = decode([Swap(slot=1, venue=99, chain=-3, amount_in=b"\1" * 17).SerializeToString()])["out"][0]
    assert (row["venue"], row["chain"], row["amount_in"]) == (99, -3, b"\1" * 17)


def test_what_the_source_could_not_read_is_a_letter_without_bytes():
    stage = Decode(DecodeSettings(message="mevflow.v1.Swap"), StageContext("topo", "decoded"))
    ((port, batch),) = stage.process("in", unreadable_row("t", 3, 40, 5, "zstd"))
    assert port == "errors"
    (letter,) = batch.to_pylist()
    assert (letter["topic"], letter["partition"], letter["offset"], letter["payload"]) == ("t", 3, 40, b"")
    assert (letter["reason"], letter["detail"]) == ("unreadable", "zstd")
