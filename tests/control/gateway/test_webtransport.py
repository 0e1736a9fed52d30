"""Live messages over WebTransport: the hub's own bytes under the gateway's rules, with a ticket for each client."""

import asyncio

import pytest
import pytest_asyncio

from mevflow.control.gateway.live import realtime
from mevflow.v1.realtime_pb2 import Subscribe
from tests.control.gateway.conftest import Client
from tests.sinks.websocket.hub.conftest import make_hub, make_sink  # noqa: F401
from tests.sinks.websocket.hub.live import pool, swaps
from tests.sinks.websocket.hub.visitor import visit

PATH = "/api/realtime/webtransport"


@pytest.fixture
def hub(make_hub):  # noqa: F811
    return make_hub("--webtransport", "--queue-bytes", "100000")


@pytest_asyncio.fixture(loop_scope="session")
async def door(make_gateway, authenticator, keys, hub):
    """A client of a gateway that authenticates, in front of the hub."""
    return Client(await make_gateway(authenticator, hub=hub.path), keys.token())


async def ticketed(door, query="", **more):
    """Where a client goes with its ticket, and the hash of who is there."""
    reply = await door("POST", PATH, **more)
    assert reply.status == 200
    return f"/wt?ticket={reply.body['ticket']}{query}", reply.body["certificates"][0]["value"]


async def test_the_hub_serves_who_shows_a_ticket_once(door, hub, make_sink):  # noqa: F811
    sink = make_sink(hub)
    assert (await door("POST", PATH, token="none")).status == 401
    path, known = await ticketed(door, "&channels=swaps")
    async with visit(hub.port) as visitor:
        assert await visitor.enter(path) == 200
        assert visitor.certificate() == known
        await visitor.until(lambda: visitor.taken.sequences == [1])
        sink.write(swaps(500))
        await visitor.until(lambda: visitor.taken.slots == list(range(500)))
        (client,) = hub.status.clients
        assert (client["admitted"], client["channels"]) == (True, ["swaps"])
        visitor.say(Subscribe(pools=[pool(1)]).SerializeToString())  # a filter may change on the way
        before = len(visitor.taken.sequences)
        await visitor.until(lambda: len(visitor.taken.sequences) > before)
        sink.write(swaps(8, first=500))
        await visitor.until(lambda: visitor.taken.slots[500:] == [501, 505])
        for again, status in ((path, 401), ((await ticketed(door, "&chanels=swaps"))[0], 400)):
            async with visit(hub.port) as other:
                assert await other.enter(again) == status
        visitor.say(b"\xff")
        await visitor.until(lambda: visitor.farewell)
        assert visitor.farewell == (1007, "not a serialized Subscribe")
    while hub.status.clients:
        await asyncio.sleep(0.01)


async def test_tickets_that_are_asked_for_at_once_are_no_more_than_a_caller_may_have(door, monkeypatch):
    monkeypatch.setattr(realtime, "MAX_OF_CALLER", 2)
    replies = await asyncio.gather(*(door("POST", PATH) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [200, 200, 429, 429, 429, 429]


async def test_a_client_ends_with_its_key(door, hub, keys):
    path, _ = await ticketed(door, token=keys.make("two").token("two"))
    async with visit(hub.port) as visitor:
        assert await visitor.enter(path) == 200
        (keys.folder / "two.pem").unlink()
        await visitor.until(lambda: visitor.farewell)
        assert visitor.farewell[0] == 1008


async def test_a_page_from_elsewhere_gets_no_ticket(door):
    cookie = (await door("POST", "/api/session")).headers["set-cookie"].partition(";")[0]
    csrf = (await door("GET", "/api/session", token="", headers={"cookie": cookie})).body["csrf"]
    mine = {"cookie": cookie, "x-csrf-token": csrf}
    assert (await door("POST", PATH, token="", headers={"cookie": cookie})).status == 403
    assert (await door("POST", PATH, token="", headers={**mine, "origin": "https://evil.example"})).status == 403
    assert (await door("POST", PATH, token="", headers=mine)).status == 200


async def test_a_client_that_takes_nothing_loses_the_oldest_and_is_told_how_many(door, hub, make_sink):  # noqa: F811
    sink = make_sink(hub)
    path, _ = await ticketed(door)
    async with visit(hub.port) as visitor:
        assert await visitor.enter(path) == 200
        await visitor.until(lambda: visitor.taken.sequences == [1])
        visitor.deaf = True
        sent = 0
        while not (hub.status.clients[0]["dropped"]):
            sink.write(swaps(1_000, first=sent))
            sent += 1_000
            await asyncio.sleep(0.05)
        visitor.deaf = False
        await visitor.until(lambda: visitor.taken.known == sent)
        assert visitor.taken.slots == sorted(visitor.taken.slots)
        assert visitor.taken.sequences == list(range(1, len(visitor.taken.sequences) + 1))


async def test_a_stranger_has_little_time_and_few_bytes(door, hub):
    async with visit(hub.port) as silent, visit(hub.port) as loud, asyncio.timeout(120):
        loud.say(bytes(200_000))
        await loud.wait_closed()
        await silent.wait_closed()


async def test_a_gateway_says_when_its_hub_gives_no_tickets(make_gateway, authenticator, keys, make_hub):  # noqa: F811
    door = Client(await make_gateway(authenticator, hub=make_hub().path), keys.token())
    reply = await door("POST", PATH)
    assert (reply.status, reply.body["reason"]) == (503, "HUB_UNREACHABLE")
    assert "mevflow hub start --webtransport" in reply.body["detail"]
