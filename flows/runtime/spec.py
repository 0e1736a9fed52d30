"""What a shard process is told: a file that the deployer writes and the shard reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from mevflow.clickhouse import tls
from mevflow.clickhouse.tls import ClickHouseTls
from mevflow.flows.runtime.claim_log import ClaimRecord
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.spec.resolve import ResolvedTopology
from mevflow.flows.spec.topology import TopologyFile, load
from mevflow.flows.steering.recorded import RecordedCommand
from mevflow.kafka import security
from mevflow.kafka.security import KafkaSecurity
from mevflow.metrics.serving import Serving
from mevflow.metrics.tracing import Tracing
from mevflow.operators.errors import MevflowError
from mevflow.processes.private import write_private


class ReplayBounds(msgspec.Struct, frozen=True):
    """Offsets of one bounded Kafka source: partition -> first, and partition -> first not read."""

    start: dict[int, int]
    stop: dict[int, int]


class ReplaySpec(msgspec.Struct, frozen=True):
    """A bounded run: where each source reads, the window of chain time whose results are kept, what steered it."""

    run_id: str
    bounds: dict[str, ReplayBounds]
    from_us: int | None = None
    to_us: int | None = None
    to_clickhouse: bool = True
    slots: tuple[int, int | None, int | None] | None = None  # chain, first, end: rows that have slots are kept by these
    commands: list[RecordedCommand] = []


class RunSpec(msgspec.Struct, frozen=True):
    """One deployment of one topology.

    ``deployment`` names it, and no other: what a shard of an earlier one still writes is told by it. ``epoch`` only
    grows from one deployment of a topology to the next, wherever they are started: a sink may refuse what comes with a
    smaller one. 0: nobody has claimed it. ``fresh``: saved state is to be forgotten first. ``claims``: the Kafka
    cluster on which it is claimed for all folders and hosts (empty: for this folder only), ``lease`` the claim that it
    runs under; ``takeover`` takes it from another holder. ``collecting``: the claims of what it brings into Kafka from
    outside, which no other deployment may bring at the same time. ``text``: the topology file as it was when it was
    deployed (empty: read it anew), ``state``: the folder of its recovery stores, ``after``: the deployment that it
    continues. ``metrics``: where its processes serve theirs, ``tracing``: where its shards send traces. ``kafka``,
    ``clickhouse``: how its processes reach these. ``host`` (from 0) of ``hosts`` that divide the topology's ``shards``
    among themselves: this one runs :attr:`numbers`.
    """

    file: str
    topology: str
    root: str
    var: str
    shards: int
    shape: str
    epoch_s: float = 5.0
    replay: ReplaySpec | None = None
    restarts: int | None = None
    deployment: str = ""
    epoch: int = 0
    fresh: bool = False
    claims: str = ""
    takeover: bool = False
    collecting: tuple[ClaimRecord, ...] = ()
    text: str = ""
    state: str = "recovery"
    after: str = ""
    lease: ClaimRecord | None = None
    metrics: Serving | None = None
    tracing: Tracing | None = None
    kafka: KafkaSecurity | None = None
    clickhouse: ClickHouseTls | None = None
    host: int = 0
    hosts: int = 1

    @property
    def held(self) -> tuple[ClaimRecord, ...]:
        """The claims that it runs under, its own first, if it made any. Whoever works for it holds them all."""
        return () if self.lease is None else (self.lease, *self.collecting)

    @property
    def numbers(self) -> range:
        """The shards that run here."""
        return range(self.host, self.shards, self.hosts)

    @property
    def division(self) -> str:
        """How the shards are divided among hosts; all hosts of a topology have the same. Empty: there is one."""
        return f"{self.hosts} hosts, {self.shards} shards" if self.hosts > 1 else ""

    @property
    def claim_name(self) -> str:
        """What is claimed for all folders and hosts: the topology, or this host's part of it."""
        whole = f"topology/{self.topology}"
        return f"{whole}/{self.host + 1} of {self.division}" if self.hosts > 1 else whole

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.root))

    def recovery(self, shard: int) -> Path:
        """The folder of a shard's recovery store."""
        return self.layout.root / self.state / f"shard-{shard}"

    def topology_file(self) -> TopologyFile:
        """The topology file as it was deployed: what is written to it later is not for shards that start again."""
        return load(Path(self.file), self.text or None)

    def reach(self) -> None:
        """Let this process reach Kafka and ClickHouse as the deployment does."""
        security.use(self.kafka)
        tls.use(self.clickhouse)

    def save(self, path: Path | None = None) -> Path:
        """Write it to the run's folder (or to ``path``). Raises MevflowError when the disk does not take it."""
        path = path or self.layout.spec
        try:
            write_private(path, msgspec.json.encode(self))
        except OSError as error:
            raise MevflowError(f"the spec cannot be written: {error.strerror}", file=str(path)) from error
        return path

    @classmethod
    def load(cls, path: Path) -> RunSpec:
        return msgspec.json.decode(path.read_bytes(), type=cls)


def shape_of(topology: ResolvedTopology) -> str:
    """A hash of what saved state depends on: nodes, what they use, how they are wired; not settings."""
    parts = [f"{n.name}={n.kind.use}<{sorted(map(str, n.wires))}" for n in topology.nodes]
    return hashlib.blake2b("\n".join(sorted(parts)).encode(), digest_size=8).hexdigest()
