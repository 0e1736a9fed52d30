"""Change what runs and keep its state: another number of shards, another topology, or the one before.

Each change is: (1) check that every state fits, while the former deployment still runs; (2) drain it; (3) write its
states, divided anew or as they are, to a folder of their own; (4) start the new deployment from that folder. The spec
names the folder, so death before the spec is written leaves the former deployment as it was; when (4) fails it is
started again, from its own untouched store.
"""

from __future__ import annotations

import shutil
import signal
import time
import uuid
from pathlib import Path

import msgspec

from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.change_plan import ChangePlan
from mevflow.flows.runtime.deploy import Say, silent
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.saved_state import saved_states, seed
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.status import status
from mevflow.flows.spec.resolve import ResolvedNode, ResolvedTopology, resolve
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.stage import Stage, StageContext
from mevflow.processes.background import ProcessId
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Source

States = list[dict[str, bytes]]


def rescale(name: str, var: Path, shards: int, say: Say = silent) -> RunSpec:
    """Run ``name`` with another number of shards. Raises StateError that names what cannot be divided."""
    former = _former(name, var)
    wanted = msgspec.structs.replace(former, shards=shards)
    return _change(ChangePlan(former, wanted, resolve(former.topology_file(), name)), say)


def upgrade(file: Path, name: str, var: Path, say: Say = silent, planned: str = "") -> RunSpec:
    """Run ``name`` as ``file`` has it now. Raises StateError that names the stage whose state does not fit.

    ``planned``: the id of the plan that was looked at. Raises UsageError when it would be another by now.
    """
    plan = plan_upgrade(file, name, var, say)
    plan.check(planned)
    return _change(plan, say)


def rollback(name: str, var: Path, say: Say = silent, planned: str = "") -> RunSpec:
    """Run ``name`` as it was before the last change, from where it stands now. Raises UsageError when there is none.

    ``planned``: as in :func:`upgrade`.
    """
    plan = plan_rollback(name, var)
    plan.check(planned)
    return _change(plan, say)


def plan_upgrade(file: Path, name: str, var: Path, say: Say = silent) -> ChangePlan:
    """What :func:`upgrade` would do. Raises UsageError when it was never deployed or ``file`` is not valid."""
    former = _former(name, var)
    wanted = deploy.prepare(
        file, name, var, shards=former.shards, fresh=False, keep=True, host=(former.host, former.hosts), say=say
    )
    return ChangePlan(former, wanted, resolve(wanted.topology_file(), name))


def plan_rollback(name: str, var: Path) -> ChangePlan:
    """What :func:`rollback` would do. Raises UsageError when there is nothing to go back to."""
    former = _former(name, var)
    path = former.layout.previous
    if not path.exists():
        raise UsageError(f"{name} has had no other deployment to go back to", file=str(path))
    wanted = RunSpec.load(path)
    return ChangePlan(former, wanted, resolve(wanted.topology_file(), name))


def forgets(plan: ChangePlan) -> list[str]:
    """The nodes whose saved state the change would leave behind. Raises StateError or UsageError where it cannot be."""
    former, wanted = plan.former, plan.wanted
    deploy.check_division(plan.topology, wanted.shards)
    if (wanted.shards, wanted.numbers) != (former.shards, former.numbers):
        _check_one_host(former)
        _check_one_host(wanted)
        _check_divisible(plan.topology, former)
    before = _states(former)
    after = _moved(plan.topology, before, len(wanted.numbers))
    kept = {name for own in after for name in own}
    return sorted({name for own in before for name in own} - kept)


def restart(name: str, var: Path, say: Say = silent) -> None:
    """Drain and start the shards again one after the other. Raises UsageError when it does not run, MevflowError."""
    before = status(name, var)
    supervisor = ProcessId.load(Layout.live(var, name).supervisor)
    if supervisor is None:
        raise UsageError(f"{name} is not running", hint="mevflow status")
    supervisor.signal(signal.SIGUSR1)
    pids = {shard["pid"] for shard in before["shards"] if shard["pid"] is not None}
    told: list[int] = []
    while True:
        now = status(name, var)
        if now["state"] != "running":
            raise MevflowError(f"{name} is {now['state']} after {len(told)} shards", hint=f"mevflow logs {name}")
        if now["rolling"] and now["rolling"][0] not in told:
            told.append(now["rolling"][0])
            say(f"{name}: shard {told[-1]} drains and starts again")
        if not now["rolling"] and not pids & {shard["pid"] for shard in now["shards"]}:
            return
        time.sleep(0.1)


def _former(name: str, var: Path) -> RunSpec:
    layout = Layout.live(var, name)
    if not layout.spec.exists():
        raise UsageError(f"{name} has never been deployed", hint=f"mevflow deploy {name}", file=str(layout.root))
    return RunSpec.load(layout.spec)


def _change(plan: ChangePlan, say: Say) -> RunSpec:
    former, wanted, topology = plan.former, plan.wanted, plan.topology
    name, layout, var = former.topology, former.layout, Path(former.var)
    forgets(plan)  # a refusal leaves what runs alone
    runs = status(name, var)["state"] in ("running", "failing")
    if runs:
        say(f"{name}: draining {len(former.numbers)} shards")
        deploy.stop(name, var)
    deployment = uuid.uuid4().hex[:12]
    folder = f"state-{deployment}"
    try:
        moved = _moved(topology, _states(former), len(wanted.numbers))
        for shard, states in zip(wanted.numbers, moved, strict=True):
            seed(layout.root / folder / f"shard-{shard}", states)
        changed = msgspec.structs.replace(
            wanted, deployment=deployment, state=folder, fresh=False, after=former.deployment
        )
        deploy.start(changed, say)
    except MevflowError as error:
        if runs:
            say(f"{name}: going back, for {error.message}")
            deploy.start(msgspec.structs.replace(former, deployment=uuid.uuid4().hex[:12], after=deploy.ANY), say)
        raise
    former.save(layout.previous)
    for old in layout.root.glob("state-*"):
        if old.name not in (folder, former.state):
            shutil.rmtree(old, ignore_errors=True)
    return changed


def _states(spec: RunSpec) -> States:
    return [saved_states(spec.recovery(shard)) for shard in spec.numbers]


def _check_one_host(spec: RunSpec) -> None:
    """Raise UsageError where other hosts have state of the topology, which cannot be divided from here."""
    if spec.hosts > 1:
        raise UsageError(
            f"{spec.topology} is divided among {spec.hosts} hosts: their state cannot be divided anew from here",
            hint=f"stop it on each; then on each: mevflow deploy {spec.topology} --shards N --host I/N --fresh",
        )


def _check_divisible(topology: ResolvedTopology, former: RunSpec) -> None:
    """Raise StateError for the first node whose state belongs to a number of shards."""
    for node in topology.nodes:
        if issubclass(node.kind, Stage) and not node.kind.stateless:
            raise StateError(
                f"the state of {node.name} ({node.kind.use}) cannot be split or joined (shards: {former.shards})",
                hint=f"mevflow deploy {former.topology} --shards N --fresh forgets it and starts where the sources say",
                key=f"{former.topology}.{node.name}",
            )


def _moved(topology: ResolvedTopology, states: States, shards: int) -> States:
    """The states by shard as ``topology`` begins with them. Raises StateError.

    With the same shards, nodes keep what is of their name. With others, sources divide their positions, and sinks
    join theirs, or begin without: they ask the other side what is there.
    """
    if len(states) == shards:
        nodes = topology.nodes
        return [{node.name: _fitting(topology, node, own) for node in nodes if node.name in own} for own in states]
    moved: States = [{} for _ in range(shards)]
    for node in topology.nodes:
        given = [own[node.name] for own in states if node.name in own]
        if issubclass(node.kind, Source) and given:
            for shard, state in enumerate(node.kind.divide(given, shards)):
                moved[shard][node.name] = state
        if issubclass(node.kind, Sink) and (joined := node.kind.joined(given)):
            for own in moved:
                own[node.name] = joined
    return moved


def _fitting(topology: ResolvedTopology, node: ResolvedNode, own: dict[str, bytes]) -> bytes:
    """The node's state, once a stage of its settings has taken it."""
    if issubclass(node.kind, Stage):
        try:
            node.kind(node.settings, StageContext(topology.name, node.name)).restore(own[node.name])
        except Exception as error:
            raise StateError(
                f"the state of {node.name} does not fit {node.kind.use} as it is now: {error}",
                hint=f"mevflow deploy {topology.name} --fresh forgets it",
                key=f"{topology.name}.{node.name}",
            ) from error
    return own[node.name]
