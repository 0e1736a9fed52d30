"""A topic over a WebSocket: what is stored and what comes, filtered at the server, under the gateway's rules."""

import asyncio
import json
import urllib.parse
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mevflow.control.gateway.live import bridge
from tests.control.gateway.test_realtime import closed
from tests.flows.messages.test_browse import NAME, records


@pytest.fixture
def topic(make_topic, send):
    name = make_topic(3)
    send(name, records(60))
    return name


@asynccontextmanager
async def live(client, topic, token=None, **query):
    token = client.token if token is None else token
    headers = {"authorization": f"Bearer {token}"} if token else {}
    text = urllib.parse.urlencode({"schema": NAME, **query}, doseq=True)
    url = f"{client.address.replace('http', 'ws', 1)}/api/messages/{topic}/ws?{text}"
    async with connect(url, compression=None, max_size=None, additional_headers=headers) as socket:
        yield socket


class Frames:
    """What came so far."""

    def __init__(self, socket):
        self.socket, self.slots, self.next = socket, [], ""
        self.received = self.matched = self.sampled = self.dropped = 0

    async def until(self, enough):
        async with asyncio.timeout(120):
            while not enough(self):
                frame = json.loads(await self.socket.recv())
                self.slots += [row["fields"].get("slot", 0) for row in frame["rows"]]
                self.next = frame["next"]
                for name in ("received", "matched", "sampled", "dropped"):
                    setattr(self, name, getattr(self, name) + frame[name])
        return self


async def test_back_reading_and_the_live_tail_meet_and_go_on_after_a_stop(call, topic, send):
    async with live(call, topic, start="earliest", rate=1_000) as socket:
        seen = Frames(socket)
        for first in (60, 80, 100):
            await asyncio.to_thread(send, topic, records(20, first))
            await seen.until(lambda frames, first=first: frames.received >= first - 20)
        await seen.until(lambda frames: frames.received >= 120)
        assert sorted(seen.slots) == list(range(120))
    await asyncio.to_thread(send, topic, records(30, 120))
    async with live(call, topic, cursor=seen.next, rate=1_000) as socket:
        again = await Frames(socket).until(lambda frames: frames.received >= 30)
    assert sorted(seen.slots + again.slots) == list(range(150))
    assert (seen.matched, seen.sampled, seen.dropped) == (120, 0, 0)


async def test_filters_and_counts(call, topic):
    where = ["slot >= 30", "chain = CHAIN_SOLANA"]
    async with live(call, topic, start="earliest", where=where, rate=3) as socket:
        seen = await Frames(socket).until(lambda frames: frames.received >= 60)
    assert seen.matched == 30 == len(seen.slots) + seen.sampled
    assert min(seen.slots) >= 30


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"where": "slot"}, 400),
        ({"rate": 0}, 400),
        ({"rate": 1_001}, 400),
        ({"x": 1}, 400),
        ({"cursor": "1-2"}, 400),
        ({"partition": "9"}, 400),
        ({"schema": "mevflow.v1.Nothing"}, 400),
        ({"pool": "!"}, 400),
    ],
)
async def test_what_cannot_be_asked_is_refused_before_the_handshake(call, topic, query, status):
    with pytest.raises(InvalidStatus) as refused:
        async with live(call, topic, **query):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["detail"]


async def test_who_may_read_and_how_many(call, topic, keys, monkeypatch, audited):
    for token, status in (("", 401), (keys.token(exp=1), 401)):
        with pytest.raises(InvalidStatus) as refused:
            async with live(call, topic, token):
                pass
        assert refused.value.response.status_code == status
    with pytest.raises(InvalidStatus) as refused:
        async with live(call, "t-nothing"):
            pass
    assert refused.value.response.status_code == 404
    monkeypatch.setattr(bridge, "MAX_OF_CALLER", 1)
    async with live(call, topic, keys.token(role="viewer")) as socket:
        await Frames(socket).until(lambda frames: frames.next)
        with pytest.raises(InvalidStatus) as refused:
            async with live(call, topic):
                pass
        assert refused.value.response.status_code == 429
        assert (await audited(lambda r: r.method == "MessagesLive" and r.status == "OK")).method
    async with asyncio.timeout(60):
        while True:  # the place is free again once the reader has let go
            try:
                async with live(call, topic) as socket:
                    await socket.recv()
                break
            except InvalidStatus:
                await asyncio.sleep(0.05)


async def test_a_reader_ends_with_its_key(call, topic, keys):
    other = keys.make("brief").token("brief")
    async with live(call, topic, other) as socket:
        await socket.recv()
        (keys.folder / "brief.pem").unlink()
        assert await closed(socket) == 1008
