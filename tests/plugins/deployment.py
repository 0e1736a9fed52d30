"""A whole deployment for tests, one a session: broker, ClickHouse, hub, detect-live on the recorded days, control."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mevflow.processes.addresses import free_port

ROOT = Path(__file__).resolve().parents[2]


class World:
    """Commands are run in it as a user runs them."""

    def __init__(self, var):
        self.var, self.first = var, None
        self._ends = ("control stop", "stop detect-live", "hub stop", "clickhouse stop", "broker stop")
        self.environment = {
            **os.environ,
            "MEVFLOW_VAR": str(var),
            "MEVFLOW_KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
            "MEVFLOW_KAFKA__CONTROLLER_PORT": str(free_port()),
            "MEVFLOW_CLICKHOUSE__PORT": str(free_port()),
            "MEVFLOW_WEBSOCKET__PORT": str(free_port()),
            "MEVFLOW_CONTROL__PORT": str(free_port()),
            "MEVFLOW_CONTROL__HTTP_PORT": str(free_port()),
        }

    @property
    def bootstrap(self):
        return self.environment["MEVFLOW_KAFKA__BOOTSTRAP"]

    def port(self, of):
        """``of``: what a setting is of, as in ``MEVFLOW_<of>_PORT``."""
        return int(self.environment[f"MEVFLOW_{of}_PORT"])

    def run(self, *arguments, code=0):
        """Run ``mevflow``; gives what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "mevflow.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments):
        """Run it with ``--json``."""
        return json.loads(self.run(*arguments, "--json"))

    def stop(self):
        """Stop everything of it, once; the exit codes of the commands, by command."""
        ends, self._ends = self._ends, ()
        words = [sys.executable, "-m", "mevflow.cli"]
        return {
            end: subprocess.run([*words, *end.split()], cwd=ROOT, env=self.environment, check=False).returncode
            for end in ends
        }


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """The deployment, running. ``first`` is what the main job reported."""
    made = World(tmp_path_factory.mktemp("live") / "var")
    try:
        made.first = made.json("demo", "--keep")
        yield made
    finally:
        made.stop()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """After the last test that looks at it, it ends: what runs idle slows all others down."""
    if (world := getattr(item, "funcargs", {}).get("live")) and "live" not in getattr(nextitem, "fixturenames", ()):
        codes = world.stop()
        assert set(codes.values()) <= {0}, codes


def until(done, what, seconds=120):
    """Poll until ``done()`` gives something; what it gives."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"never {what}"
        time.sleep(0.2)
    return found
