"""The wire's patience: who does not get on is cut off, by silence that the test sets."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from mevflow.clickhouse.server.protocol import bounded_protocol
from mevflow.clickhouse.server.services import FrontLimits

LIMITS = FrontLimits(silence_s=0.1, slow_bytes_s=100)


async def _application(scope, receive, send):
    """Reads the body, then answers with more than any buffer holds."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port():
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        _application, http=bounded_protocol(LIMITS), ws="none", lifespan="off", log_config=None, timeout_keep_alive=600
    )
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    yield listening.getsockname()[1]
    await server.shutdown(sockets=[listening])


SLOW = {
    "says nothing": b"",
    "stops in the head": b"POST / HTTP/1.1\r\nHost: loc",
    "stops in the body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc",
    "stops in a chunk": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
}


@pytest.mark.parametrize("kind", SLOW)
async def test_a_sender_that_stops_is_cut_off(port, kind):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SLOW[kind])
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


async def test_a_sender_that_drips_is_cut_off(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
    ended = asyncio.ensure_future(reader.read())
    while not ended.done():
        writer.write(b"x")
        await asyncio.sleep(0.05)
    writer.close()


async def test_a_reader_that_stops_is_cut_off(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readline()
    while not reader.exception() and not reader.at_eof():
        if writer.transport.is_closing():
            break
        writer.write(b"\r\n")
        await asyncio.sleep(0.05)
    writer.close()


async def test_one_that_gets_on_is_served_however_long_it_takes(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n")
    for _ in range(20):
        writer.write(bytes(1000))
        await asyncio.sleep(0.03)
    assert len(await reader.read()) > 100 << 20
    writer.close()
