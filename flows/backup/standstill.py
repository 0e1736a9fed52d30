"""Nothing changes while a backup is made: what runs is refused by name, or drained and started again afterwards.

Tables, recovery stores and topics fit together when no topology, replay, feed or control service is at work. The claims
of all topologies are held meanwhile, so that none is deployed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from mevflow.clickhouse import daemon
from mevflow.flows.config import Config
from mevflow.flows.runtime import control_service, deploy
from mevflow.flows.runtime.claim import HeldError, LockClaim, holder_of
from mevflow.flows.runtime.claim_log import held_now
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.runtime.status import orphans
from mevflow.kafka import broker
from mevflow.operators.errors import CheckFailedError, MevflowError
from mevflow.processes.background import ProcessId

#: What a process that has ended needs to let go of its locks.
_ENDED_S = 30.0

Say = Callable[[str], None]


def deployed(var: Path) -> list[str]:
    """Topologies that have been deployed from a folder, by name."""
    return sorted(path.parent.name for path in (var / "run").glob("*/spec.json"))


@contextmanager
def standstill(config: Config, file: Path, *, drain: bool, topics: bool, say: Say) -> Iterator[Callable[[], None]]:
    """Hold everything still; gives a check that raises CheckFailedError when something has begun nevertheless.

    ``topics``: the embedded broker must not run either. Raises CheckFailedError that names what runs, unless ``drain``
    stops it; what cannot be drained (a replay, a feed, another host's deployment) is refused in any case.
    """
    var = config.var
    with ExitStack() as after:
        after.enter_context(_alone(var))
        _refuse(_busy(var), "wait until they end, or stop them")
        running = [name for name in deployed(var) if _runs(Layout.live(var, name))]
        service = control_service.status(var)
        embedded = topics and _broker_runs(config)
        found = [f"the topology {name} runs" for name in running]
        found += [f"the control service runs (pid {service['pid']})"] if service is not None else []
        found += ["the embedded broker runs"] if embedded else []
        if found and not drain:
            _refuse(found, "--drain stops them in order, and starts them again afterwards")
        if service is not None:
            say("draining the control service")
            control_service.stop(var)
            after.callback(control_service.start, var, file)
        for name in running:
            say(f"draining {name}")
            deploy.stop(name, var)
            after.callback(_again, Layout.live(var, name), say)
        for name in deployed(var):
            after.enter_context(_claim(var, name))
        _refuse(_elsewhere(config, say), "stop them there: they write to the same topics and tables")
        if embedded:
            say("stopping the embedded broker")
            broker.stop(var)
            kafka = config.kafka
            after.callback(broker.start, var, kafka.bootstrap, kafka.controller_port, kafka.heap_mb, say)
        names = deployed(var)

        def check() -> None:
            begun = [f"{name} was deployed" for name in deployed(var) if name not in names]
            begun += ["the control service was started"] if control_service.status(var) is not None else []
            begun += ["the embedded broker was started"] if topics and _broker_runs(config) else []
            _refuse([*begun, *_busy(var)], "make the backup again")

        yield check


@contextmanager
def engine(config: Config, say: Say) -> Iterator[None]:
    """The embedded ClickHouse, for as long as it is needed: started when it is to be ours and nothing answers."""
    where = config.clickhouse
    found = daemon.status(config.var, where.host, where.port)
    local = where.host in ("127.0.0.1", "localhost", "::1")
    if found.answering or not local:
        yield
        return
    say("starting the embedded ClickHouse")
    daemon.start(config.var, where.host, where.port, where.password.get_secret_value())
    try:
        yield
    finally:
        say("stopping the embedded ClickHouse again")
        daemon.stop(config.var)


def _alone(var: Path) -> LockClaim:
    """Take the claim of who holds this deployment still: two would drain and start under each other's hands."""
    try:
        return LockClaim.take(var / "backup.claim", "backup", "this deployment is backed up")
    except HeldError as error:
        raise CheckFailedError(error.message, hint="wait until it ends", file=str(var)) from None


def _broker_runs(config: Config) -> bool:
    return broker.status(config.var, config.kafka.bootstrap).pid is not None


def _runs(layout: Layout) -> bool:
    return ProcessId.load(layout.supervisor) is not None or bool(orphans(layout))


def _busy(var: Path) -> list[str]:
    """Replays and feeds at work."""
    found = [
        f"the replay {path.parent.name} of {path.parent.parent.name} runs"
        for path in sorted((var / "replay").glob("*/*/supervisor.json"))
        if ProcessId.load(path) is not None
    ]
    for path in sorted((var / "feed").glob("*.claim")):
        try:
            LockClaim.take(path, "backup", "the feed is published").release()
        except HeldError as error:
            found.append(error.message)
    return found


def _elsewhere(config: Config, say: Say) -> list[str]:
    bootstrap = config.kafka.bootstrap
    if not broker.answers(bootstrap, 2.0):
        return []
    try:
        return [f"{name} is held by {record}" for name, record in held_now(bootstrap).items()]
    except MevflowError as error:
        say(f"nobody says what other hosts do: {error.message}")
        return []


def _claim(var: Path, name: str) -> LockClaim:
    """Take a topology's claim. One whose holder has ended is waited for: the kernel takes its time to let go of it."""
    path = Layout.live(var, name).claim
    deadline = time.monotonic() + _ENDED_S
    while True:
        try:
            return LockClaim.take(path, "backup", f"{name} is held")
        except HeldError as error:
            holder = holder_of(path)
            if time.monotonic() > deadline or (holder is not None and holder.alive):
                said = f"a backup would not be of one moment: {error.message}"
                raise CheckFailedError(said, hint="try again", key=name) from None
            time.sleep(0.05)


def _again(layout: Layout, say: Say) -> None:
    former = RunSpec.load(layout.spec)
    say(f"starting {former.topology} again")
    deploy.start(msgspec.structs.replace(former, deployment=uuid.uuid4().hex[:12], after=former.deployment), say)


def _refuse(found: list[str], hint: str) -> None:
    if found:
        raise CheckFailedError(f"a backup would not be of one moment: {'; '.join(found)}", hint=hint)
