"""Start a hub as a background process, stop it in order, ask it how it is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mevflow.metrics.serving import Serving
from mevflow.operators.errors import MevflowError, UnreachableError
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment
from mevflow.processes.private import open_private, private_folder
from mevflow.processes.startup import Startup
from mevflow.sinks.websocket.hub.wire import Kind, ask, socket_path

STOP_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class HubStatus:
    """What a hub says of itself; see ``Hub.status`` for ``feeds``, ``clients`` and ``messages``."""

    pid: int
    url: str
    started_s: float
    metrics: str
    messages: dict[str, int]
    feeds: list[dict[str, Any]]
    clients: list[dict[str, Any]]


def hub_status(port: int, path: Path | None = None) -> HubStatus | None:
    """Ask the hub of ``port`` (or of the local socket ``path``); None when none runs.

    Raises UnreachableError when one is there and does not answer.
    """
    where = path or socket_path(port)
    try:
        return HubStatus(**ask(where, Kind.STATUS, 5.0))
    except (FileNotFoundError, ConnectionError):
        return None
    except OSError as error:
        raise UnreachableError(f"the hub of port {port} does not answer: {error}", file=str(where)) from error


def start_hub(
    host: str,
    port: int,
    var: Path,
    *,
    path: Path | None = None,
    linger_s: float = 0.0,
    options: Sequence[str] = (),
    metrics: Serving | None = None,
) -> HubStatus:
    """Start the hub of ``port`` and wait until it answers; does nothing when it already runs.

    ``options`` go to the process as they are (``--allow-remote``, ``--origin URL``; see ``server.main``). Its log
    is ``<var>/hub/<port>.log``. ``metrics``: where it serves them.
    Raises MevflowError when it ends at once, UnreachableError when it is stuck.
    """
    running = hub_status(port, path)
    if running is not None:
        return running
    home = var.absolute() / "hub"
    try:
        private_folder(home)
        log = open_private(home / f"{port}.log")
    except OSError as error:
        raise MevflowError(f"the hub's log cannot be written: {error.strerror}", file=str(home)) from error
    command = [sys.executable, "-m", "mevflow.sinks.websocket.hub.server", "--host", host, "--port", str(port)]
    command += ["--linger", str(linger_s), *options]
    if metrics is not None:
        command += ["--metrics", metrics.argument()]
    if path is not None:
        command += ["--socket", str(path)]
    startup = Startup([Path(log.name)])
    with log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,  # it outlives the shard that started it, and Ctrl-C is not for it
        )
    while True:
        running = hub_status(port, path)
        if running is not None:
            return running
        # Exit code 0 means that another hub of this port is about to answer.
        if process.poll():
            raise MevflowError(f"the hub ended while it started:\n{startup.said()}", hint=f"the whole log: {log.name}")
        fault = startup.fault([process.pid])
        if fault:
            raise UnreachableError(f"the hub of port {port} {fault}:\n{startup.said()}", hint=f"see {log.name}")
        time.sleep(0.02)


def stop_hub(port: int, path: Path | None = None) -> bool:
    """Stop the hub in order, its clients told; False when none runs. Raises UnreachableError if it will not."""
    where = path or socket_path(port)
    running = hub_status(port, path)
    if running is None:
        return False
    process = ProcessId.of(running.pid)
    try:
        ask(where, Kind.STOP, STOP_PATIENCE_S)
    except ConnectionError:
        return True
    except OSError as error:
        raise UnreachableError(f"the hub of port {port} does not stop: {error}", file=str(where)) from error
    if process is not None and not process.wait(STOP_PATIENCE_S):
        raise UnreachableError(f"the hub of port {port} (pid {running.pid}) has not ended")
    return True
