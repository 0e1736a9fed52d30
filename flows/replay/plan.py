"""Run a topology over a window of history: same code, own state, own ``run_id``, a defined end.

What a window's results depend on lies before it: the pools' state, the learner's. So a replay reads from the start of
the topics (or from ``warmup`` before the window) and keeps only the results whose chain time falls into the window;
with the whole history as warm-up the answers are those of the live run, ids included. Commands that steered the live
run are given again after the rows at which they took effect; live control is not heard.

Sinks that would speak to live readers (Kafka, WebSocket, dead letters) are left out. Results go to ClickHouse under the
run's id and, in a canonical order, to one Parquet file a message type: two replays of one window are equal to the byte.
Of a topology that has no other sinks, what those would have been given is kept in the files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mevflow.flows.config import config
from mevflow.flows.replay.slots import SlotWindow, times_of
from mevflow.flows.runtime.claim import HeldError, LockClaim
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.lease import Lease
from mevflow.flows.runtime.spec import ReplayBounds, ReplaySpec, RunSpec, shape_of
from mevflow.flows.spec.preflight import preflight
from mevflow.flows.spec.resolve import ResolvedNode, ResolvedTopology, Wire, resolve
from mevflow.flows.spec.topology import load
from mevflow.flows.steering.history import recorded_commands
from mevflow.flows.steering.settings import control_settings
from mevflow.operators.codec import COORDINATES
from mevflow.operators.errors import CheckFailedError, UsageError
from mevflow.operators.stage import Settings, StageContext
from mevflow.processes.private import private_folder
from mevflow.sinks.sink import Sink

#: Rows are ordered by the first of these columns that a message has; ties by its whole content.
_ORDER = (
    "chain",
    "timestamp_us",
    "slot",
    "tx_index",
    "ix_index",
    "ordinal",
    "decision_id",
    "opportunity_id",
    "kind",
    "arm",
)
#: What differs between two runs of one window.
_RUN_COLUMNS = ("run_id",)
#: What most topologies are fed, and store as well.
_INPUT = "mevflow.v1.Swap"
#: Envelopes around other results; they name the run inside.
_ENVELOPES = ("mevflow.v1.RealtimeMessage",)
#: No node of a file has a name that begins so.
_RECORDER = "_results"


class WindowSettings(Settings):
    """The window in chain time or slots."""

    from_us: int | None
    to_us: int | None
    slots: tuple[int, int | None, int | None] | None = None

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that lie in the window."""
        if self.slots is not None and {"chain", "slot"} <= set(batch.schema.names):
            batch = _of_slots(batch, SlotWindow(*self.slots))
        time_us = batch.column("timestamp_us")
        inside: Any = pa.scalar(True)
        if self.from_us is not None:
            inside = pc.greater_equal(time_us, self.from_us)
        if self.to_us is not None:
            inside = pc.and_(inside, pc.less(time_us, self.to_us))
        return batch.filter(inside) if isinstance(inside, pa.Array) else batch


class PassSettings(WindowSettings):
    """``use`` and ``inner``: the sink that is stood for, and its settings."""

    use: str
    inner: dict[str, Any]


class WindowSink(Sink[PassSettings]):
    """Lets rows of the window through to the sink that it stands for."""

    use = "replay.window"
    summary = "The rows of a replay's window"
    settings_type = PassSettings

    def open(self, state: bytes | None) -> None:
        from mevflow.flows.spec import catalogue

        kind = catalogue.part(self.settings.use)
        assert issubclass(kind, Sink)
        self._inner: Sink = kind(kind.settings_type(**self.settings.inner), self.context)
        self._inner.open(None)

    def write(self, batch: pa.RecordBatch) -> None:
        kept = self.settings.of(batch)
        if kept.num_rows:
            self._inner.write(kept)

    def snapshot(self) -> bytes:
        return self._inner.snapshot()

    def close(self) -> None:
        self._inner.snapshot()
        self._inner.close()


class RecordSettings(WindowSettings):
    """``folder``: where the files are to be; ``not_results``: messages that are not kept."""

    folder: str
    not_results: tuple[str, ...]


class ResultRecorder(Sink[RecordSettings]):
    """Keeps the window's rows, each wire's once however many sinks take it, as one Parquet file a message."""

    use = "replay.results"
    summary = "The results of a replay's window as files"
    settings_type = RecordSettings

    def __init__(self, settings: RecordSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._rows: dict[str, list[pa.RecordBatch]] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        message = batch.schema.metadata[b"message"].decode()
        if message in self.settings.not_results:
            return
        kept = self.settings.of(batch)
        if kept.num_rows:
            self._rows.setdefault(message, []).append(kept)

    def close(self) -> None:
        folder = Path(self.settings.folder)
        private_folder(folder)
        for message, batches in self._rows.items():
            pq.write_table(canonical(batches), folder / f"{message.rpartition('.')[2]}.parquet", compression="zstd")


def _of_slots(batch: pa.RecordBatch, window: SlotWindow) -> pa.RecordBatch:
    inside = window.holds(batch.column("slot").to_numpy()) & (batch.column("chain").to_numpy() == window.chain)
    return batch.filter(pa.array(inside))


def canonical(batches: list[pa.RecordBatch]) -> pa.Table:
    """One table whatever the batches were: run columns dropped, rows in chain order, no metadata."""
    table = pa.Table.from_batches(batches).replace_schema_metadata(None)
    table = table.drop_columns([name for name in _RUN_COLUMNS if name in table.column_names])
    for index, name in enumerate(table.column_names):
        if pa.types.is_dictionary(table.schema.field(name).type):
            table = table.set_column(index, name, table.column(name).cast(pa.utf8()))
    coordinates = [name for name in COORDINATES.names if name in table.column_names]
    keys = [name for name in (*_ORDER, *coordinates) if name in table.column_names]
    return table.sort_by([(key, "ascending") for key in keys]).combine_chunks()


def bounded(topology: ResolvedTopology, replay: ReplaySpec, layout: Layout) -> ResolvedTopology:
    """The topology as a replay runs it: sources with bounds, live-only sinks out, the others behind the window.

    What the others are given is kept in files; where there are none, what the live-only sinks would have been given.
    """
    nodes: list[ResolvedNode] = []
    for node in topology.nodes:
        if node.name in replay.bounds:
            bounds = replay.bounds[node.name]
            settings = node.settings.model_copy(update={"start_offsets": bounds.start, "stop_offsets": bounds.stop})
            nodes.append(dataclasses.replace(node, settings=settings))
        elif not node.is_sink:
            nodes.append(node)
        elif replay.to_clickhouse and _stays(node):
            nodes.append(_window(node, replay))
    return dataclasses.replace(topology, nodes=(*nodes, _results_of(topology, replay, layout)))


def _stays(node: ResolvedNode) -> bool:
    return issubclass(node.kind, Sink) and not node.kind.live_only


def _window(node: ResolvedNode, replay: ReplaySpec) -> ResolvedNode:
    settings = PassSettings(
        from_us=replay.from_us,
        to_us=replay.to_us,
        slots=replay.slots,
        use=node.kind.use,
        inner=node.settings.model_dump(),
    )
    return ResolvedNode(node.name, WindowSink, settings, node.wires)


def _results_of(topology: ResolvedTopology, replay: ReplaySpec, layout: Layout) -> ResolvedNode:
    """The recorder, on every wire that leads to a sink whose rows are results."""
    sinks = [node for node in topology.nodes if node.is_sink]
    kept = [node for node in sinks if _stays(node)]
    settings = RecordSettings(
        from_us=replay.from_us,
        to_us=replay.to_us,
        slots=replay.slots,
        folder=str(layout.results),
        # A topology whose sinks all speak to live readers may give nothing but swaps.
        not_results=(*_ENVELOPES, *((_INPUT,) if kept else ())),
    )
    wires = dict.fromkeys(Wire(wire.source, wire.source_port, "in") for node in kept or sinks for wire in node.wires)
    return ResolvedNode(_RECORDER, ResultRecorder, settings, tuple(wires))


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do: offsets by node and partition, how many messages, what is left out.

    ``only_files``: no sink is run, so the results are in the run's files alone.
    """

    topology: str
    run_id: str
    from_us: int | None
    to_us: int | None
    sources: dict[str, dict[str, Any]]
    left_out: list[str]
    only_files: bool
    commands_lost: list[str]
    spec: RunSpec

    def as_dict(self) -> dict[str, Any]:
        """For ``--json`` and for people."""
        fields = ("topology", "run_id", "from_us", "to_us", "sources", "left_out", "only_files", "commands_lost")
        return {name: getattr(self, name) for name in fields} | {"messages": self.messages, "commands": self.commands}

    @property
    def commands(self) -> int:
        """Recorded commands that are given again."""
        return len({command.command_id for command in self.spec.replay.commands}) if self.spec.replay else 0

    def check(self) -> None:
        """Raises CheckFailedError when the replay cannot give the answers of the live run."""
        if self.commands_lost:
            raise CheckFailedError(
                f"{len(self.commands_lost)} commands that steered the live run cannot be given again, so the answers "
                f"would be others: {'; '.join(self.commands_lost[:5])}",
                hint="mevflow replay … --allow-lost-commands runs it all the same",
                key=self.topology,
            )

    @property
    def messages(self) -> int:
        return sum(source["messages"] for source in self.sources.values())


def plan(
    file: Path,
    name: str,
    var: Path,
    run_id: str,
    *,
    from_us: int | None,
    to_us: int | None,
    offsets: Mapping[str, tuple[dict[int, int], dict[int, int]]] | None = None,
    warmup_us: int | None = None,
    to_clickhouse: bool = True,
    slots: SlotWindow | None = None,
) -> Plan:
    """Resolve the window to offsets.

    ``offsets`` gives (start, stop) by topic instead of a time window, ``slots`` a window of slots. ``warmup_us`` None
    reads the whole history before the window, 0 none of it. Raises UsageError for an empty window or a
    topology without Kafka sources.
    """
    from mevflow.kafka.topics import offsets_for_times

    parsed = load(file)
    topology = resolve(parsed, name)
    sources = topology.of_use("kafka.source")
    if not sources:
        raise UsageError(f"{name} has no kafka.source, so there is no history to replay", key=name)
    preflight(topology)
    if slots is not None:
        from_us, to_us = times_of(topology, slots)
    start_us = None if from_us is None or warmup_us is None else from_us - warmup_us
    bounds: dict[str, ReplayBounds] = {}
    shown: dict[str, dict[str, Any]] = {}
    for node in sources:
        settings: Any = node.settings
        if offsets is not None and settings.topic in offsets:
            begin, end = offsets[settings.topic]
            ranges = {part: (begin[part], end[part]) for part in begin}
        else:
            ranges = offsets_for_times(settings.bootstrap, settings.topic, start_us, to_us)
        window = offsets_for_times(settings.bootstrap, settings.topic, from_us, to_us)
        bounds[node.name] = ReplayBounds({p: a for p, (a, _) in ranges.items()}, {p: b for p, (_, b) in ranges.items()})
        shown[node.name] = {
            "topic": settings.topic,
            "messages": sum(b - a for a, b in ranges.values()),
            "in_window": sum(b - a for a, b in window.values()),
            "partitions": {str(p): [a, b] for p, (a, b) in sorted(ranges.items())},
        }
    if not any(source["messages"] for source in shown.values()):
        raise UsageError("the window holds no messages", hint="mevflow topics list shows what there is", key=run_id)
    layout = Layout.replay(var, name, run_id)
    control = control_settings(parsed, name)
    commands, lost = recorded_commands(control.bootstrap, topology, var / "models") if control.steers else ([], [])
    kept = None if slots is None else (slots.chain, slots.first, slots.end)
    replay = ReplaySpec(run_id, bounds, from_us, to_us, to_clickhouse, kept, commands)
    spec = RunSpec(
        file=str(file.absolute()),
        topology=name,
        root=str(layout.root),
        var=str(var.absolute()),
        shards=1,
        shape=shape_of(topology),
        replay=replay,
        restarts=0,
        claims=control.bootstrap or str(getattr(sources[0].settings, "bootstrap", "")),
        kafka=config().kafka.security,
        clickhouse=config().clickhouse.by_tls,
    )
    left_out = [node.name for node in topology.nodes if node.is_sink and not _stays(node)]
    only_files = not to_clickhouse or len(left_out) == sum(node.is_sink for node in topology.nodes)
    return Plan(name, run_id, from_us, to_us, shown, left_out, only_files, lost, spec)


@contextmanager
def exclusive(spec: RunSpec) -> Iterator[LockClaim]:
    """Hold the run id while it is replayed, with its folder prepared: two at once would double its rows.

    The shard is to inherit the claim. Raises UsageError that says who replays it.
    """
    root = spec.layout.root
    run_id = spec.replay.run_id if spec.replay is not None else ""
    name = f"replay/{spec.topology}/{run_id}"
    with ExitStack() as held:
        try:
            claim = held.enter_context(LockClaim.take(root.with_name(f".{root.name}.claim"), "replay", "held"))
            if spec.claims:
                held.enter_context(Lease.take(spec.claims, name, root, "replay"))
        except HeldError as error:
            raise UsageError(
                f"run {run_id} of {spec.topology} is being replayed: {error.message}",
                hint="wait, or choose another --run-id",
            ) from None
        prepare(spec)
        yield claim


def prepare(spec: RunSpec) -> None:
    """A clean folder for the run: a replay begins anew each time, so an earlier run of the same id gives way."""
    layout = spec.layout
    if layout.root.exists():
        shutil.rmtree(layout.root)
    layout.make()
    spec.save()


def results(layout: Layout) -> list[dict[str, Any]]:
    """Rows and content hash of every result file, so that two runs can be compared at a glance."""
    return [
        {
            "message": path.stem,
            "rows": pq.read_metadata(path).num_rows,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "file": str(path),
        }
        for path in sorted(layout.results.glob("*.parquet"))
    ]
