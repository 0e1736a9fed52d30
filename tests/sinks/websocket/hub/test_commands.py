"""``mevflow hub`` and ``mevflow listen`` against a hub."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import base58
import pytest

from mevflow.operators.stage import StageContext
from mevflow.sinks.websocket.hub import hub_status, stop_hub
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink
from tests.sinks.websocket.hub.live import RunningHub, pool, swaps


@pytest.fixture
def mevflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    port = RunningHub(tmp_path, ()).port
    monkeypatch.setenv("MEVFLOW_WEBSOCKET__PORT", str(port))
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def command(*words: str) -> list[str]:
        return [sys.executable, "-c", "from mevflow.cli import main; main()", *words]

    command.port = port  # type: ignore[attr-defined]
    return command


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_start_listen_stop(mevflow: Callable[..., list[str]]) -> None:
    port: int = mevflow.port  # type: ignore[attr-defined]
    started = _run(mevflow("hub", "start", "--json"))
    assert started.returncode == 0, started.stderr
    status = hub_status(port)
    assert status is not None
    assert json.loads(started.stdout)["pid"] == status.pid
    sink = WebSocketSink(WebSocketSettings(channel="swaps", port=port, hub="external"), StageContext("tested", "live"))
    sink.open(None)
    try:
        words = ("listen", "--channel", "swaps", "--pool", base58.b58encode(pool(1)).decode(), "--limit", "3", "--json")
        with subprocess.Popen(mevflow(*words), stdout=subprocess.PIPE, text=True) as listening:
            deadline = time.monotonic() + 20
            while not (status := hub_status(port)) or not status.clients:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            sink.write(swaps(12))
            said, _ = listening.communicate(timeout=20)
        assert listening.returncode == 0
        lines = [json.loads(line) for line in said.splitlines()]
        assert [line["slot"] for line in lines] == [1, 5, 9]
        assert {line["pool"] for line in lines} == {base58.b58encode(pool(1)).decode()}
        assert "tested" in _run(mevflow("hub", "status")).stdout
        assert json.loads(_run(mevflow("hub", "stop", "--json")).stdout) == {"stopped": True}
    finally:
        sink.close()
        stop_hub(port)
    assert _run(mevflow("hub", "status")).returncode == 3
    assert _run(mevflow("listen")).returncode == 3
    assert _run(mevflow("listen", "--pool", "0x!")).returncode == 2
