"""What is done to a run: each fault strikes, may hold for a while, and is healed as its operator would.

A fault is a generator: it strikes up to ``yield``, and heals after it. What it gives is how long it means to hold, in
seconds; what heals by itself (the supervisor starts a shard again) holds 0.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from mevflow.flows.runtime import change, deploy
from mevflow.operators.errors import MevflowError
from mevflow.sinks.websocket.hub import stop_hub
from tests.chaos.place import filled
from tests.chaos.world import STALL_S, Stalled, World

Strike = Generator[float, None, None]
Fault = Callable[[World, random.Random], Strike]


def _kill(pid: int | None, number: int) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def shard_kill(world: World, rng: random.Random) -> Strike:
    """kill -9 of one shard; its supervisor starts it again."""
    pids = world.shard_pids()
    _kill(rng.choice(pids) if pids else None, signal.SIGKILL)
    yield 0.0


def shard_stop(world: World, rng: random.Random) -> Strike:
    """SIGSTOP of every shard, and SIGCONT."""
    pids = world.shard_pids()
    for pid in pids:
        _kill(pid, signal.SIGSTOP)
    yield rng.uniform(0.2, 3.0)
    for pid in pids:
        _kill(pid, signal.SIGCONT)


def supervisor_kill(world: World, rng: random.Random) -> Strike:
    """kill -9 of the supervisor; it is deployed again."""
    process = world.supervisor
    _kill(process.pid if process else None, signal.SIGKILL)
    yield 0.0
    world.deploy()


def supervisor_stop(world: World, rng: random.Random) -> Strike:
    """SIGSTOP of the supervisor, and SIGCONT."""
    process = world.supervisor
    _kill(process.pid if process else None, signal.SIGSTOP)
    yield rng.uniform(0.2, 3.0)
    _kill(process.pid if process else None, signal.SIGCONT)


def _service_kill(service: str) -> Fault:
    def fault(world: World, rng: random.Random) -> Strike:
        world.place.signal(service, signal.SIGKILL)
        yield 0.0
        _again(lambda: world.place.start(service))

    return fault


def _service_stop(service: str) -> Fault:
    def fault(world: World, rng: random.Random) -> Strike:
        world.place.signal(service, signal.SIGSTOP)
        yield rng.uniform(0.2, 4.0)
        world.place.signal(service, signal.SIGCONT)

    return fault


def hub_kill(world: World, rng: random.Random) -> Strike:
    """kill -9 of the WebSocket hub; nobody starts it again."""
    _kill(world.hub_pid(), signal.SIGKILL)
    yield 0.0


def hub_stop(world: World, rng: random.Random) -> Strike:
    """SIGSTOP of the WebSocket hub, and SIGCONT."""
    pid = world.hub_pid()
    _kill(pid, signal.SIGSTOP)
    yield rng.uniform(0.2, 3.0)
    _kill(pid, signal.SIGCONT)


def disk_full(world: World, rng: random.Random) -> Strike:
    """The disk of the run's state is full."""
    with filled(world.layout.root):
        yield rng.uniform(0.5, 3.0)


def clickhouse_disk_full(world: World, rng: random.Random) -> Strike:
    """The disk of ClickHouse is full."""
    with world.place.full_disk():
        yield rng.uniform(0.5, 3.0)


def deploys_at_once(world: World, rng: random.Random) -> Strike:
    """Two deploys while it runs: both are refused, or one of them is what runs next."""
    words = ("deploy", world.kind, "--file", str(world.file), "--shards", str(world.shards))
    both = [world.command(*words) for _ in range(2)]
    yield 0.0
    for process in both:
        try:
            process.communicate(timeout=STALL_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise Stalled("a deploy does not end") from error
    world.deploy()


def stop_and_deploy(world: World, rng: random.Random) -> Strike:
    """Drain it in the middle, and deploy it again."""
    with suppress(MevflowError):  # it may have been stopped already, or be unable to drain
        deploy.stop(world.kind, world.var, 20.0)
    yield 0.0
    world.deploy()


def restart(world: World, rng: random.Random) -> Strike:
    """A rolling restart."""
    process = world.supervisor
    _kill(process.pid if process else None, signal.SIGUSR1)
    yield 0.0


def rescale(world: World, rng: random.Random) -> Strike:
    """Another number of shards, with the state."""
    wanted = rng.choice([n for n in (1, 2, 3) if n != world.shards])
    with suppress(MevflowError):  # another command was faster, or what it needs is away: it is as it was
        change.rescale(world.kind, world.var, wanted)
    yield 0.0
    world.deploy()


def partition_added(world: World, rng: random.Random) -> Strike:
    """The topic of swaps gets a third partition, which is then fed too. Part of every run of a keep."""
    world.add_partition()
    yield 0.0


#: Name -> (the fault, how often it is chosen, for which topologies).
FAULTS: dict[str, tuple[Fault, float, tuple[str, ...]]] = {
    "shard kill": (shard_kill, 3.0, ("hunt", "keep")),
    "shard stop": (shard_stop, 2.0, ("hunt", "keep")),
    "supervisor kill": (supervisor_kill, 2.0, ("hunt", "keep")),
    "supervisor stop": (supervisor_stop, 1.5, ("hunt", "keep")),
    "clickhouse kill": (_service_kill("clickhouse"), 1.5, ("hunt", "keep")),
    "clickhouse stop": (_service_stop("clickhouse"), 1.5, ("hunt", "keep")),
    "broker kill": (_service_kill("broker"), 0.5, ("hunt", "keep")),
    "broker stop": (_service_stop("broker"), 1.0, ("hunt", "keep")),
    "hub kill": (hub_kill, 1.0, ("hunt",)),
    "hub stop": (hub_stop, 0.5, ("hunt",)),
    "disk full": (disk_full, 1.5, ("hunt", "keep")),
    "clickhouse disk full": (clickhouse_disk_full, 1.5, ("hunt", "keep")),
    "two deploys at once": (deploys_at_once, 0.5, ("hunt", "keep")),
    "stop and deploy": (stop_and_deploy, 1.0, ("hunt", "keep")),
    "rolling restart": (restart, 1.0, ("hunt", "keep")),
    "rescale": (rescale, 1.5, ("keep",)),
    "partition added": (partition_added, 0.0, ("keep",)),
}


def schedule(kind: str, rng: random.Random, count: int) -> list[tuple[float, str, int]]:
    """When which fault strikes, and the seed of its own choices: singly, in overlapping pairs, and in bursts."""
    names = [name for name, (_, weight, kinds) in FAULTS.items() if weight and kind in kinds]
    weights = [FAULTS[name][1] for name in names]
    found: list[tuple[float, str, int]] = []
    at = rng.uniform(0.0, 0.5)
    while len(found) < count:
        together = rng.choice((1, 2, 2, 3, 4))
        for _ in range(min(together, count - len(found))):
            found.append((at, rng.choices(names, weights)[0], rng.getrandbits(32)))
            at += rng.uniform(0.0, 0.8)
        at += rng.uniform(0.5, 2.5)
    return found


def _again(action: Callable[[], object]) -> None:
    """Until it works: what a person does who wants a service back."""
    deadline = time.monotonic() + STALL_S
    while True:
        try:
            action()
            return
        except MevflowError as error:
            if time.monotonic() > deadline:
                raise Stalled(str(error)) from error
            time.sleep(0.2)


@contextmanager
def no_hub(port: int) -> Generator[None, None, None]:
    """End the hub of ``port`` at the end, whoever started it."""
    try:
        yield
    finally:
        with suppress(MevflowError):
            stop_hub(port)
