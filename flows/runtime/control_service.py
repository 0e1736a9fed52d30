"""The control service as a background process: start it, stop it, find it by its pid file.

The service itself lives in a room above this one, so it is known here as a command.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from mevflow.flows.runtime.claim import holder_of
from mevflow.operators.errors import MevflowError
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment
from mevflow.processes.private import open_private, private_folder
from mevflow.processes.startup import Startup

DRAIN_S = 20.0
#: Held by the one service of a folder, from before it opens anything until it ends; beside its record.
CLAIM = "service.claim"


def _record(var: Path) -> Path:
    return var.absolute() / "control" / "service.json"


def status(var: Path) -> dict[str, Any] | None:
    """What the service of a folder says of itself (``pid``, ``service_id``, ``grpc``); None when none runs."""
    if ProcessId.load(_record(var)) is None:
        return None
    found: dict[str, Any] = msgspec.json.decode(_record(var).read_bytes())
    return found


def start(var: Path, file: Path) -> dict[str, Any]:
    """Start the service and wait until it answers, for as long as it gets on; does nothing when it runs.

    Of several starts at once one serves, and all wait for that one.
    Raises MevflowError with what it said when it ends or is stuck.
    """
    running = status(var)
    if running is not None:
        return running
    folder = _record(var).parent
    private_folder(folder)
    path = folder / "service.log"
    startup = Startup([path])
    with open_private(path) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mevflow.cli", "control", "serve", "--file", str(file.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**environment(), "MEVFLOW_VAR": str(var.absolute())},
            start_new_session=True,
        )
    while True:
        running = status(var)
        if running is not None:
            return running
        starting = process.pid
        if process.poll() is not None:
            holder = holder_of(folder / CLAIM)
            starting = holder.pid if holder is not None and holder.alive else 0
        fault = startup.fault([starting]) if starting else "ended while it started"
        if fault:
            process.terminate()
            raise MevflowError(f"the control service {fault}:\n{startup.said()}", hint=f"the whole log: {path}")
        time.sleep(0.05)


def stop(var: Path) -> bool:
    """Drain the service; False when none runs. Raises MevflowError when it had to be killed."""
    running = ProcessId.load(_record(var))
    if running is None:
        return False
    if not running.end(DRAIN_S):
        raise MevflowError(f"the control service did not drain within {DRAIN_S:g} s and was killed")
    return True
