"""The control service as a background process: start it, stop it, find it by its pid file.

The service itself lives in a room above this one, so it is known here as a command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from mevflow.operators.errors import MevflowError
from mevflow.operators.private import open_private, private_folder
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment

START_S, DRAIN_S = 60.0, 20.0


def _record(var: Path) -> Path:
    return var.absolute() / "control" / "service.json"


def status(var: Path) -> dict[str, Any] | None:
    """What the service of a folder says of itself (``pid``, ``service_id``, ``grpc``); None when none runs."""
    if ProcessId.load(_record(var)) is None:
        return None
    found: dict[str, Any] = msgspec.json.decode(_record(var).read_bytes())
    return found


def start(var: Path, file: Path) -> dict[str, Any]:
    """Start the service and wait until it answers; does nothing when it runs. Raises MevflowError."""
    running = status(var)
    if running is not None:
        return running
    folder = _record(var).parent
    private_folder(folder)
    path = folder / "service.log"
    with open_private(path) as log:
        mark = log.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            [sys.executable, "-m", "mevflow.cli", "control", "serve", "--file", str(file.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**environment(), "MEVFLOW_VAR": str(var.absolute())},
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        running = status(var)
        if running is not None:
            return running
        if process.poll() is not None:
            said = path.read_bytes()[mark:].decode(errors="replace").strip()
            raise MevflowError(f"the control service ended while it started:\n{said}", hint=f"the whole log: {path}")
        time.sleep(0.05)
    process.terminate()
    raise MevflowError(f"the control service did not answer in {START_S:g} s", hint=f"its log: {path}")


def stop(var: Path) -> bool:
    """Drain the service; False when none runs. Raises MevflowError when it had to be killed."""
    running = ProcessId.load(_record(var))
    if running is None:
        return False
    if not running.end(DRAIN_S):
        raise MevflowError(f"the control service did not drain within {DRAIN_S:g} s and was killed")
    return True
