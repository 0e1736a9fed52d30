"""What the compiled reader reads equals the general reader's columns, and what is not plain it leaves to that."""

import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.operators import plain_wire
from mevflow.operators.codec import codec
from mevflow.operators.plain_wire import PlainWire
from mevflow.v1.market_pb2 import PoolUpdate, Swap

SWAP = codec("mevflow.v1.Swap")
PLAIN = PlainWire(Swap, SWAP.schema)
_LIMITS = {
    "chain": (-(1 << 31), (1 << 31) - 1),
    "slot": (0, (1 << 64) - 1),
    "tx_index": (0, (1 << 32) - 1),
    "ix_index": (0, (1 << 32) - 1),
    "timestamp_us": (-(1 << 63), (1 << 63) - 1),
    "venue": (-(1 << 31), (1 << 31) - 1),
    "tick": (-(1 << 31), (1 << 31) - 1),
    "fee_pips": (0, (1 << 32) - 1),
    "priority_fee_lamports": (0, (1 << 64) - 1),
    "tip_lamports": (0, (1 << 64) - 1),
    "fork": (0, (1 << 64) - 1),
}
_FIELDS = {
    field.name: st.integers(*_LIMITS[field.name])
    if field.name in _LIMITS
    else st.booleans()
    if field.type == field.TYPE_BOOL
    else st.binary(max_size=70)
    for field in Swap.DESCRIPTOR.fields
}
#: A machine that is busy with other things makes messages slowly, which is no fault of theirs.
_UNHURRIED = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
swaps = st.fixed_dictionaries({}, optional=_FIELDS).map(lambda told: Swap(**told)).filter(lambda swap: swap.ByteSize())


def general(values: pa.BinaryArray) -> pa.RecordBatch:
    return SWAP._handler.array_to_record_batch(values).replace_schema_metadata(SWAP.schema.metadata)


def plain(values: pa.BinaryArray) -> pa.RecordBatch | None:
    columns = PLAIN.decode(values)
    if columns is None:
        return None
    batch = pa.RecordBatch.from_arrays(list(columns), schema=SWAP.schema)
    batch.validate(full=True)
    return batch


@_UNHURRIED
@given(st.lists(swaps, min_size=1, max_size=4), st.integers(0, 5))
def test_written_messages_are_read_as_the_general_reader_reads_them(messages, skipped):
    values = pa.array([b"\xff" * 3] * skipped + [message.SerializeToString() for message in messages], pa.binary())
    values = values.slice(skipped)
    found = plain(values)
    assert found is not None
    assert found.equals(general(values))


@_UNHURRIED
@given(swaps, st.randoms(use_true_random=False))
def test_a_damaged_value_is_read_as_the_general_reader_reads_it_or_left_to_it(message, chance: random.Random):
    value = bytearray(message.SerializeToString())
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(value))
        octet = bytes(value[at : at + 1])
        value[at : at + 1] = chance.choice([bytes([chance.randrange(256)]), b"", octet * 2])
        if not value:
            return
    values = pa.array([bytes(value)], pa.binary())
    found = plain(values)
    if found is not None:
        assert found.equals(general(values))


@given(st.binary(min_size=1, max_size=120))
def test_bytes_of_anybody_are_read_as_the_general_reader_reads_them_or_left_to_it(value):
    values = pa.array([value], pa.binary())
    found = plain(values)
    if found is not None:
        assert found.equals(general(values))


ONE = Swap(chain=1, slot=5, pool=b"p" * 32, tick=-7, a_to_b=True).SerializeToString()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        ONE + b"\x08\x01",  # a field again
        ONE + b"\xf0\x3f\x01",  # a field that the message does not have
        ONE[:-1],
        b"\x08",
        b"\x0a\x01\x01",  # bytes where a number is declared
        b"\x4a\x05abc",  # more bytes than there are
        b"\x10" + b"\xff" * 9 + b"\x02",  # more than 64 bits
        b"\x18" + b"\xff\xff\xff\xff\x1f",  # more than 32 bits
        b"\xb8\x01\x02",  # a bool of 2
        b"\x00\x01",
        b"\x0b\x0c",
    ],
)
def test_what_is_not_plain_is_left(value):
    assert plain(pa.array([ONE, value, ONE], pa.binary())) is None


def test_nothing_is_left():
    assert plain(pa.array([], pa.binary())) is None
    assert plain(pa.array([None], pa.binary())) is None


def test_a_long_batch_is_the_same_whichever_reader_reads_it():
    values = pa.array(
        [Swap(slot=slot, pool=b"p" * (slot % 40), tick=-slot).SerializeToString() for slot in range(1, 3_000)]
    )
    assert SWAP.decode(values).equals(general(values))
    newer = pa.concat_arrays([values, pa.array([ONE + b"\xf0\x3f\x01"])])
    assert SWAP.decode(newer).equals(general(newer))
    with pytest.raises(ValueError, match="decode"):
        SWAP.decode(pa.concat_arrays([values, pa.array([b"\x08"])]))


def test_buffers_that_may_not_be_written_to_are_read_by_the_same_code():
    values = pa.array([ONE] * 3, pa.binary())
    frozen = [pa.py_buffer(buffer.to_pybytes()) for buffer in values.buffers()[1:]]
    found = plain(pa.Array.from_buffers(pa.binary(), 3, [None, *frozen]))
    assert found is not None
    assert found.equals(general(values))
    assert len(plain_wire._read.signatures) == len(plain_wire._gather.signatures) == 1


def test_a_message_with_parts_is_not_read_here():
    assert not PlainWire.fits(PoolUpdate)
