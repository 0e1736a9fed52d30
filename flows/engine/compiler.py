"""A resolved topology -> a Bytewax ``Dataflow``.

Every wire keeps the order in which its source node emitted, also across ports: the wires between one
pair of nodes are one Bytewax stream, so a stage that takes ``swaps`` and ``opportunities`` of the same
detector sees them as they were given.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from mevflow.flows.engine.adapters import Envelope, SinkAdapter, SourceAdapter, StageLogic, keyed, unkeyed
from mevflow.flows.engine.ahead import AheadStage
from mevflow.flows.engine.meter import Meter
from mevflow.flows.spec.resolve import ResolvedNode, ResolvedTopology, Wire
from mevflow.flows.steering.recorded import RecordedCommand
from mevflow.flows.steering.steering import Steering
from mevflow.operators.stage import Stage, StageContext
from mevflow.operators.switch import Switch
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Source


def compile_topology(
    topology: ResolvedTopology,
    *,
    meter: Meter,
    drain: threading.Event,
    run_id: str = "",
    shard: int = 0,
    shards: int = 1,
    steering: Steering | None = None,
    recorded: Sequence[RecordedCommand] = (),
    epoch: int = 0,
    before_poll: Callable[[], None] | None = None,
    before_snapshot: Callable[[], None] | None = None,
    seeds: Mapping[str, bytes] | None = None,
    at_end: Path | None = None,
) -> Dataflow:
    """Build the dataflow of one shard. ``drain`` ends its sources where they stand.

    ``steering`` brings commands to a live shard; ``recorded`` are those that a replay gives again. ``epoch``
    is the deployment's fence. ``before_poll`` and ``before_snapshot`` are called before each poll of a source and the
    end of each epoch of the engine; they may hold it up, or raise. ``seeds``: node -> the state that it begins with
    where the recovery store has none. ``at_end``: the folder in which stages leave what they know when it ends.
    """
    seeds = seeds or {}
    switch = Switch() if steering is None else steering.switch
    flow = Dataflow(topology.name.replace("-", "_"))
    streams: dict[str, Stream[Envelope]] = {}
    letters = next((node for node in topology.nodes if node.kind.use == "dlq.sink"), None)
    contexts = {
        node.name: StageContext(
            topology.name,
            node.name,
            run_id,
            shard,
            shards,
            inputs=frozenset(wire.port for wire in node.wires),
            outputs=frozenset(w.source_port for n in topology.nodes for w in n.wires if w.source == node.name),
            switch=switch,
            epoch=epoch,
        )
        for node in topology.nodes
    }
    for node in topology.nodes:
        context = contexts[node.name]
        if issubclass(node.kind, Source):
            opened = partial(node.kind, node.settings, context)
            ahead = _ahead(topology, node, contexts)
            source = SourceAdapter(opened, drain, meter, node.name, steering, before_poll, before_snapshot, ahead)
            source.seed = seeds.get(node.name)
            streams[node.name] = op.input(node.name, flow, source)
            continue
        edges, merged = _inputs(node, streams)
        into = op.map(f"{node.name}_key", merged, keyed)
        if issubclass(node.kind, Sink):
            sink = SinkAdapter(_sink_builder(node, context, letters), meter, node.name)
            sink.seed = seeds.get(node.name)
            op.output(node.name, into, sink)
        elif issubclass(node.kind, Stage):
            make = partial(node.kind, node.settings, context)
            out = op.stateful_batch(
                node.name, into, _stage_builder(make, edges, meter, steering, recorded, seeds.get(node.name), at_end)
            )
            streams[node.name] = op.map(f"{node.name}_out", out, unkeyed)
    return flow


def _ahead(
    topology: ResolvedTopology, source: ResolvedNode, contexts: Mapping[str, StageContext]
) -> Callable[[], AheadStage] | None:
    """What makes the stage that may begin on a source's batches before they are given: one that has no state, and whose
    batches all come from there."""
    for node in topology.nodes:
        if [wire.source for wire in node.wires] != [source.name] or node.wires[0].source_port != "out":
            continue
        if issubclass(node.kind, Stage) and node.kind.stateless:
            make = partial(node.kind, node.settings, contexts[node.name])
            return partial(AheadStage, make, node.name, node.wires[0].port)
    return None


def _sink_builder(node: ResolvedNode, context: StageContext, letters: ResolvedNode | None) -> Callable[[], Sink]:
    """Makes the sink; rows that it cannot keep go where the topology's dead letters go (``letters``)."""

    def build() -> Sink:
        sink = node.kind(node.settings, context)
        assert isinstance(sink, Sink)
        if letters is not None and letters is not node:
            letters_sink = letters.kind(letters.settings, context)
            assert isinstance(letters_sink, Sink)
            sink.dead_letters = letters_sink
        return sink

    return build


def _stage_builder(
    make: Callable[[], Stage],
    edges: dict[str, str],
    meter: Meter,
    steering: Steering | None,
    recorded: Sequence[RecordedCommand],
    seed: bytes | None,
    at_end: Path | None,
) -> Callable[[bytes | None], StageLogic]:
    def build(resume_state: bytes | None) -> StageLogic:
        stage = make()
        mine = [command for command in recorded if command.stage == stage.context.node]
        return StageLogic(stage, edges, meter, seed if resume_state is None else resume_state, steering, mine, at_end)

    return build


def _inputs(node: ResolvedNode, streams: dict[str, Stream[Envelope]]) -> tuple[dict[str, str], Stream[Envelope]]:
    """Wire name -> input port, and the one stream of all inputs."""
    by_source: dict[str, list[Wire]] = defaultdict(list)
    for wire in node.wires:
        by_source[wire.source].append(wire)
    edges: dict[str, str] = {}
    parts = []
    for source, wires in by_source.items():
        for wire in wires:
            edges[f"{source}.{wire.source_port}>{wire.port}"] = wire.port
        parts.append(op.flat_map(f"{node.name}_from_{source}", streams[source], _relabel(source, wires, node.name)))
    return edges, parts[0] if len(parts) == 1 else op.merge(f"{node.name}_merge", *parts)


def _relabel(source: str, wires: list[Wire], node: str) -> Callable[[Envelope], list[Envelope]]:
    """Keep what these wires carry, under the names of the ports that it goes to."""

    def relabel(item: Envelope) -> list[Envelope]:
        if item.watermark is not None:
            return [Envelope("", watermark=item.watermark, edge=f"{source}.{w.source_port}>{w.port}") for w in wires]
        if item.nudge:
            return [item]
        begun = item.begun if item.ahead == node else None
        return [Envelope(w.port, item.batch, begun=begun) for w in wires if w.source_port == item.port]

    return relabel
