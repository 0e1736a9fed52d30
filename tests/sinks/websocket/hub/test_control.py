"""A hub's life: started once, asked, stopped in order; and what its pages say."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from mevflow.operators.errors import MevflowError
from mevflow.sinks.websocket.hub import hub_status, start_hub, stop_hub
from mevflow.sinks.websocket.hub.wire import dial
from mevflow.sinks.websocket.sink import WebSocketSink
from tests.sinks.websocket.hub.live import RunningHub, subscribed, swaps, take

MakeSink = Callable[..., WebSocketSink]


def test_one_hub_a_port(hub: RunningHub) -> None:
    first = hub.status
    assert first is not None
    assert hub.start().pid == first.pid
    assert hub.stop()
    assert hub.status is None
    assert not hub.stop()


def test_two_starts_at_once_give_one_hub(hub: RunningHub) -> None:
    command = [
        sys.executable,
        "-m",
        "mevflow.sinks.websocket.hub.server",
        "--port",
        str(hub.port),
        "--socket",
        str(hub.path),
    ]
    assert subprocess.run(command, timeout=20, check=False).returncode == 0
    assert hub.status is not None


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MevflowError, match=f"127.0.0.1:{port}"):
            start_hub("127.0.0.1", port, tmp_path, path=tmp_path / "h.sock")
    assert hub_status(port, tmp_path / "h.sock") is None


def test_a_remote_address_needs_leave(tmp_path: Path) -> None:
    with pytest.raises(MevflowError, match="allow-remote"):
        start_hub("0.0.0.0", 1, tmp_path, path=tmp_path / "h.sock")


def test_a_hub_ends_when_its_feeds_have_gone(make_hub: Callable[..., RunningHub], make_sink: MakeSink) -> None:
    hub = make_hub()
    hub.stop()
    hub.start(linger_s=0.5)
    sink = make_sink(hub)
    time.sleep(1.0)
    assert hub.status is not None
    sink.close()
    deadline = time.monotonic() + 5
    while hub.status is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_clients_are_told_of_the_stop(hub: RunningHub) -> None:
    async with subscribed(hub.url) as client:
        assert await asyncio.to_thread(hub.stop)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_pages(hub: RunningHub, make_sink: MakeSink) -> None:
    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{hub.port}{path}", timeout=5) as answer:
            data: bytes = answer.read()
            return data

    sink = make_sink(hub)
    async with subscribed(f"{hub.url}?channels=swaps") as client:
        sink.write(swaps(5))
        await take(client, 5)
        page = json.loads(await asyncio.to_thread(get, "/api/realtime/connections"))
        assert page["messages"] == {"received": 5, "lost": 0, "sent": 5, "dropped": 0}
        assert page["clients"][0]["channels"] == ["swaps"]
        assert page["feeds"][0]["topology"] == "tested"
        assert b"mevflow_websocket_messages_sent_total 5" in await asyncio.to_thread(get, "/metrics")
    assert json.loads(await asyncio.to_thread(get, "/health")) == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        await asyncio.to_thread(get, "/nothing")


@pytest.mark.parametrize(
    "said", [b"\xff\xff\xff\xff\x01", b"\x02\x00\x00\x00\x01ab", b"\x01\x00\x00\x00\x09x", b"GET / "]
)
def test_nonsense_on_the_local_socket_ends_only_that_connection(hub: RunningHub, said: bytes) -> None:
    with dial(hub.path, 2) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert hub.status is not None


def test_stop_says_when_none_runs(tmp_path: Path) -> None:
    assert not stop_hub(1, tmp_path / "none.sock")
