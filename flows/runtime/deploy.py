"""Start a topology, stop it in order, and say how it is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec, shape_of
from mevflow.flows.spec.preflight import preflight, preflight_control
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.flows.steering.settings import control_settings
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.private import open_private
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment

START_S, DRAIN_S = 60.0, 60.0


def prepare(file: Path, name: str, var: Path, *, shards: int | None, fresh: bool) -> RunSpec:
    """Check everything that can be known before anything starts, and write the run's spec.

    Raises UsageError (the file is not valid, or it runs already), UnreachableError (broker, ClickHouse),
    StateError (saved state does not fit the topology's shape) or MevflowError (a folder, a port).
    """
    parsed = load(file)
    topology = resolve(parsed, name)
    layout = Layout.live(var, name).make()
    if ProcessId.load(layout.supervisor) is not None:
        raise UsageError(f"{name} is already deployed", hint=f"mevflow status {name}, or mevflow stop {name}")
    shape = shape_of(topology)
    if layout.spec.exists() and layout.recovery(0).exists():
        former = RunSpec.load(layout.spec)
        if fresh:
            _forget(layout, former.shards)
        elif former.shape != shape:
            raise StateError(
                f"the nodes or wires of {name} changed since its state was saved",
                hint=f"mevflow deploy {name} --fresh forgets the state and starts where the sources say",
                file=str(layout.root),
            )
        elif former.shards != (shards or topology.shards):
            raise StateError(
                f"{name} has state for {former.shards} shards, not {shards or topology.shards}",
                hint="deploy it with the same number, or --fresh",
                file=str(layout.root),
            )
    preflight(topology)
    preflight_control(control_settings(parsed, name))
    epoch_s = float(parsed.defaults.get("recovery", {}).get("epoch_s", 5.0))
    spec = RunSpec(
        file=str(file.absolute()),
        topology=name,
        root=str(layout.root),
        var=str(var.absolute()),
        shards=shards or topology.shards,
        shape=shape,
        epoch_s=epoch_s,
    )
    spec.save()
    return spec


def _forget(layout: Layout, shards: int) -> None:
    for shard in range(shards):
        for path in layout.recovery(shard).glob("*"):
            path.unlink()
        layout.status(shard).unlink(missing_ok=True)


def start(spec: RunSpec) -> int:
    """Start the supervisor in the background; give its pid once every shard runs. Raises MevflowError."""
    layout = spec.layout
    for shard in range(spec.shards):
        layout.status(shard).unlink(missing_ok=True)
        open_private(layout.log(shard)).close()
    marks = [layout.log(shard).stat().st_size for shard in range(spec.shards)]
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "mevflow.flows.runtime.supervisor", str(layout.spec)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(spec.file).parent,
        env=environment(),
    )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        states = [shard_status(layout, shard) for shard in range(spec.shards)]
        if all(s.get("state") in ("running", "ended", "drained") for s in states):
            return supervisor.pid
        failed = next((s for s in states if s.get("state") == "failed"), None)
        if failed is not None or supervisor.poll() is not None:
            supervisor.terminate()
            supervisor.wait()
            tail = "\n".join(text for shard, mark in enumerate(marks) if (text := _tail(layout.log(shard), mark)))
            raise MevflowError(f"{spec.topology} did not start:\n{tail}", hint=f"mevflow logs {spec.topology}")
        time.sleep(0.05)
    supervisor.terminate()
    raise MevflowError(f"{spec.topology} was not running after {START_S:g} s", hint=f"mevflow logs {spec.topology}")


def _tail(path: Path, mark: int, lines: int = 20) -> str:
    with path.open("rb") as log:
        log.seek(mark)
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def stop(name: str, var: Path, seconds: float = DRAIN_S) -> dict[str, Any]:
    """Drain a topology. Raises UsageError when it is not deployed, MevflowError when it had to be killed."""
    layout = Layout.live(var, name)
    supervisor = ProcessId.load(layout.supervisor)
    if supervisor is None:
        raise UsageError(f"{name} is not running", hint="mevflow status")
    began = time.monotonic()
    if not supervisor.end(seconds):
        raise MevflowError(
            f"{name} did not drain within {seconds:g} s and was killed; it resumes from its last snapshot",
            hint=f"mevflow logs {name}",
        )
    return {"topology": name, "state": "stopped", "seconds": round(time.monotonic() - began, 3)}


def shard_status(layout: Layout, shard: int) -> dict[str, Any]:
    """What a shard last said of itself; empty when it has said nothing."""
    try:
        status: dict[str, Any] = msgspec.json.decode(layout.status(shard).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return status


def source_rows(shard: dict[str, Any]) -> int:
    """Rows that the sources of a shard gave, by its status."""
    nodes = shard.get("nodes", {})
    return int(sum(counts["rows_out"] for counts in nodes.values() if not counts["rows_in"]))


def status(name: str, var: Path) -> dict[str, Any]:
    """State of a topology and its shards: ``running``, ``stopped``, ``failed`` or ``never deployed``."""
    layout = Layout.live(var, name)
    try:
        saved = msgspec.json.decode(layout.supervisor.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {"topology": name, "state": "never deployed", "shards": []}
    alive = ProcessId.load(layout.supervisor) is not None
    state = saved["state"]
    if not alive and state in ("running", "stopping"):
        state = "killed"
    shards = [{**entry, **shard_status(layout, entry["shard"])} for entry in saved["shards"]]
    return {"topology": name, "state": state, "pid": saved["pid"] if alive else None, "shards": shards}


def wait_until(
    name: str, var: Path, done: Callable[[dict[str, Any]], bool], seconds: float, poll_s: float = 0.1
) -> bool:
    """Poll :func:`status` until ``done`` says so; False at time-out. Raises MevflowError if it failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = status(name, var)
        if done(now):
            return True
        if now["state"] in ("failed", "killed"):
            raise MevflowError(f"{name} {now['state']}", hint=f"mevflow logs {name}")
        time.sleep(poll_s)
    return False
