"""A whole deployment of its own: broker, ClickHouse, hub, detect-live on the recorded days, control service."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from mevflow.processes.addresses import free_port

ROOT = Path(__file__).resolve().parents[2]


class World:
    """Commands are run in it as a user runs them."""

    def __init__(self, var):
        self.var = var
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


@contextmanager
def world(var):
    """The deployment, running; everything of it is stopped at the end."""
    made = World(var)
    try:
        made.run("demo", "--keep", "--json")
        yield made
    finally:
        ends = (
            ("control", "stop"),
            ("stop", "detect-live"),
            ("hub", "stop"),
            ("clickhouse", "stop"),
            ("broker", "stop"),
        )
        for command in ends:
            subprocess.run([sys.executable, "-m", "mevflow.cli", *command], cwd=ROOT, env=made.environment, check=False)


def until(done, what, seconds=120):
    """Poll until ``done()`` gives something; what it gives."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"never {what}"
        time.sleep(0.2)
    return found
