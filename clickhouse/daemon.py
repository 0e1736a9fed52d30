"""The embedded server as a background process: start, stop, status. Its files are under ``<var>/clickhouse/``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mevflow.clickhouse.server.listener import check_address
from mevflow.metrics.serving import Serving
from mevflow.operators.errors import MevflowError, UnreachableError
from mevflow.processes.environment import environment
from mevflow.processes.private import open_private, private_folder, write_private

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
        pid, old_host, old_port = running
        if (old_host, old_port) != (host, port):
            raise MevflowError(
                f"the embedded ClickHouse of {home} already runs (pid {pid}) at {old_host}:{old_port}, "
                f"not at {host}:{port}",
                hint="stop it first: mevflow clickhouse stop",
            )
        if _await(pid, host, port, home, wait_s):
            return pid
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
    with log:
        process = subprocess.Popen(
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
    _write_pidfile(home, {"pid": process.pid, "born": _born(process.pid), "host": host, "port": port})
    if not _await(process.pid, host, port, home, wait_s):
        raise MevflowError(f"the embedded ClickHouse ended at its start: {_last_words(home)}", file=str(home))
    return process.pid


def stop(var_dir: Path) -> bool:
    """Stop the server: running statements end, the engine closes. False when none was running."""
    home = _home(var_dir)
    running = _running(home)
    if running is None:
        _pidfile(home).unlink(missing_ok=True)
        return False
    pid = running[0]
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_PATIENCE_S
    while _alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    _pidfile(home).unlink(missing_ok=True)
    return True


def status(var_dir: Path, host: str = "127.0.0.1", port: int = 8123) -> Status:
    """What runs under ``var_dir``; without one of its own, whether anything answers at ``host:port``."""
    home = _home(var_dir)
    running = _running(home)
    pid = None
    if running is not None:
        pid, host, port = running
    return Status(pid, _answers(host, port), host, port, str(home / "data"), str(home / "server.log"))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on right now, for a temporary server."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _home(var_dir: Path) -> Path:
    return Path(var_dir) / "clickhouse"


def _pidfile(home: Path) -> Path:
    return home / "server.pid"


def _running(home: Path) -> tuple[int, str, int] | None:
    """(pid, host, port) of the process that the pid file means, if it still is that process."""
    try:
        entry = json.loads(_pidfile(home).read_text())
        pid, born = int(entry["pid"]), entry["born"]
        host, port = str(entry["host"]), int(entry["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (pid, host, port) if _alive(pid) and _born(pid) == born else None


def _write_pidfile(home: Path, entry: dict[str, object]) -> None:
    write_private(_pidfile(home), json.dumps(entry).encode())


def _alive(pid: int) -> bool:
    """Whether the process runs, or a thread of it; a dead one that its parent has not waited for does not."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    state = _stat(pid)
    # While a thread of a killed process is still on its way out, its port and its lock are held.
    return bool(state) and (state[0] not in "ZX" or int(state[17]) > 1)


def _born(pid: int) -> str:
    """When the process started, in the kernel's ticks: a reused pid has another."""
    state = _stat(pid)
    return state[19] if state else ""


def _worked(pid: int, home: Path) -> tuple[str, ...]:
    """What changes while the process works: its processor time and its log."""
    try:
        log_bytes = str((home / "server.log").stat().st_size)
    except OSError:
        log_bytes = ""
    return (*_stat(pid)[11:13], log_bytes)


def _stat(pid: int) -> list[str]:
    """The kernel's figures of a process, from its state on; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


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
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{name}:{port}/ping", timeout=2) as reply:
            return bool(reply.read(8).startswith(b"Ok."))
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _await(pid: int, host: str, port: int, home: Path, wait_s: float) -> bool:
    """Wait until the server answers; False once its process has ended. Raises UnreachableError when it stands still."""
    seen = _worked(pid, home)
    deadline = time.monotonic() + wait_s
    while not _answers(host, port):
        if not _alive(pid):
            _pidfile(home).unlink(missing_ok=True)
            return False
        now = _worked(pid, home)
        if now != seen:
            seen, deadline = now, time.monotonic() + wait_s
        elif time.monotonic() > deadline:
            raise UnreachableError(
                f"the embedded ClickHouse (pid {pid}) does not answer at {host}:{port}, "
                f"and has done nothing for {wait_s:.0f} s",
                hint=f"read {home / 'server.log'}",
            )
        time.sleep(0.02)
    return True


def _last_words(home: Path) -> str:
    lines = (home / "server.log").read_text(errors="replace").strip().splitlines()
    return " ".join(lines[-2:]) if lines else "it wrote nothing"
