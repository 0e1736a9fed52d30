"""One run: deploy, feed, strike, wait until it is well, drain, and compare with the undisturbed answer."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.answer import Answer, Difference, answer_of, blocks_of, difference
from tests.chaos.faults import FAULTS, schedule
from tests.chaos.place import Place
from tests.chaos.stream import TAIL_CHUNKS, stream
from tests.chaos.world import World

_CHUNK_S = 0.45
_LOOK_S = 0.05


@dataclass
class Struck:
    """One fault of a run. ``recovered_s``: from the strike, less what it held on purpose; None: not seen alone."""

    kind: str
    at_s: float
    during_recovery: bool
    held_s: float = 0.0
    healed: bool = False
    recovered_s: float | None = None
    failed: str = ""


@dataclass
class Outcome:
    """What came of one run; ``stalled`` says what stood still, ``orphans`` counts processes left behind."""

    seed: int
    kind: str
    faults: list[Struck] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    sent_again: int = 0
    orphans: int = 0
    stalled: str = ""
    where: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.orphans or self.stalled)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class _Watch:
    """Strikes, and notes when the topology is well again after each strike."""

    def __init__(self, world: World) -> None:
        self._world, self._began = world, time.time()
        self._threads: list[threading.Thread] = []
        self._struck: list[tuple[float, Struck]] = []
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    @property
    def struck(self) -> list[Struck]:
        return [one for _, one in self._struck]

    def strike(self, name: str, seed: int) -> None:
        """Let a fault strike, hold and heal in a thread of its own."""
        with self._lock:
            during = any(one.recovered_s is None and not one.failed for _, one in self._struck)
            one = Struck(name, round(time.time() - self._began, 2), during)
            self._struck.append((time.time(), one))
        thread = threading.Thread(target=self._strike, args=(one, FAULTS[name][0], seed), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _strike(self, one: Struck, fault: Any, seed: int) -> None:
        try:
            for hold_s in fault(self._world, random.Random(seed)):
                one.held_s = hold_s
                time.sleep(hold_s)
        except Exception as error:
            one.failed = f"{type(error).__name__}: {error}"[:500]
        one.healed = True

    def _look(self) -> None:
        """The topology is well at a moment when no fault is held and every shard says so since."""
        while not self._end.wait(_LOOK_S):
            with self._lock:
                open_ = [(at, one) for at, one in self._struck if one.recovered_s is None and not one.failed]
                last = max((at + one.held_s for at, one in open_), default=0.0)
            if open_ and all(one.healed for _, one in open_) and self._world.well_since(last):
                now = time.time()
                with self._lock:
                    for at, one in open_:
                        one.recovered_s = round(max(0.0, now - at - one.held_s), 3)

    def wait(self, seconds: float) -> None:
        """Until every fault is healed."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        self._end.set()
        self._thread.join()


def undisturbed(place: Place, kind: str, seed: int) -> Answer:
    """What a run without faults answers."""
    world = World(place, kind, f"calm-{kind}-{seed}")
    try:
        fed = stream(kind, seed)
        world.send(fed.bulk, wait=True)
        world.deploy()
        if kind == "keep":
            world.add_partition()
        for chunk in fed.tail:
            world.send(chunk)
        world.settle()
        world.stop()
        return answer_of(world)
    finally:
        world.remove()


def disturbed(place: Place, kind: str, stream_seed: int, seed: int, faults: int, wanted: Answer) -> Outcome:
    """A run with ``faults`` faults of the schedule that ``seed`` says, compared with ``wanted``."""
    outcome, began = Outcome(seed, kind), time.monotonic()
    world = World(place, kind, f"run-{seed}")
    watch = None
    try:
        fed = stream(kind, stream_seed)
        world.send(fed.bulk, wait=True)
        world.deploy()
        watch = _Watch(world)
        _play(world, watch, fed.tail, schedule(kind, random.Random(seed), faults))
        watch.wait(400.0)
        for service in ("broker", "clickhouse"):
            place.start(service)
        world.settle()
        watch.close()
        outcome.stalled = "; ".join(one.failed for one in watch.struck if one.failed)
        outcome.orphans = world.stop()
        answer = answer_of(world)
        found: Difference = difference(answer, wanted)
        outcome.lost, outcome.doubled, outcome.where = found.lost, found.doubled, found.where
        outcome.where += blocks_of(world, found)
        outcome.sent_again = answer.sent_again
    except Exception as error:
        outcome.stalled = f"{type(error).__name__}: {error}"[:2000]
    finally:
        if watch is not None:
            watch.close()
            outcome.faults = watch.struck
        if not outcome.good:
            logs = sorted(world.layout.root.glob("shard-*.log"))
            outcome.where += [f"{log.name}: {log.read_text(errors='replace')[-3000:]}" for log in logs]
        world.remove()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _play(world: World, watch: _Watch, tail: list[Any], strikes: list[tuple[float, str, int]]) -> None:
    """Feed the tail and strike at the times of the schedule, whichever is longer."""
    began, sent, struck = time.monotonic(), 0, 0
    while sent < len(tail) or struck < len(strikes):
        now = time.monotonic() - began
        if struck < len(strikes) and strikes[struck][0] <= now:
            watch.strike(*strikes[struck][1:])
            struck += 1
        if sent < len(tail) and sent * _CHUNK_S <= now:
            if world.kind == "keep" and sent == TAIL_CHUNKS // 2:
                watch.strike("partition added", 0)
            if world.kind == "keep" and sent == TAIL_CHUNKS // 2 + 1:
                world.add_partition()
            world.send(tail[sent])
            sent += 1
        time.sleep(0.02)
