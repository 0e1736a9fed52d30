"""Who wants what: filters within their bounds, and what each group gets."""

import base58
import pyarrow as pa
import pytest

from mevflow.operators.errors import UsageError
from mevflow.sinks.websocket.hub.filters import MAX_CHANNELS, MAX_POOLS, Filter, pool_bytes
from mevflow.sinks.websocket.hub.groups import Groups
from mevflow.sinks.websocket.hub.wire import SCHEMA
from mevflow.v1.realtime_pb2 import Subscribe

A, B, C = b"a" * 32, b"b" * 32, b"c" * 20


def rows(*pools):
    frames = pa.array([b"%d" % n for n in range(len(pools))], SCHEMA.field("frame").type)
    return pa.RecordBatch.from_arrays([frames, pa.array(pools, SCHEMA.field("pools").type)], schema=SCHEMA)


def test_all_three_spellings_say_the_same():
    text = base58.b58encode(A).decode()
    wanted = Filter.of(["x", "y"], [A, C])
    assert Filter.from_query(f"channels=x,y&pools={text}&pools=0x{C.hex()}") == wanted
    assert Filter.from_json(f'{{"channels": ["y", "x"], "pools": ["{text}", "0X{C.hex()}"]}}'.encode()) == wanted
    assert Filter.from_protobuf(Subscribe(channels=["x", "y"], pools=[A, C]).SerializeToString()) == wanted
    assert Filter.from_query("") == Filter.from_json(b"{}") == Filter.from_protobuf(b"") == Filter()
    assert wanted.describe() == {"channels": ["x", "y"], "pools": 2}


@pytest.mark.parametrize("query", ["pool=x", "channels", "pools=0xzz", "pools=0OIl", "pools=" + "1" * 200, "a=b&c=d"])
def test_a_query_that_is_none_is_refused(query):
    with pytest.raises(UsageError):
        Filter.from_query(query)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"channels": "x"}', b'{"who": []}', b"\xff", b'{"pools": [1]}'])
def test_json_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        Filter.from_json(text)


def test_bounds():
    assert Filter.of([str(n) for n in range(MAX_CHANNELS)], [b"%d" % n for n in range(MAX_POOLS)])
    for channels, pools in (
        ([str(n) for n in range(MAX_CHANNELS + 1)], []),
        ([], [b"%d" % n for n in range(MAX_POOLS + 1)]),
        ([], [b"x" * 65]),
        ([], [b""]),
    ):
        with pytest.raises(UsageError):
            Filter.of(channels, pools)
    assert pool_bytes("0x" + "ab" * 64) == b"\xab" * 64
    with pytest.raises(UsageError):
        Filter.from_protobuf(b"\xff\xff")


def test_a_message_of_two_wanted_pools_comes_once_and_in_its_place():
    groups: Groups[str] = Groups()
    both, only, every, named = Filter.of([], [A, B]), Filter.of(["x"], [C]), Filter(), Filter.of(["y"], [])
    for client, wanted in (("both", both), ("only", only), ("every", every), ("named", named)):
        groups.join(client, wanted)
    given = {
        group.filter: frames.to_pylist() for group, frames in groups.select("x", rows([C], [A, B], [], [B], [b"z"]))
    }
    assert given == {both: [b"1", b"3"], only: [b"0"], every: [b"0", b"1", b"2", b"3", b"4"]}
    assert named not in given
    assert [frames.to_pylist() for group, frames in groups.select("y", rows([C])) if group.filter == only] == []


def test_equal_filters_are_one_group_which_ends_with_its_last_client():
    groups = Groups()
    first, second = object(), object()
    for client in (first, second):
        groups.join(client, Filter.of([], [A]))
    assert len(groups) == 1
    groups.leave(first)
    assert [len(frames) for _, frames in groups.select("x", rows([A]))] == [1]
    groups.leave(second)
    groups.leave(second)
    assert len(groups) == 0
    assert list(groups.select("x", rows([A]))) == []
