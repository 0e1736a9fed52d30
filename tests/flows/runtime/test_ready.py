"""A deployment in the foreground says to systemd, and at ``/ready``, when it can work and what it waits for."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.watched import Shard, waiting_for
from mevflow.metrics.endpoint import Endpoint
from mevflow.processes.notify import Watchdog, notify
from mevflow.processes.status_file import read_status
from tests.flows.runtime import test_deploy

ROOT = Path(__file__).resolve().parents[3]
world = test_deploy.world


@pytest.fixture
def channel(tmp_path, monkeypatch):
    """What systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "n"))
        listening.settimeout(120)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        yield listening


def until(channel, word):
    """Messages up to the one that has ``word``."""
    said = []
    while not said or word not in said[-1]:
        said.append(channel.recv(4096).decode().splitlines())
    return said


def ask(address, path):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_systemd_hears_of_a_foreground_deployment_from_loading_to_drained(world, channel):
    write, var, _ = world
    file = write()
    environment = {**os.environ, "MEVFLOW_VAR": str(var), "WATCHDOG_USEC": "200000"}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{environment['PYTHONPATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "mevflow.cli", "deploy", "sums", "--foreground", "--file", str(file)], env=environment
    )
    try:
        before = until(channel, "READY=1")
        assert any("STATUS=shard 0 is loading" in words for words in before)
        assert "STATUS=1 shards run" in before[-1]
        until(channel, "WATCHDOG=1")
        address = read_status(Layout.live(var, "sums").supervisor)["metrics"]
        assert ask(address, "/ready") == (200, "ready\n")
        process.send_signal(signal.SIGTERM)
        assert "STATUS=draining" in until(channel, "STOPPING=1")[-1]
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_what_is_not_ready_is_named(tmp_path):
    spec = RunSpec("f", "t", str(tmp_path), str(tmp_path), 2, "s")
    shards = [Shard(0), Shard(1, exit_code=2)]
    shards[0].streak.died(1, "swaps[3]@7: the offset is gone", 0.0)
    said = waiting_for(spec, shards)
    assert said == "shard 0 is waiting after swaps[3]@7: the offset is gone; shard 1 is ended with exit code 2"
    endpoint = Endpoint({}, [], unready=lambda: said)
    try:
        assert ask(endpoint.address, "/ready") == (503, said + "\n")
        assert ask(endpoint.address, "/metrics")[0] == 200
    finally:
        endpoint.close()


def test_nobody_asked(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert not notify("READY=1")
    Watchdog().beat()
