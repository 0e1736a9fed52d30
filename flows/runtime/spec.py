"""What a shard process is told: a file that the deployer writes and the shard reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.spec.resolve import ResolvedTopology
from mevflow.flows.steering.recorded import RecordedCommand
from mevflow.operators.private import write_private


class Bounds(msgspec.Struct, frozen=True):
    """Offsets of one bounded Kafka source: partition -> first, and partition -> first not read."""

    start: dict[int, int]
    stop: dict[int, int]


class ReplaySpec(msgspec.Struct, frozen=True):
    """A bounded run: where each source reads, the window of chain time whose results are kept, what steered it."""

    run_id: str
    bounds: dict[str, Bounds]
    from_us: int | None = None
    to_us: int | None = None
    to_clickhouse: bool = True
    slots: tuple[int, int | None, int | None] | None = None  # chain, first, end: rows that have slots are kept by these
    commands: list[RecordedCommand] = []


class RunSpec(msgspec.Struct, frozen=True):
    """One deployment of one topology."""

    file: str
    topology: str
    root: str
    var: str
    shards: int
    shape: str
    epoch_s: float = 5.0
    replay: ReplaySpec | None = None
    restarts: int | None = None

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.root))

    def save(self) -> Path:
        """Write it to the run's folder."""
        write_private(self.layout.spec, msgspec.json.encode(self))
        return self.layout.spec

    @classmethod
    def load(cls, path: Path) -> RunSpec:
        return msgspec.json.decode(path.read_bytes(), type=cls)


def shape_of(topology: ResolvedTopology) -> str:
    """A hash of what saved state depends on: nodes, what they use, how they are wired; not settings."""
    parts = [f"{n.name}={n.kind.use}<{sorted(map(str, n.wires))}" for n in topology.nodes]
    return hashlib.blake2b("\n".join(sorted(parts)).encode(), digest_size=8).hexdigest()
