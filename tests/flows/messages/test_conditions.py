"""Conditions on columns beside the same question asked of each message."""

import operator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.flows.messages.conditions import MAX_LENGTH, parse
from mevflow.operators.codec import codec
from mevflow.operators.errors import UsageError
from mevflow.v1.decision_pb2 import Opportunity
from mevflow.v1.market_pb2 import Swap

OPS = {"=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
SWAPS = codec("mevflow.v1.Swap")


def rows(text, messages, name="mevflow.v1.Swap"):
    of = codec(name)
    batch = of.decode(pa.array([message.SerializeToString() for message in messages], pa.binary()))
    return np.flatnonzero(parse(text, of).rows(batch)).tolist()


def swap(number, **more):
    return Swap(slot=number, amount_in=number.to_bytes(16, "little"), pool=bytes([number % 256]) * 32, **more)


def test_each_kind_of_field():
    found = [swap(1, chain=1), swap(2, chain=2), swap(3, chain=1)]
    assert rows("chain = chain_solana", found) == [0, 2]
    assert rows("chain=2", found) == [1]
    assert rows("slot >= 2", found) == [1, 2]
    assert rows("amount_in > 1", found) == [1, 2]
    assert rows(f"pool = 0x{'02' * 32}", found) == [1]
    assert rows(f"pool != 0x{'02' * 32}", found) == [0, 2]
    assert rows("amount_out > 0", found) == []  # unset is not zero
    assert rows("amount_out <= 0", found) == []
    paths = [Opportunity(mint=b"m", opportunity_id=bytes([n])) for n in range(3)]
    assert rows("opportunity_id = 02", paths, "mevflow.v1.Opportunity") == [2]


_amounts = st.one_of(st.integers(0, 3), st.integers(0, (1 << 128) - 1), st.integers((1 << 64) - 2, (1 << 64) + 2))


@given(st.lists(_amounts, min_size=1, max_size=8), _amounts, st.sampled_from(sorted(OPS)), st.integers(0, 3))
def test_amounts_compare_as_whole_numbers(values, wanted, op, cut):
    found = [Swap(slot=1, amount_in=value.to_bytes(16, "little")) for value in values]
    batch = SWAPS.decode(pa.array([each.SerializeToString() for each in found], pa.binary()))
    part = batch.slice(min(cut, len(values) - 1))
    mask = parse(f"amount_in {op} {wanted}", SWAPS).rows(part)
    assert mask.tolist() == [OPS[op](value, wanted) for value in values[min(cut, len(values) - 1) :]]


@given(st.lists(st.integers(-(1 << 127), (1 << 127) - 1), min_size=1, max_size=8), st.sampled_from(sorted(OPS)))
def test_signed_amounts_too(values, op):
    of = codec("mevflow.v1.Opportunity")
    found = [Opportunity(net_profit=value.to_bytes(16, "little", signed=True)) for value in values]
    batch = of.decode(pa.array([each.SerializeToString() for each in found], pa.binary()))
    for wanted in (values[0], -1, 0, 1):
        mask = parse(f"net_profit {op} {wanted}", of).rows(batch)
        assert mask.tolist() == [OPS[op](value, wanted) for value in values]


@pytest.mark.parametrize(
    "text",
    ["", "slot", "slot == ", "nothing = 1", "slot = x", "slot ~ 1", "pool > 0x01", "pool = !", "amount_in = 1.5",
     "amount_in = " + "9" * 40, "slot = " + "9" * MAX_LENGTH, "slot = 1; drop", "pool = " + "1" * 200],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(text):
    with pytest.raises(UsageError) as found:
        parse(text, SWAPS)
    assert found.value.key == "where"
