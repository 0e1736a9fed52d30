"""Start a topology, and stop it in order. How it is: :mod:`mevflow.flows.runtime.status`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mevflow.flows.config import config
from mevflow.flows.runtime.claim import HeldError, LockClaim, holder_of
from mevflow.flows.runtime.claim_log import held_now
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.lease import Lease
from mevflow.flows.runtime.spec import RunSpec, shape_of
from mevflow.flows.runtime.status import orphans, shard_status, source_rows, status, wait_until
from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.preflight import preflight, preflight_control
from mevflow.flows.spec.resolve import ResolvedTopology, collected, resolve, undivided
from mevflow.flows.spec.topology import load
from mevflow.flows.steering.settings import ControlSettings
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment
from mevflow.processes.private import open_private
from mevflow.processes.startup import Startup
from mevflow.processes.status_file import read_status
from mevflow.sinks.websocket.hub.wire import guard, socket_path

__all__ = ["environment", "prepare", "shard_status", "source_rows", "start", "status", "stop", "wait_until"]

DRAIN_S = 60.0
#: As ``RunSpec.after``: whatever was deployed before.
ANY = "*"
#: What a killed process needs to be gone.
_KILLED_S = 5.0

Say = Callable[[str], None]


def silent(text: str) -> None:
    """Say nothing."""


def prepare(
    file: Path,
    name: str,
    var: Path,
    *,
    shards: int | None,
    fresh: bool,
    takeover: bool = False,
    keep: bool = False,
    host: tuple[int, int] = (0, 1),
    say: Say = silent,
) -> RunSpec:
    """Check everything that can be known before anything starts; :func:`start` does it.

    ``keep`` is for a change of what runs: :mod:`mevflow.flows.runtime.change` sees to its state. ``host``: the number
    of this host (from 0), and how many divide the shards among themselves.
    Raises UsageError (the file is not valid, or it runs already), UnreachableError (broker, ClickHouse),
    StateError (saved state does not fit the topology's shape) or MevflowError (a folder, a port).
    """
    text = _text(file)
    parsed = load(file, text)
    topology = resolve(parsed, name)
    layout = Layout.live(var, name).make()
    if not keep and ProcessId.load(layout.supervisor) is not None:
        raise UsageError(f"{name} is already deployed", hint=f"mevflow status {name}, or mevflow stop {name}")
    spec = RunSpec(
        file=str(file.absolute()),
        topology=name,
        root=str(layout.root),
        var=str(var.absolute()),
        shards=shards or topology.shards,
        shape=shape_of(topology),
        epoch_s=float(parsed.defaults.get("recovery", {}).get("epoch_s", 5.0)),
        deployment=uuid.uuid4().hex[:12],
        fresh=fresh,
        claims=_claims(topology, control_settings(parsed, name)),
        takeover=takeover,
        text=text or "",
        state=RunSpec.load(layout.spec).state if layout.spec.exists() else "recovery",
        after=ANY if keep else "",
        metrics=config().serving(var),
        tracing=config().tracing.tracing,
        kafka=config().kafka.security,
        clickhouse=config().clickhouse.by_tls,
        host=host[0],
        hosts=host[1],
    )
    if spec.hosts > spec.shards:
        raise UsageError(f"{spec.hosts} hosts cannot divide {spec.shards} shards", key="--host")
    if spec.hosts > 1 and not spec.claims:
        raise UsageError(f"{name} names no Kafka cluster, so hosts cannot tell each other what they run", key="--host")
    check_division(topology, spec.shards)
    _check_state(spec)
    if spec.tracing is not None:
        spec.tracing.check()
    if config().control.authenticates:
        guard(socket_path(config().websocket.port), True)  # before any shard starts a hub
    say(f"{name}: the file is valid; asking Kafka and ClickHouse")
    preflight(topology)
    preflight_control(control_settings(parsed, name))
    return spec


def check_division(topology: ResolvedTopology, shards: int) -> None:
    """Raise UsageError when each of ``shards`` would give all that a source brings."""
    if shards > 1 and (whole := undivided(topology)):
        raise UsageError(
            f"{topology.name} has {shards} shards, and each would give all that {', '.join(whole)} brings",
            hint=f"mevflow deploy {topology.name} --shards 1",
        )


def _claims(topology: ResolvedTopology, control: ControlSettings) -> str:
    """The Kafka cluster that a topology works on; empty when it knows none."""
    sources = [getattr(node.settings, "bootstrap", "") for node in topology.nodes]
    return control.bootstrap or next((bootstrap for bootstrap in sources if bootstrap), "")


def _check_state(spec: RunSpec) -> None:
    """Raise StateError when there is state that the deployment cannot go on from."""
    layout, name = spec.layout, spec.topology
    if spec.fresh or spec.after == ANY or not layout.spec.exists():
        return
    former = RunSpec.load(layout.spec)
    if spec.after:
        if former.deployment != spec.after:
            raise UsageError(f"{name} was deployed anew meanwhile", hint=f"mevflow status {name}")
        return
    if not any(former.recovery(shard).exists() for shard in former.numbers):
        return
    if former.shape != spec.shape:
        raise StateError(
            f"the nodes or wires of {name} changed since its state was saved",
            hint=f"mevflow deploy {name} --fresh forgets the state and starts where the sources say",
            file=str(layout.root),
        )
    if former.shards != spec.shards:
        raise StateError(
            f"{name} has state for {former.shards} shards, not {spec.shards}",
            hint=f"mevflow deploy {name} --shards {former.shards}, then mevflow rescale; or --fresh",
            file=str(layout.root),
        )
    if former.numbers != spec.numbers:
        raise StateError(
            f"the state here is that of host {former.host + 1}/{former.hosts}, not {spec.host + 1}/{spec.hosts}",
            hint=f"mevflow deploy {name} --host {former.host + 1}/{former.hosts}; or --fresh",
            file=str(layout.root),
        )


@contextmanager
def claimed(spec: RunSpec, say: Say = silent) -> Iterator[tuple[RunSpec, LockClaim, tuple[Lease, ...]]]:
    """Hold the topology's claim with its folder made ready for ``spec``; gives the spec as it is to run.

    Shards that an earlier supervisor left behind are waited for while they drain. The leases (none without Kafka) are
    released on failure only: the supervisor goes on with them. Raises UsageError when another deployment runs or
    starts, here or elsewhere, or collects the same; StateError as :func:`prepare` does: much may have happened since
    that was called.
    """
    layout = spec.layout
    with _take(spec, say) as claim:
        _check_state(spec)
        former = RunSpec.load(layout.spec) if layout.spec.exists() else None
        if spec.fresh and former is not None:
            _forget(former)
        epoch = max(time.time_ns() // 1000, former.epoch + 1 if former is not None else 1)
        leases = _leases(spec, former.epoch if former is not None else 0) if spec.claims else ()
        try:
            held = tuple(lease.record for lease in leases)
            epoch = held[0].epoch if held else epoch
            ready = msgspec.structs.replace(
                spec, fresh=False, takeover=False, epoch=epoch, lease=held[0] if held else None, collecting=held[1:]
            )
            ready.save()
            yield ready, claim, leases
        except BaseException:
            for lease in leases:
                lease.release()
            raise
        for lease in leases:
            lease.leave()


def _leases(spec: RunSpec, above: int) -> tuple[Lease, ...]:
    """The topology's lease, and one for each thing that it collects."""
    leases = [_lease(spec, above)]
    try:
        for what in collected(resolve(spec.topology_file(), spec.topology)):
            leases.append(
                Lease.take(spec.claims, f"collect/{what}", spec.layout.root, "deploy", takeover=spec.takeover)
            )
    except BaseException as error:
        for lease in leases:
            lease.release()
        if isinstance(error, HeldError):
            raise UsageError(
                f"another topology collects {what} already, and every message would come twice: {error.message}",
                hint="stop it there, or write to a topic of your own; of a host that is gone for good: --takeover",
            ) from None
        raise
    return tuple(leases)


def _lease(spec: RunSpec, above: int) -> Lease:
    """The claim for all folders and hosts, beside which no other division of the topology is held."""
    name = spec.topology
    try:
        lease = Lease.take(
            spec.claims, spec.claim_name, spec.layout.root, "deploy", above=above, takeover=spec.takeover
        )
    except HeldError as error:
        raise UsageError(
            f"{name} is already deployed from another folder or host, on the same topics and tables: {error.message}",
            hint=f"stop it there; or, if that host is gone for good, mevflow deploy {name} --takeover",
        ) from None
    try:
        # Looked for after the claim stands: of two that divide it otherwise at once, one at least sees the other.
        for held, record in held_now(spec.claims).items():
            if held.split("/")[:2] == ["topology", name] and held.partition(" of ")[2] != spec.division:
                raise UsageError(
                    f"{name} runs with its shards divided otherwise: {held.partition('/')[2]} is held by {record}",
                    hint="stop it there first; every host is given the same --shards, and --host I/N with the same N",
                )
    except BaseException:
        lease.release()
        raise
    return lease


def _take(spec: RunSpec, say: Say) -> LockClaim:
    layout, name = spec.layout, spec.topology
    deadline = time.monotonic() + DRAIN_S
    told = False
    while True:
        try:
            return LockClaim.take(layout.claim, "deploy", f"{name} is held", f"mevflow status {name}")
        except HeldError as error:
            holder = holder_of(layout.claim)
            left = orphans(layout)
            pids = ", ".join(str(process.pid) for process in left)
            if holder is not None and holder.alive:
                raise UsageError(
                    f"{name} is already deployed: {error.message}",
                    hint=f"mevflow status {name}, or mevflow stop {name}",
                ) from None
            if time.monotonic() > deadline:
                raise UsageError(
                    f"shards of an earlier deployment of {name} do not end (pid {pids})",
                    hint=f"mevflow stop {name} ends them",
                    file=str(layout.root),
                ) from None
            if left and not told:
                say(f"waiting for shards of an earlier deployment to drain (pid {pids})")
                told = True
            time.sleep(0.1)


def _forget(former: RunSpec) -> None:
    for shard in former.numbers:
        for path in former.recovery(shard).glob("*"):
            path.unlink()


def _text(file: Path) -> str | None:
    """The topology file's text; None when it cannot be read, which :func:`load` says."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def start(spec: RunSpec, say: Say = silent) -> int:
    """Start the supervisor in the background; give its pid once every shard runs.

    Waits for as long as the shards get on (see :mod:`mevflow.processes.startup`). Raises UsageError when another
    deploy was faster, MevflowError with the end of the log when a shard fails, ends or is stuck.
    """
    with claimed(spec, say) as (ready, claim, _):
        layout = ready.layout
        for shard in ready.numbers:
            layout.status(shard).unlink(missing_ok=True)
            open_private(layout.log(shard)).close()
        startup = Startup([layout.log(shard) for shard in ready.numbers])
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "mevflow.flows.runtime.supervisor", str(layout.spec), str(claim.fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(ready.file).parent,
            env=environment(),
            pass_fds=(claim.fd,),
        )
        try:
            _await(ready, supervisor, startup, say)
        except BaseException:
            _end(layout, ProcessId.of(supervisor.pid), DRAIN_S)
            supervisor.wait()
            raise
    return supervisor.pid


def _await(spec: RunSpec, supervisor: subprocess.Popen[bytes], startup: Startup, say: Say) -> None:
    """Until every shard runs or has ended. Raises MevflowError."""
    layout, name = spec.layout, spec.topology
    told: dict[int, str] = {}
    while True:
        gone = supervisor.poll() is not None
        saved = read_status(layout.supervisor)
        entries = saved.get("shards", []) if saved.get("deployment") == spec.deployment else []
        said = [shard_status(layout, shard) for shard in spec.numbers]
        states = [s.get("state", "loading") if s.get("deployment") == spec.deployment else "loading" for s in said]
        if entries and all(state in ("running", "ended") for state in states):
            return
        for shard, state in zip(spec.numbers, states, strict=True):
            if told.get(shard) != state:
                told[shard] = state
                say(f"{name}: shard {shard} is {state}")
        died = any(entry["restarts"] or entry["exit_code"] for entry in entries)
        if gone or died or "failed" in states:
            if saved.get("state") == "stopped" and entries:
                raise MevflowError(f"{name} was stopped while it started")
            raise MevflowError(f"{name} did not start:\n{startup.said()}", hint=f"mevflow logs {name}")
        pids = [entry["pid"] for entry in entries if entry["pid"] is not None]
        fault = startup.fault(pids or [supervisor.pid])
        if fault:
            raise MevflowError(f"{name} {fault}:\n{startup.said()}", hint=f"mevflow logs {name}")
        time.sleep(0.05)


def stop(name: str, var: Path, seconds: float = DRAIN_S) -> dict[str, Any]:
    """Drain a topology, also one whose supervisor has died, or that is stopped by SIGSTOP.

    Raises UsageError when nothing of it runs, MevflowError when it had to be killed.
    """
    layout = Layout.live(var, name)
    supervisor = ProcessId.load(layout.supervisor)
    if supervisor is None and not orphans(layout):
        raise UsageError(f"{name} is not running", hint="mevflow status")
    began = time.monotonic()
    if not _end(layout, supervisor, seconds):
        raise MevflowError(
            f"{name} did not drain within {seconds:g} s and was killed; it resumes from its last snapshot",
            hint=f"mevflow logs {name}",
        )
    return {"topology": name, "state": "stopped", "seconds": round(time.monotonic() - began, 3)}


def _end(layout: Layout, supervisor: ProcessId | None, seconds: float) -> bool:
    """SIGTERM to the supervisor, or to the shards that lost theirs; SIGKILL to all after ``seconds``. False: killed."""
    asked: set[ProcessId] = set()
    deadline = time.monotonic() + seconds
    while True:
        # A supervisor that dies as it is asked leaves shards that have not heard of it.
        running = {supervisor} if supervisor is not None and supervisor.alive else {*orphans(layout)}
        for process in running - asked:
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGCONT)
        asked |= running
        if not running:
            return True
        if time.monotonic() > deadline:
            for process in (left := {*asked, *orphans(layout)}):
                process.signal(signal.SIGKILL)
            for process in left:
                process.wait(_KILLED_S)
            return False
        time.sleep(0.05)
