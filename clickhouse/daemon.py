"""The embedded server as a background process: start, stop, status. Its files are under ``<var>/clickhouse/``."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from mevflow.clickhouse.server.listener import check_address
from mevflow.clickhouse.tls import tls_of
from mevflow.metrics.serving import Serving
from mevflow.operators.errors import MevflowError, UnreachableError
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment
from mevflow.processes.private import open_private, private_folder
from mevflow.processes.startup import Startup

#: A stop waits this long for a clean end before it kills (the data survives that too), in seconds.
STOP_PATIENCE_S = 25.0


@dataclass(frozen=True, slots=True)
class Status:
    """Whether the server of this ``var`` runs (``pid``) and whether its address answers."""

    pid: int | None
    answering: bool
    host: str
    port: int
    data_dir: str
    log: str


def start(
    var_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8123,
    password: str = "",
    wait_s: float = 60.0,
    metrics: Serving | None = None,
) -> int:
    """Start the server and wait until it answers; the pid of the running one when it already does.

    ``wait_s``: how long the process may stand still before it answers; while it works, its start is waited for.
    ``metrics``: where it serves them.
    Raises UsageError for an address that needs a password, MevflowError when the port is taken by something else
    or the process ends, UnreachableError when it neither answers nor works.
    """
    check_address(host, password)
    home = _home(var_dir)
    running = _running(home)
    if running is not None:
        process, old_host, old_port = running
        if (old_host, old_port) != (host, port):
            raise MevflowError(
                f"the embedded ClickHouse of {home} already runs (pid {process.pid}) at {old_host}:{old_port}, "
                f"not at {host}:{port}",
                hint="stop it first: mevflow clickhouse stop",
            )
        if _await(process, host, port, home, Startup([home / "server.log"], wait_s)):
            return process.pid
        # It was on its way out, killed or crashed, and is gone by now.
    if _port_taken(host, port):
        what = "another ClickHouse" if _answers(host, port) else "another program"
        raise MevflowError(
            f"port {port} on {host} is in use by {what}",
            hint=f"stop it, or use another port: MEVFLOW_CLICKHOUSE__PORT={port + 1}",
        )
    try:
        private_folder(home)
        log = open_private(home / "server.log")
    except OSError as error:
        raise MevflowError(f"cannot write to {home}: {error.strerror}", file=str(home)) from None
    startup = Startup([home / "server.log"], wait_s)
    with log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mevflow.clickhouse.server",
                *("--path", str(home.resolve())),
                *("--host", host),
                *("--port", str(port)),
                *(("--metrics", metrics.argument()) if metrics is not None else ()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**environment(), "MEVFLOW_CLICKHOUSE__PASSWORD": password},
        )
    started = ProcessId.of(server.pid)
    if started is not None:
        started.save(_pidfile(home), host=host, port=port)
    if started is None or not _await(started, host, port, home, startup):
        raise MevflowError(f"the embedded ClickHouse ended at its start: {_last_words(home)}", file=str(home))
    return server.pid


def stop(var_dir: Path) -> bool:
    """Stop the server: running statements end, the engine closes. False when none was running."""
    home = _home(var_dir)
    running = _running(home)
    if running is None:
        _pidfile(home).unlink(missing_ok=True)
        return False
    running[0].end(STOP_PATIENCE_S)
    _pidfile(home).unlink(missing_ok=True)
    return True


def status(var_dir: Path, host: str = "127.0.0.1", port: int = 8123) -> Status:
    """What runs under ``var_dir``; without one of its own, whether anything answers at ``host:port``."""
    home = _home(var_dir)
    running = _running(home)
    pid = None
    if running is not None:
        process, host, port = running
        pid = process.pid
    return Status(pid, _answers(host, port), host, port, str(home / "data"), str(home / "server.log"))


def _home(var_dir: Path) -> Path:
    return Path(var_dir) / "clickhouse"


def _pidfile(home: Path) -> Path:
    return home / "server.pid"


def _running(home: Path) -> tuple[ProcessId, str, int] | None:
    """(process, host, port) of what the pid file means, if it still is that process."""
    process = ProcessId.load(_pidfile(home))
    try:
        entry = json.loads(_pidfile(home).read_text())
        host, port = str(entry["host"]), int(entry["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (process, host, port) if process is not None else None


def _port_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _answers(host: str, port: int) -> bool:
    name = f"[{host}]" if ":" in host else host
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    try:
        tls = tls_of(host, port)
        if tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=tls.context()))
        opener = urllib.request.build_opener(*handlers)
        with opener.open(f"http{'s' if tls else ''}://{name}:{port}/ping", timeout=2) as reply:
            return bool(reply.read(8).startswith(b"Ok."))
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _await(process: ProcessId, host: str, port: int, home: Path, startup: Startup) -> bool:
    """Wait until the server answers; False once its process has ended. Raises UnreachableError when it is stuck."""
    while not _answers(host, port):
        if not process.alive:
            _pidfile(home).unlink(missing_ok=True)
            return False
        fault = startup.fault([process.pid])
        if fault:
            raise UnreachableError(
                f"the embedded ClickHouse (pid {process.pid}) does not answer at {host}:{port}, and {fault}",
                hint=f"read {home / 'server.log'}",
            )
        time.sleep(0.02)
    return True


def _last_words(home: Path) -> str:
    lines = (home / "server.log").read_text(errors="replace").strip().splitlines()
    return " ".join(lines[-2:]) if lines else "it wrote nothing"
