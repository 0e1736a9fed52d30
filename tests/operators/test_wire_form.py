"""Values that are no protobuf are found without a schema, and no value is called so that a reader takes."""

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.codec import codec
from mevflow.operators.wire_form import malformed
from mevflow.v1.market_pb2 import Swap

SWAP = Swap(chain=1, slot=1 << 40, pool=b"p" * 32, amount_in=bytes(16), tick=-5, a_to_b=True).SerializeToString()

malformed(pa.array([SWAP], pa.binary()))  # compiled before anything is timed


@given(st.lists(st.one_of(st.binary(max_size=40), st.integers(0, len(SWAP)).map(lambda n: SWAP[:n])), max_size=20))
def test_what_is_called_malformed_is_refused_by_the_codec(values):
    found = malformed(pa.array(values, pa.binary()))
    for value, bad in zip(values, found, strict=True):
        if bad and value:
            with pytest.raises(ValueError, match="decode"):
                codec("mevflow.v1.Swap").decode(pa.array([value], pa.binary()))


def test_good_values_pass_also_in_a_slice():
    values = pa.array([b"\xff", SWAP, SWAP[:-1], b"", SWAP], pa.binary())
    assert malformed(values).tolist() == [True, False, True, True, False]
    assert malformed(values.slice(1, 2)).tolist() == [False, True]


def test_nearly_all_random_bytes_are_found():
    rng = random.Random(3)
    values = pa.array([rng.randbytes(60) for _ in range(2_000)], pa.binary())
    assert malformed(values).sum() > 1_900
