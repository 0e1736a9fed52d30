"""Selecting rows for groups and cutting them into bodies, against the obvious way of doing it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mevflow.sinks.websocket.hub.filters import Filter
from mevflow.sinks.websocket.hub.frames import HEADROOM, bodies, varint
from mevflow.sinks.websocket.hub.groups import Groups
from mevflow.sinks.websocket.hub.wire import SCHEMA, FeedBlock, pack_block, unpack_block
from mevflow.v1.realtime_pb2 import RealtimeBatch, RealtimeMessage

pools = st.sampled_from([b"a", b"b", b"c", b"d"])
channels = st.sampled_from(["x", "y"])
filters = st.builds(Filter, st.frozensets(channels), st.frozensets(pools))


def _rows(of_pools: list[list[bytes]]) -> pa.RecordBatch:
    frames = [
        RealtimeBatch(messages=[RealtimeMessage(payload=b"%d" % i * (i % 50))]).SerializeToString()
        for i in range(len(of_pools))
    ]
    return pa.RecordBatch.from_pydict({"frame": frames, "pools": of_pools}, schema=SCHEMA)


@given(st.lists(st.lists(pools, max_size=3), min_size=1, max_size=30), st.lists(filters, max_size=6), channels)
def test_groups_get_exactly_what_passes_their_filter(
    of_pools: list[list[bytes]], wanted: list[Filter], channel: str
) -> None:
    groups: Groups[int] = Groups()
    rows = _rows(of_pools)
    for client, each in enumerate(wanted):
        groups.join(client, each)
    assert len(groups) == len(set(wanted))
    got = {group.filter: frames.to_pylist() for group, frames in groups.select(channel, rows)}
    for each in wanted:
        passes = [
            frame
            for frame, about in zip(rows["frame"].to_pylist(), of_pools, strict=True)
            if (not each.channels or channel in each.channels) and (not each.pools or each.pools & set(about))
        ]
        assert got.get(each, []) == passes
    for client in range(len(wanted)):
        groups.leave(client)
        groups.leave(client)
    assert len(groups) == 0
    assert list(groups.select(channel, rows)) == []


@given(st.integers(0, 60), st.integers(0, 5), st.integers(1, 20), st.integers(1, 500), st.data())
def test_bodies_hold_every_message_once(count: int, skip: int, most: int, size: int, data: Any) -> None:
    frames = _rows([[]] * (count + skip))["frame"].slice(skip)
    cut = list(bodies(frames, most, size))
    assert b"".join(bytes(body.buffer[HEADROOM:]) for body in cut) == b"".join(frames.to_pylist())
    assert sum(body.count for body in cut) == count
    assert all(body.count <= most and (body.size <= size or body.count == 1) for body in cut)
    for body in cut:
        own = [data.draw(st.integers(0, 2**64 - 1)) for _ in range(3)]
        start = body.head(*own)
        assert start >= 14  # room for the WebSocket header
        read = RealtimeBatch.FromString(bytes(body.buffer[start:]))
        assert [read.sequence, read.dropped, read.dropped_total, len(read.messages)] == [*own, body.count]


@given(st.integers(0, 2**64 - 1))
def test_varints_are_protobufs(number: int) -> None:
    assert RealtimeBatch.FromString(b"\x08" + varint(number)).sequence == number


@given(st.text(max_size=20), st.lists(st.lists(pools, max_size=3), max_size=5), st.integers(0, 2**63))
def test_blocks_survive_the_wire(channel: str, of_pools: list[list[bytes]], lost: int) -> None:
    block = FeedBlock(channel, _rows(of_pools), lost)
    back = unpack_block(pack_block(block)[5:])
    assert (back.channel, back.lost) == (channel, lost)
    assert back.rows.equals(block.rows)
