"""A record's tree: every node names its own bytes, and nothing is left out."""

from google.protobuf import message_factory
from hypothesis import given
from hypothesis import strategies as st

from mevflow.flows.messages.anatomy import MAX_DEPTH, MAX_NODES, anatomy
from mevflow.flows.messages.schemas import names
from mevflow.operators.codec import message_type
from mevflow.v1.decision_pb2 import Leg, Opportunity
from mevflow.v1.market_pb2 import Bin, PoolUpdate, Swap

SWAP = Swap.DESCRIPTOR


def by_name(nodes):
    return {node.name or str(node.field): node for node in nodes}


def test_fields_by_name_value_and_range():
    data = Swap(chain=1, slot=300, pool=b"\x01" * 32, amount_in=(7).to_bytes(16, "little")).SerializeToString()
    nodes, fault = anatomy(data, SWAP)
    assert fault == ""
    found = by_name(nodes)
    assert [found["chain"].value, found["slot"].value, found["amount_in"].value] == ["CHAIN_SOLANA", "300", "7"]
    pool = found["pool"]
    assert data[pool.value_start : pool.end] == b"\x01" * 32
    assert nodes[0].start == 0
    assert [left.end for left in nodes[:-1]] == [right.start for right in nodes[1:]]
    assert nodes[-1].end == len(data)


def test_messages_within_messages_share_the_records_offsets():
    data = Opportunity(legs=[Leg(pool=b"\x02" * 32), Leg(pool=b"\x03" * 32)]).SerializeToString()
    nodes, fault = anatomy(data, Opportunity.DESCRIPTOR)
    legs = [node for node in nodes if node.name == "legs"]
    assert (fault, len(legs)) == ("", 2)
    (pool,) = legs[1].children
    assert data[pool.value_start : pool.end] == b"\x03" * 32
    assert (
        by_name(anatomy(PoolUpdate(bins=[Bin(id=-5)]).SerializeToString(), PoolUpdate.DESCRIPTOR)[0])["bins"].value
        is None
    )


def test_an_unknown_field_is_kept():
    data = Swap(slot=1).SerializeToString() + b"\xf2\x7f\x03abc"
    nodes, fault = anatomy(data, SWAP)
    assert (fault, nodes[-1].name, nodes[-1].field, nodes[-1].value) == ("", "", 2046, "abc")


def test_without_a_schema_the_wire_is_shown():
    nodes, fault = anatomy(Opportunity(legs=[Leg(pool=b"\x02" * 3)], chain=2).SerializeToString(), None)
    assert fault == ""
    assert {node.wire for node in nodes} == {"varint", "bytes"}
    assert any(node.children for node in nodes)


def test_what_is_cut_off_says_where_and_keeps_what_came_before():
    data = Swap(slot=5, pool=b"\x01" * 32).SerializeToString()[:-3]
    nodes, fault = anatomy(data, SWAP)
    assert "cut off" in fault
    assert by_name(nodes)["slot"].value == "5"


def test_depth_and_nodes_are_bounded():
    deep = b""
    for _ in range(4 * MAX_DEPTH):
        deep = b"\x0a" + _varint(len(deep)) + deep
    nodes, _ = anatomy(deep, None)
    assert nodes
    _, fault = anatomy(b"\x08\x01" * (MAX_NODES + 1), None)
    assert "fields" in fault


def _varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@given(st.binary(max_size=300), st.sampled_from([None, *names()]))
def test_any_bytes_are_answered(data, name):
    nodes, fault = anatomy(data, None if name is None else message_type(name).DESCRIPTOR)
    assert fault or (nodes[-1].end if nodes else 0) == len(data)
    stack = list(nodes)
    while stack:
        node = stack.pop()
        assert 0 <= node.start < node.value_start <= node.end <= len(data)
        assert (node.value is None) <= (bool(node.children) or node.type == "message" or node.value_start == node.end)
        stack += node.children


def test_every_schema_has_a_class():
    assert all(message_factory.GetMessageClass(message_type(name).DESCRIPTOR) for name in names())
