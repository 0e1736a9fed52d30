"""Messages, filters, gaps: what clients of a running hub get."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from collections.abc import Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mevflow.sinks.websocket.sink import WebSocketSink
from mevflow.v1.realtime_pb2 import Subscribe
from tests.sinks.websocket.hub.live import RunningHub, pool, subscribed, swaps, take

Hub = Callable[..., RunningHub]
MakeSink = Callable[..., WebSocketSink]


async def test_everything_arrives_once_and_in_order(hub: RunningHub, make_sink: MakeSink) -> None:
    sink = make_sink(hub)
    async with subscribed(hub.url) as client:
        for first in range(0, 1000, 250):
            sink.write(swaps(250, first=first))
        taken = await take(client, 1000)
    assert taken.slots == list(range(1000))
    assert taken.sequences == list(range(2, 2 + len(taken.sequences)))
    assert (taken.dropped, taken.dropped_total, taken.channels) == (0, 0, {"swaps"})


async def test_each_client_gets_what_its_filter_lets_through(hub: RunningHub, make_sink: MakeSink) -> None:
    sink, other = make_sink(hub), make_sink(hub, channel="other")
    urls = [
        f"{hub.url}?channels=swaps",
        f"{hub.url}?pools=0x{pool(1).hex()}",
        f"{hub.url}?channels=swaps,none&pools=0x{pool(0).hex()},0x{pool(2).hex()}",
        f"{hub.url}?channels=none",
    ]
    async with subscribed(urls[0]) as a, subscribed(urls[1]) as b, subscribed(urls[2]) as c, subscribed(urls[3]) as d:
        sink.write(swaps(40))
        assert (await take(a, 40)).slots == list(range(40))
        assert (await take(b, 10)).slots == list(range(1, 40, 4))
        assert (await take(c, 20)).slots == list(range(0, 40, 2))
        other.write(swaps(4))
        assert (await take(b, 1)).channels == {"other"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(d.recv(), 0.2)


@pytest.mark.parametrize(
    "say",
    [
        Subscribe(channels=["swaps"], pools=[pool(3)]).SerializeToString(),
        json.dumps({"channels": ["swaps"], "pools": ["0x" + pool(3).hex()]}),
    ],
    ids=["protobuf", "json"],
)
async def test_a_subscription_changes_at_any_time(hub: RunningHub, make_sink: MakeSink, say: bytes | str) -> None:
    sink = make_sink(hub)
    async with subscribed(f"{hub.url}?channels=none") as client:
        await client.send(say)
        await client.recv()  # the hub says that it is in force
        sink.write(swaps(8))
        assert (await take(client, 2)).slots == [3, 7]


async def test_a_slow_client_is_told_its_gap_and_others_lose_nothing(make_hub: Hub, make_sink: MakeSink) -> None:
    hub = make_hub("--queue-bytes", "100000")
    sink = make_sink(hub)
    batches, rows = 200, 1000
    async with subscribed(hub.url) as quick, subscribed(hub.url, max_queue=1) as slow:
        slow.transport.pause_reading()
        for i in range(batches):
            sink.write(swaps(rows, first=i * rows))
            taken = await take(quick, rows)
            assert (taken.slots[0], taken.slots[-1], taken.dropped) == (i * rows, i * rows + rows - 1, 0)
        status = hub.status
        assert status is not None
        assert any(client["paused"] for client in status.clients)
        slow.transport.resume_reading()
        late = await take(slow, batches * rows)
    assert late.dropped > 0
    assert late.dropped == late.dropped_total == batches * rows - len(late.slots)
    assert late.slots == sorted(set(late.slots))
    assert late.slots[-1] == batches * rows - 1  # the newest is what is kept
    assert late.sequences == list(range(2, 2 + len(late.sequences)))


async def test_a_client_that_takes_nothing_is_closed(make_hub: Hub, make_sink: MakeSink) -> None:
    hub = make_hub("--queue-bytes", "100000", "--stalled", "0.3")
    sink = make_sink(hub)
    async with subscribed(hub.url, max_queue=1) as slow:
        slow.transport.pause_reading()
        for i in range(100):
            sink.write(swaps(2000, first=2000 * i))
            await asyncio.sleep(0.002)
        async with asyncio.timeout(5):
            while (status := hub.status) is None or status.clients:
                await asyncio.sleep(0.05)
        assert status.messages["dropped"] > 0
        slow.transport.abort()


@pytest.mark.parametrize(
    ("say", "code"), [(b"\xff\xff", 1007), ("{", 1007), ('{"pools": ["0x!"]}', 1007), ('{"what": []}', 1007)]
)
async def test_malformed_subscriptions_are_refused(hub: RunningHub, say: bytes | str, code: int) -> None:
    async with subscribed(hub.url) as client:
        await client.send(say)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code
    assert closed.value.rcvd.reason


async def test_a_subscription_in_pieces_is_refused(hub: RunningHub) -> None:
    async with subscribed(hub.url) as client:
        await client.send([b"\x0a", b"\x00"])
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003


async def test_a_frame_too_large_is_refused(hub: RunningHub) -> None:
    async with subscribed(hub.url) as client:
        await client.send(b"\0" * (1_100_000))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), 5)


@pytest.mark.parametrize("query", ["pools=0xzz", "pools=0OIl", "what=1", f"pools={'1' * 200}"])
async def test_a_bad_query_is_a_bad_request(hub: RunningHub, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{hub.url}?{query}")
    assert refused.value.response.status_code == 400


async def test_other_web_pages_are_not_let_in(make_hub: Hub) -> None:
    hub = make_hub("--origin", "https://trusted.example")
    elsewhere = ("https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", hub.url)
    for origin, status in ((each, 403) for each in elsewhere):
        with pytest.raises(InvalidStatus) as refused:
            await connect(hub.url, origin=origin)  # type: ignore[arg-type]
        assert refused.value.response.status_code == status
    for origin in (f"http://127.0.0.1:{hub.port}", "https://trusted.example"):
        async with subscribed(hub.url, origin=origin):
            pass


@pytest.mark.parametrize(
    "head",
    [
        "host: rebound.example",
        "host: 127.0.0.1\r\nhost: 127.0.0.1",
        "x: y",
        "host: 127.0.0.1\r\nsec-fetch-site: same-site",
        "host: 127.0.0.1\r\norigin: http://127.0.0.1\r\norigin: http://127.0.0.1",
    ],
)
@pytest.mark.parametrize("path", ["/ws", "/connections", "/metrics", "/health"])
async def test_a_page_cannot_reach_the_hub_by_another_name(hub: RunningHub, head: str, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\n{head}\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert (await reader.readline()).split()[1] in (b"403", b"400")
    writer.close()


@pytest.mark.parametrize("head", [b"GET /ws HTTP/1.1\r\nx: ", b"GET /", b"GET / HTTP/1.1\r\n"])
async def test_an_endless_handshake_is_cut_off(hub: RunningHub, head: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(head)
    sent, piece = 0, b"x: y\r\n" * 8_000 if head.endswith(b"\n") else b"a" * 65_536
    with contextlib.suppress(ConnectionError):
        for _ in range(1_000):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    assert sent < 1_000 * len(piece)
    async with subscribed(hub.url):
        pass


async def test_what_the_hub_keeps_is_private(hub: RunningHub) -> None:
    files = [hub.path, hub.path.with_suffix(".lock"), hub.var / "hub" / f"{hub.port}.log"]
    assert [stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files] == [0, 0, 0]


async def test_no_more_clients_than_allowed(make_hub: Hub) -> None:
    hub = make_hub("--max-clients", "1")
    async with subscribed(hub.url):
        with pytest.raises(InvalidStatus) as refused:
            await connect(hub.url)
    assert refused.value.response.status_code == 503


async def test_a_hundred_clients_with_filters_of_their_own(hub: RunningHub, make_sink: MakeSink) -> None:
    sink, pools = make_sink(hub), 50

    async def one(number: int) -> list[int]:
        wanted = {number % pools, (number * 7 + 1) % pools}
        query = ",".join(f"0x{pool(each).hex()}" for each in wanted)
        async with subscribed(f"{hub.url}?pools={query}") as client:
            ready.release()
            taken = await take(client, 20 * len(wanted))
            assert taken.dropped == 0
            assert taken.slots == [i for i in range(20 * pools) if i % pools in wanted]
            return taken.slots

    ready = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(one(number))
        for _ in range(100):
            await ready.acquire()
        sink.write(swaps(20 * pools, pools=pools))


async def test_latency_of_single_messages_is_milliseconds(hub: RunningHub, make_sink: MakeSink) -> None:
    sink = make_sink(hub)
    loop = asyncio.get_running_loop()
    took = []
    async with subscribed(hub.url) as client:
        for i in range(40):
            began = loop.time()
            sink.write(swaps(1, first=i))
            await take(client, 1)
            took.append(loop.time() - began)
            await asyncio.sleep(0.01)
    assert sorted(took)[len(took) // 2] < 0.02
