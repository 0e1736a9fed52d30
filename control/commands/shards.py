"""Which shards there are: those that are heard, and those that are deployed on this host, heard or not."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mevflow.control.commands.draft import STATE_KINDS
from mevflow.control.commands.record import Place
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import TopologyFile, load
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import Stage, stage_in
from mevflow.processes.background import ProcessId
from mevflow.v1.control_pb2 import ControlCommand, Heartbeat
from mevflow.v1.control_service_pb2 import ShardStatus

#: Seconds of silence after which a shard (it beats twice a second) is no longer taken to be there.
LIVE_S = 3.0
_FORGET_S = 900.0
#: Shards that are remembered, those heard last; whoever may write heartbeats may name any number.
MAX_SHARDS, _MAX_NAME = 10_000, 128


@dataclass(frozen=True, slots=True)
class Deployed:
    """A topology that runs on this host. ``stages``: node -> use, of those that can be steered."""

    name: str
    shards: int
    stages: dict[str, str]
    file: str


@dataclass(slots=True)
class _Beat:
    row: Heartbeat
    heard: float  # monotonic


@dataclass(slots=True)
class Roll:
    """Heartbeats as they come, and ``<var>/run``. ``file`` tells the stages of a topology that runs elsewhere."""

    var: Path
    file: Path
    deployed: dict[str, Deployed] = field(default_factory=dict)
    _beats: dict[tuple[str, int], _Beat] = field(default_factory=dict)
    _specs: dict[Path, tuple[int, Deployed]] = field(default_factory=dict)
    _stages: dict[str, dict[str, str]] = field(default_factory=dict)
    _read_at: int = 0

    def beat(self, row: Heartbeat, age_s: float = 0.0) -> None:
        """A heartbeat, heard ``age_s`` ago. Raises ValueError for one of no topology's."""
        if not 0 < len(row.topology) <= _MAX_NAME:
            raise ValueError(f"a topology's name of {len(row.topology):,} characters")
        self._beats.pop((row.topology, row.shard), None)
        self._beats[row.topology, row.shard] = _Beat(row, time.monotonic() - age_s)
        if len(self._beats) > MAX_SHARDS:
            del self._beats[next(iter(self._beats))]

    def look(self) -> None:
        """Read what is deployed on this host. Blocks on files: call it in a thread."""
        found: dict[str, Deployed] = {}
        for path in (self.var / "run").glob("*/supervisor.json"):
            if ProcessId.load(path) is not None and (each := self._read(Layout(path.parent))) is not None:
                found[each.name] = each
        self.deployed = found

    def _read(self, layout: Layout) -> Deployed | None:
        """A running topology as it was deployed; None when it is not steered or cannot be read."""
        try:
            stamp = layout.spec.stat().st_mtime_ns
            known = self._specs.get(layout.spec)
            if known is not None and known[0] == stamp:
                return known[1]
            spec = RunSpec.load(layout.spec)
            stages, steered = _stages(spec.topology_file(), spec.topology)
        except (OSError, MevflowError, msgspec.DecodeError):
            return None
        if not steered:
            return None
        found = Deployed(spec.topology, spec.shards, stages, spec.file)
        self._specs[layout.spec] = (stamp, found)
        return found

    def stages(self, topology: str) -> dict[str, str] | None:
        """Node -> use of a topology's stages; None when nobody here knows it. May read the topology file."""
        if topology in self.deployed:
            return self.deployed[topology].stages
        self.warm()
        return self._stages.get(topology)

    def knows(self, topology: str) -> bool:
        """Whether a topology is heard, deployed here or in the file as it was last read. Reads nothing."""
        return topology in self._stages or any(name == topology for name, _ in self.shards(topology))

    def warm(self) -> None:
        """Read the topology file, unless it is the one read before. Blocks."""
        try:
            stamp = self.file.stat().st_mtime_ns
            if stamp == self._read_at:
                return
            parsed = load(self.file)
        except (OSError, MevflowError):
            self._stages = {}
            return
        found = {}
        for name in parsed.topologies:
            with contextlib.suppress(MevflowError):
                found[name] = _stages(parsed, name)[0]
        self._stages, self._read_at = found, stamp

    def live(self) -> dict[tuple[str, int], Heartbeat]:
        """The shards that are heard and do not stop."""
        now = time.monotonic()
        for key in [k for k, beat in self._beats.items() if now - beat.heard > _FORGET_S]:
            del self._beats[key]
        return {
            key: beat.row for key, beat in self._beats.items() if now - beat.heard < LIVE_S and not beat.row.stopping
        }

    def shards(self, topology: str = "") -> set[tuple[str, int]]:
        """Every shard that should answer: live or deployed, of one topology or of all."""
        found = set(self.live())
        for each in self.deployed.values():
            found |= {(each.name, shard) for shard in range(each.shards)}
        return {key for key in found if not topology or key[0] == topology}

    def expected(self, command: ControlCommand) -> frozenset[Place]:
        """Who must answer a command."""
        places: set[Place] = set()
        for topology, shard in self.shards(command.topology):
            if command.kind not in STATE_KINDS:
                places.add((topology, shard, ""))
                continue
            stages = self.stages(topology)
            if stages is None:
                places.add((topology, shard, ""))
                continue
            named = [node for node, use in stages.items() if stage_in(command.target) in (node, use)]
            if not named and command.topology:
                places.add((topology, shard, ""))  # it will say that it has no such stage
            places |= {(topology, shard, node) for node in named}
        return frozenset(places)

    def status(self, topology: str = "") -> list[ShardStatus]:
        """For the caller, in order."""
        now = time.monotonic()
        rows: list[ShardStatus] = []
        known = self.shards()  # which forgets those that were last heard long ago
        for key in sorted(known | set(self._beats)):
            if topology and key[0] != topology:
                continue
            beat = self._beats.get(key)
            if beat is None:
                rows.append(ShardStatus(topology=key[0], shard=key[1], state="silent", heard_ms_ago=-1))
                continue
            row, age = beat.row, now - beat.heard
            state = "stopping" if row.stopping else "live" if age < LIVE_S else "lost"
            rows.append(
                ShardStatus(
                    topology=row.topology,
                    shard=row.shard,
                    shards=row.shards,
                    run_id=row.run_id,
                    state="stopped" if row.stopping and age > LIVE_S else state,
                    heard_ms_ago=int(age * 1000),
                    messages=row.messages,
                    lag=row.lag,
                    killed=row.killed,
                    paused=row.paused,
                    policy_version=row.policy_version,
                    pulse_age_ms=row.pulse_age_ms,
                    spec_hash=row.spec_hash,
                )
            )
        return rows


def _stages(file: TopologyFile, topology: str) -> tuple[dict[str, str], bool]:
    """Node -> use of the stages of a topology, and whether it is steered. Raises MevflowError."""
    found = resolve(file, topology)
    settings = control_settings(file, topology)
    stages = {node.name: node.kind.use for node in found.nodes if issubclass(node.kind, Stage)}
    return stages, bool(settings.enabled and settings.bootstrap)
