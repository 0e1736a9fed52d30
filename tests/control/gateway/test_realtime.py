"""Live messages through the gateway: the hub's own bytes, under the gateway's rules."""

import asyncio
import json
import os
import signal
import ssl
import time
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mevflow.control.auth.identity import LocalAuthenticator
from mevflow.control.auth.tls import TlsFiles
from mevflow.control.gateway.live import realtime
from mevflow.operators.errors import UnreachableError
from mevflow.sinks.websocket.hub import hub_status
from mevflow.sinks.websocket.hub.reader import LiveDoor, listen
from mevflow.v1.realtime_pb2 import RealtimeBatch
from tests.control.gateway.conftest import Client
from tests.sinks.websocket.hub.conftest import hub, make_hub, make_sink  # noqa: F401
from tests.sinks.websocket.hub.live import pool, swaps, take

PATHS = ("/api/realtime/ws", "/ws")


@pytest_asyncio.fixture(loop_scope="session")
async def door(make_gateway, authenticator, keys, hub):  # noqa: F811
    """A client of a gateway that authenticates, in front of the hub."""
    return Client(await make_gateway(authenticator, hub=hub.path), keys.token())


@asynccontextmanager
async def live(address, path=PATHS[0], token="", **more):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = address.replace("http", "ws", 1) + path
    async with connect(url, compression=None, max_size=None, additional_headers=headers, **more) as socket:
        greeting = RealtimeBatch.FromString(await socket.recv())
        assert (greeting.sequence, len(greeting.messages)) == (1, 0)
        yield socket


async def closed(socket):
    """The close code, once the other side has sent it."""
    try:
        async with asyncio.timeout(15):
            while True:
                await socket.recv()
    except ConnectionClosed as found:
        return found.rcvd and found.rcvd.code


@pytest.mark.parametrize("path", PATHS)
async def test_the_hub_serves_who_the_gateway_lets_in(door, hub, make_sink, path):  # noqa: F811
    sink = make_sink(hub)
    async with live(door.address, f"{path}?channels=swaps", door.token) as socket:
        sink.write(swaps(500))
        assert (await take(socket, 500)).slots == list(range(500))
        (client,) = hub.status.clients
        assert (client["admitted"], client["channels"]) == (True, ["swaps"])
        assert client["peer"].startswith("127.0.0.1:")
        await socket.send(json.dumps({"pools": ["0x" + pool(1).hex()]}))  # a filter may change on the way
        await socket.recv()
        sink.write(swaps(8, first=500))
        assert (await take(socket, 2)).slots == [501, 505]
        listed = await door("GET", "/api/realtime/connections")
        assert listed.body["clients"][0]["pools"] == 1
    while hub.status.clients:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("path", PATHS)
async def test_no_token_no_message_at_either_door(door, hub, keys, audited, path):  # noqa: F811
    for token in ("", keys.token(exp=1), "x"):
        with pytest.raises(InvalidStatus) as refused:
            async with live(door.address, path, token):
                pass
        assert refused.value.response.status_code == 401
    assert (await audited(lambda r: r.method == "Realtime")).status == "UNAUTHENTICATED"
    for token in ("", door.token):  # the hub's own port takes nobody, and says where to go
        with pytest.raises(InvalidStatus) as refused:
            async with live(hub.url.removesuffix("/ws"), path, token):
                pass
        assert refused.value.response.status_code == 401
        assert b"/api/realtime/ws" in refused.value.response.body
    assert not hub.status.clients
    assert (await door("GET", "/api/realtime/connections", token="")).status == 401


async def test_a_page_from_elsewhere_is_refused(door, hub):  # noqa: F811
    cookie = (await door("POST", "/api/session")).headers["set-cookie"].partition(";")[0]
    url = door.address.replace("http", "ws", 1) + PATHS[0]
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, origin="https://evil.example", additional_headers={"cookie": cookie})
    assert refused.value.response.status_code == 403
    async with connect(url, origin=door.address, additional_headers={"cookie": cookie}) as socket:
        await socket.recv()


async def test_a_client_ends_with_its_token_its_session_and_its_key(door, hub, keys):  # noqa: F811
    cookie = (await door("POST", "/api/session")).headers["set-cookie"].partition(";")[0]
    csrf = (await door("GET", "/api/session", token="", headers={"cookie": cookie})).body["csrf"]
    url = door.address.replace("http", "ws", 1) + PATHS[0]
    other = keys.make("two").token("two")
    async with (
        live(door.address, token=keys.token(exp=int(time.time()) + 3)) as expiring,
        connect(url, additional_headers={"cookie": cookie}) as leaving,
        live(door.address, token=other) as withdrawn,
        live(door.address, token=keys.token()) as staying,
    ):
        assert await closed(expiring) == 1008
        await door("DELETE", "/api/session", token="", headers={"cookie": cookie, "x-csrf-token": csrf})
        assert await closed(leaving) == 1008
        (keys.folder / "two.pem").unlink()
        assert await closed(withdrawn) == 1008
        assert [client["sent"] for client in hub.status.clients] == [0]
        await staying.ping()


async def test_a_filter_that_makes_no_sense_and_a_hub_that_is_away(door, hub, keys):  # noqa: F811
    for query, status in (("?pools=!", 400), ("?x=1", 400)):
        with pytest.raises(InvalidStatus) as refused:
            async with live(door.address, PATHS[0] + query, door.token):
                pass
        assert refused.value.response.status_code == status
    hub.stop()
    with pytest.raises(InvalidStatus) as refused:
        async with live(door.address, PATHS[0], door.token):
            pass
    problem = json.loads(refused.value.response.body)
    assert (refused.value.response.status_code, problem["reason"]) == (503, "HUB_UNREACHABLE")
    assert (await door("GET", "/api/realtime/connections")).status == 503
    hub.start()
    async with live(door.address, PATHS[0], door.token):
        assert hub.status.clients


async def test_one_caller_does_not_take_every_place(door, hub, keys, monkeypatch):  # noqa: F811
    monkeypatch.setattr(realtime, "MAX_OF_CALLER", 2)
    async with live(door.address, token=door.token), live(door.address, token=door.token):
        with pytest.raises(InvalidStatus) as refused:
            async with live(door.address, token=door.token):
                pass
        assert refused.value.response.status_code == 429
        async with live(door.address, token=keys.token(sub="bob")):
            pass


async def test_without_authentication_both_doors_are_open(make_gateway, door, hub):  # noqa: F811
    address = await make_gateway(LocalAuthenticator(), hub=hub.path)
    async with live(address), live(hub.url.removesuffix("/ws"), "/ws"):
        assert sorted(client["admitted"] for client in hub.status.clients) == [False, True]


async def test_clients_without_proof_end_when_a_gateway_begins_to_ask(make_gateway, authenticator, hub):  # noqa: F811
    async with live(hub.url.removesuffix("/ws"), "/ws") as socket:
        await make_gateway(authenticator, hub=hub.path)
        assert await closed(socket) == 1008


async def test_under_tls(make_gateway, authenticator, make_authority, keys, hub, make_sink):  # noqa: F811
    authority = make_authority()
    context = TlsFiles(*authority.make("localhost"), None).context()
    address = await make_gateway(authenticator, hub=hub.path, context=context)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    sink = make_sink(hub)
    async with live(address, token=keys.token(exp=int(time.time()) + 4), ssl=trusting) as socket:
        sink.write(swaps(20_000))
        assert (await take(socket, 20_000)).known == 20_000
        assert await closed(socket) == 1008
    while hub.status.clients:
        await asyncio.sleep(0.01)


async def test_the_command_lines_reader_goes_through_either_door(door, hub, make_sink):  # noqa: F811
    url = urlsplit(door.address)
    with pytest.raises(UnreachableError, match="401"):
        await anext(listen(LiveDoor("127.0.0.1", hub.port)))
    batches = listen(LiveDoor(url.hostname, url.port, door.token), ["swaps"])
    assert not (await anext(batches)).messages
    make_sink(hub).write(swaps(3))
    assert len((await anext(batches)).messages) == 3
    await batches.aclose()


async def test_a_stopped_hub_tells_clients_of_the_gateway(door, hub):  # noqa: F811
    async with live(door.address, token=door.token) as socket:
        os.kill(hub_status(hub.port, hub.path).pid, signal.SIGTERM)
        assert await closed(socket) == 1001
