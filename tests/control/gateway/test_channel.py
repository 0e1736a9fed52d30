"""The WebSocket: calls and streams side by side."""

import asyncio
import contextlib
import json
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


@contextlib.asynccontextmanager
async def channel(call, token):
    url = call.address.replace("http", "ws") + "/api/control/ws"
    async with connect(url, additional_headers={"authorization": f"Bearer {token}"}) as socket:

        async def send(**frame):
            await socket.send(json.dumps(frame))

        async def receive(identifier=None):
            async with asyncio.timeout(10):
                while True:
                    frame = json.loads(await socket.recv())
                    if identifier is None or frame["id"] == identifier:
                        return frame

        yield socket, send, receive


async def test_calls_and_a_stream(call, keys, service, topology, make_shard, heard):
    make_shard()
    await heard(topology)
    async with channel(call, keys.token()) as (_, send, receive):
        await send(id="w", call="Watch", request={"topology": topology})
        await send(id=1, call="Status", request={"topology": topology})
        assert (await receive(1))["reply"]["service_id"] == service.service_id
        await send(
            id=2, call="Apply", request={"topology": topology, "target": "found", "payload": {"min_profit_usd": 1}}
        )
        assert (await receive(2))["reply"]["outcome"] == "CONVERGED"
        await send(id=3, call="Kill", request={"topology": topology, "reason": "drill"})
        frame = await receive()
        while "event" not in frame or frame["event"]["record"]["method"] != "Kill":
            frame = await receive()
        await send(id="w", cancel=True)
        await send(id=4, call="Release", request={"topology": topology, "reason": "over"})
        assert (await receive(4))["reply"]["outcome"] == "CONVERGED"
        await send(id="w", call="Status")  # the id is free again
        assert "reply" in await receive("w")


async def test_what_is_wrong_is_answered_under_its_id(call, keys, audited):
    async with channel(call, keys.token(role="viewer")) as (socket, send, receive):
        await send(id=1, call="Kill", request={"reason": "x"})
        assert (await receive(1))["error"]["reason"] == "ROLE_TOO_LOW"
        await send(id=2, call="Nothing")
        assert (await receive(2))["error"]["reason"] == "NO_SUCH_CALL"
        await send(id=3, call="Apply", request=[1])
        assert (await receive(3))["error"]["code"] in ("PERMISSION_DENIED", "INVALID_ARGUMENT")
        await send(id=4, call="Watch")
        await send(id=4, call="Watch")
        assert (await receive(4))["error"]["reason"] == "ID_IN_USE"
        await send(id="x" * 10_000, call="Status")  # it would stand in every answer
        assert (await receive("x" * 64))["error"]["reason"] == "ID_TOO_LONG"
        for noise in ("{", "[]", '{"id": 1, "x": 2}', b"\xff\x00", '{"call": "Status"}'):
            await socket.send(noise)
            assert (await receive())["error"]["reason"] == "MALFORMED_JSON"
    assert (await audited(lambda r: r.method == "Kill")).status == "PERMISSION_DENIED"


async def test_a_token_that_expires_ends_what_it_may_do(call, keys):
    token = keys.token(exp=int(time.time()) + 2)
    async with channel(call, token) as (_, send, receive):
        await send(id=1, call="Status")
        assert "reply" in await receive(1)
        await asyncio.sleep(2.1)
        await send(id=2, call="Status")
        assert (await receive(2))["error"]["reason"] == "TOKEN_EXPIRED"


async def test_too_long_a_message_and_too_many_calls(call, keys):
    async with channel(call, keys.token()) as (socket, send, receive):
        for number in range(65):
            await send(id=number, call="Watch")
        assert (await receive(64))["error"]["reason"] == "TOO_MANY_CALLS"
        await socket.send("x" * 200_000)
        with pytest.raises(ConnectionClosed) as closed:
            await receive("nothing")
        # What was left unread resets the connection, so the reason may be lost on its way.
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
