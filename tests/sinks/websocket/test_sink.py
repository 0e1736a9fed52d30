"""The sink: what it makes of each kind of batch, and what it does when the hub is away."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.stage import StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.websocket.hub import hub_status, start_hub, stop_hub
from mevflow.sinks.websocket.hub.feed import HubFeed
from mevflow.sinks.websocket.hub.wire import SCHEMA
from mevflow.sinks.websocket.sink import PART_BYTES, WebSocketSettings, WebSocketSink, parts_of, pools_of
from mevflow.v1.decision_pb2 import Decision, Opportunity
from mevflow.v1.market_pb2 import Swap
from mevflow.v1.realtime_pb2 import RealtimeBatch, RealtimeMessage
from tests.sinks.websocket.hub.live import subscribed, swaps, take


def _batch(*messages: Swap | Opportunity | Decision | RealtimeMessage) -> pa.RecordBatch:
    values = pa.array([message.SerializeToString() for message in messages], pa.binary())
    return codec(messages[0].DESCRIPTOR.full_name).decode(values)


def _wait_connected(feed: HubFeed, seconds: float) -> bool:
    """Wait until the hub is there; False at time-out."""
    deadline = time.monotonic() + seconds
    while not feed.connected:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_pools_come_from_the_column_or_the_legs() -> None:
    legs = [{"pool": b"a"}, {"pool": b"b"}]
    assert pools_of(_batch(Swap(pool=b"x"), Swap(pool=b"y"))).to_pylist() == [[b"x"], [b"y"]]
    found = _batch(Opportunity(legs=legs), Opportunity(), Opportunity(legs=legs[1:]))  # type: ignore[arg-type]
    assert pools_of(found).to_pylist() == [[b"a", b"b"], [], [b"b"]]
    assert pools_of(found.slice(2)).to_pylist() == [[b"b"]]


def _sent(
    batch: pa.RecordBatch, channel: str, tmp_path: Path
) -> dict[str, tuple[list[RealtimeMessage], list[list[bytes]]]]:
    """What the sink hands to its feed for ``batch``, by channel."""
    settings = WebSocketSettings(channel=channel, port=free_port(), hub="external", socket=str(tmp_path / "none"))
    sink = WebSocketSink(settings, StageContext("tested", "live"))
    sink.open(None)
    handed: dict[str, tuple[list[RealtimeMessage], list[list[bytes]]]] = {}

    class Recording(HubFeed):
        def send(self, channel: str, rows: pa.RecordBatch) -> None:
            assert rows.schema.equals(SCHEMA)
            batches = [RealtimeBatch.FromString(frame) for frame in rows["frame"].to_pylist()]
            assert all(len(each.messages) == 1 for each in batches)
            handed[channel] = ([each.messages[0] for each in batches], rows["pools"].to_pylist())

    sink._feed.close()
    sink._feed = Recording(tmp_path / "none", {})
    sink.write(batch)
    sink.close()
    return handed


def test_messages_are_wrapped_with_what_filters_need(tmp_path: Path) -> None:
    found = Opportunity(slot=7, timestamp_us=9, legs=[{"pool": b"p1"}, {"pool": b"p2"}])  # type: ignore[list-item]
    (messages, pools) = _sent(_batch(found, Opportunity(slot=8)), "opportunities", tmp_path)["opportunities"]
    assert pools == [[b"p1", b"p2"], []]
    first = messages[0]
    assert (first.channel, first.type, first.pool, first.timestamp_us) == (
        "opportunities",
        "mevflow.v1.Opportunity",
        b"p1",
        9,
    )
    assert Opportunity.FromString(first.payload) == found
    assert messages[1].pool == b""


def test_large_rows_go_in_small_parts(tmp_path: Path) -> None:
    rows = [Swap(slot=n, pool=bytes([n]) * 32, signature=bytes(1_000_000 if n % 3 else 10)) for n in range(60)]
    batch = _batch(*rows)
    parts = list(parts_of(batch))
    assert all(part.nbytes <= PART_BYTES for part in parts)
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([batch]))
    assert pools_of(parts[1]).to_pylist() == [[row.pool] for row in rows[parts[0].num_rows :][: parts[1].num_rows]]
    assert len(list(parts_of(_batch(Swap(signature=bytes(PART_BYTES + 1)))))) == 1
    odd = [Swap(slot=(1 << 64) - 1, chain=-3, venue=99, timestamp_us=(1 << 63) - 1), Swap()]  # type: ignore[arg-type]
    messages, pools = _sent(_batch(*odd), "swaps", tmp_path)["swaps"]
    assert ([Swap.FromString(one.payload) for one in messages], pools) == (odd, [[b""], [b""]])


def test_realtime_messages_keep_their_own_channel(tmp_path: Path) -> None:
    given = [RealtimeMessage(channel=c, payload=c.encode(), pool=b"p", type="t") for c in ("a", "b", "a")]
    handed = _sent(_batch(*given), "", tmp_path)
    assert handed == {"a": ([given[0], given[2]], [[b"p"], [b"p"]]), "b": ([given[1]], [[b"p"]])}


async def test_the_stream_goes_on_without_a_hub_and_the_loss_is_told(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "h.sock"
    settings = WebSocketSettings(channel="swaps", port=port, hub="external", socket=str(path))
    sink = WebSocketSink(settings, StageContext("tested", "live"))
    sink.open(None)
    for i in range(10):
        sink.write(swaps(10, first=10 * i))  # if it waited, the test would run into its time-out
    assert sink.dropped == 100
    for _ in range(2):  # a hub comes, goes and comes back
        lost = sink.dropped
        start_hub("127.0.0.1", port, tmp_path, path=path)
        try:
            assert _wait_connected(sink._feed, 5)
            async with subscribed(f"ws://127.0.0.1:{port}/ws") as client:
                sink.write(swaps(10, first=100))
                taken = await take(client, 20)
                assert taken.slots == list(range(100, 110))
                assert taken.dropped >= 10
        finally:
            stop_hub(port, path)
        deadline = time.monotonic() + 5
        while sink.dropped == lost:
            assert time.monotonic() < deadline
            sink.write(swaps(10))
            time.sleep(0.01)
    state = sink.snapshot()
    sink.close()
    again = WebSocketSink(settings, StageContext("tested", "live"))
    again.open(state)
    assert again.dropped == sink.dropped
    again.close()


async def test_the_sink_starts_a_hub_and_shares_it(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "h.sock"
    settings = WebSocketSettings(channel="swaps", port=port, socket=str(path), linger_s=0.5)
    sinks = [WebSocketSink(settings, StageContext(name, "live")) for name in ("one", "two")]
    try:
        for sink in sinks:
            sink.open(None)
        status = hub_status(port, path)
        assert status is not None
        assert {feed["topology"] for feed in status.feeds} == {"one", "two"}
        async with subscribed(f"ws://127.0.0.1:{port}/api/realtime/ws") as client:
            for sink in sinks:
                sink.write(swaps(3))
            assert len((await take(client, 6)).slots) == 6
    finally:
        for sink in sinks:
            sink.close()
        stop_hub(port, path)


def test_a_stuck_hub_does_not_block_the_stream(tmp_path: Path) -> None:
    path = tmp_path / "h.sock"
    with socket.socket(socket.AF_UNIX) as listening:  # takes connections and reads nothing
        listening.bind(str(path))
        listening.listen()
        feed = HubFeed(path, {}, max_bytes=1 << 20)
        rows = pa.RecordBatch.from_pydict({"frame": [b"x" * 1000] * 1000, "pools": [[]] * 1000}, schema=SCHEMA)
        for _ in range(40):
            feed.send("swaps", rows)  # if it waited, the test would run into its time-out
        assert feed.dropped > 0
        feed.close(0.3)
        assert feed.dropped > 20_000
