"""What anybody can send before it is known who calls: bounded, and nobody else waits."""

import asyncio
import ssl
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from mevflow.control.gateway.door import protocol
from mevflow.control.gateway.door.carry import COOKIE
from mevflow.control.gateway.door.sessions import CookieSessions
from mevflow.control.server.unproven import Unproven
from tests.control.gateway.conftest import Client

PIECE = b"a" * (64 << 10)


async def converse(address, head, piece=b"", pieces=200):
    """Send ``head`` and then pieces until the server hangs up; gives what it said, and how much it took."""
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    sent = 0
    try:
        writer.write(head)
        for _ in range(pieces if piece else 0):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    except (ConnectionError, ssl.SSLError):
        pass
    try:
        said = await reader.read(1 << 16)
    except ConnectionError:
        said = b""
    writer.close()
    return said, sent


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET /api/control/status HTTP/1.1\r\nhost: localhost\r\nx: ", PIECE),
        (b"GET /", PIECE),
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 10_000),
        (b"GET / HTTP/1.1\r\n" + b"y" * 100, PIECE),
        (b"POST /api/control/policy HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;x=", PIECE),
        (b"POST /api/control/policy HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", PIECE),
    ],
    ids=["header", "url", "headers", "name", "chunk", "trailer"],
)
async def test_an_endless_head_is_cut_off(call, head, piece):
    said, sent = await converse(call.address, head, piece)
    assert sent < 200 * len(piece)
    assert said == b"" or said.split()[1] in (b"400", b"401", b"431")
    assert (await call("GET", "/api/control/status")).status == 200


async def test_a_slow_head_is_cut_off(call, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    said, _ = await converse(call.address, b"GET / HTTP/1.1\r\nhost")
    assert said.split()[1] == b"408"


async def test_one_address_does_not_take_all_connections(call, monkeypatch):
    open_ = protocol.PEERS["127.0.0.1"]
    monkeypatch.setattr(protocol, "MAX_OF_PEER", open_ + 1)
    url = urlsplit(call.address)
    _, first = await asyncio.open_connection(url.hostname, url.port)
    while protocol.PEERS["127.0.0.1"] == open_:
        await asyncio.sleep(0)
    said, _ = await converse(call.address, b"")
    assert said.split()[1] == b"503"
    first.close()
    while protocol.PEERS["127.0.0.1"] != open_:
        await asyncio.sleep(0.01)


async def test_a_websocket_is_counted_once_and_forgotten(call, keys):
    before = protocol.PEERS["127.0.0.1"]
    token = {"authorization": f"Bearer {keys.token()}"}
    async with connect(call.address.replace("http", "ws") + "/api/control/ws", additional_headers=token):
        assert protocol.PEERS["127.0.0.1"] == before + 1
    while protocol.PEERS["127.0.0.1"] != before:
        await asyncio.sleep(0.01)


async def test_a_body_is_not_read_before_its_caller_is_known(call, audited):
    head = b"POST /api/control/policy HTTP/1.1\r\nhost: localhost\r\ncontent-length: 90000\r\n\r\n"
    said, _ = await converse(call.address, head)  # nothing of the body is ever sent
    assert said.split()[1] == b"401"
    assert b"connection: close" in said.lower()
    assert (await audited(lambda r: r.method == "Apply")).detail.startswith("TOKEN_MISSING")


async def test_calls_without_proof_do_not_fill_the_audit(call, service):
    start = service.events.next
    nobody = Client(call.address)
    for _ in range(200):
        assert (await nobody("GET", "/api/control/status")).status == 401
    records = []
    async with asyncio.timeout(30):
        async for _, record in service.events.follow(start):
            records.append(record)
            if "more calls without proof" in record.detail:
                break
    assert len(records) < 40
    assert sum(1 if r.method else int(r.detail.split()[0]) for r in records) == 200


def test_records_of_calls_without_proof_are_bounded_for_each_address_and_for_all():
    told = Unproven(burst=5, every_s=10.0, in_all=50)
    assert sum(told.take("a", 0.0) for _ in range(100)) == 5
    assert [told.take("a", 10.5), told.take("a", 10.6)] == [True, False]
    assert sum(told.take(f"b{n}", 11.0) for n in range(1_000)) < 60
    untold = dict(told.untold())
    assert untold["a"] == 96
    assert sum(untold.values()) > 1_000
    assert told.untold() == []


def test_logins_end_only_sessions_of_ones_own():
    sessions = CookieSessions()
    ann, _ = sessions.begin("ann", "token")
    eve = [sessions.begin("eve", "token")[0] for _ in range(2_000)]
    assert sessions.get(ann) is not None
    assert sum(sessions.get(each) is not None for each in eve) == 32
    assert sessions.get(eve[-1]) is not None
    assert len(sessions._by_id) == 33


async def test_many_logins_over_http_leave_others_alone(call, keys):
    ann = (await call("POST", "/api/session")).headers["set-cookie"].partition(";")[0]
    eve = Client(call.address, keys.token(sub="eve"))
    for _ in range(40):
        assert (await eve("POST", "/api/session")).status == 200
    assert ann.startswith(COOKIE)
    assert (await call("GET", "/api/session", token="", headers={"cookie": ann})).body["name"] == "ann"
