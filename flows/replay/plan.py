"""Run a topology over a window of history: same code, own state, own ``run_id``, a defined end.

What a window's results depend on lies before it: the pools' state, the learner's. So a replay reads from the start of
the topics (or from ``warmup`` before the window) and keeps only the results whose chain time falls into the window;
with the whole history as warm-up the answers are those of the live run, ids included. Commands that steered the live
run are given again after the rows at which they took effect; live control is not heard.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mevflow.flows.config import config
from mevflow.flows.replay.history import recorded_commands
from mevflow.flows.replay.slots import times_of
from mevflow.flows.runtime.claim import HeldError, LockClaim
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.lease import Lease
from mevflow.flows.runtime.spec import ReplayBounds, ReplaySpec, RunSpec, shape_of
from mevflow.flows.runtime.window import SlotWindow, stays
from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.preflight import preflight
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import CheckFailedError, UsageError


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
    left_out = [node.name for node in topology.nodes if node.is_sink and not stays(node)]
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
