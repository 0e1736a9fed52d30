"""Check a topology against the catalogue: names, settings, ports, schemas, cycles, loose error ports.

Every problem is found in one pass; a topology that has any is never started.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
from pydantic import ValidationError

from mevflow.flows.spec import catalogue
from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.topology import Node, Problem, Topology, TopologyFile, did_you_mean
from mevflow.flows.steering.settings import ControlSettings
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.operators.stage import Settings, Stage
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Source


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge with both of its ports named."""

    source: str
    source_port: str
    port: str


@dataclass(frozen=True, slots=True)
class ResolvedNode:
    """A node with its class and its settings checked, and its inputs wired."""

    name: str
    kind: catalogue.Part
    settings: Settings
    wires: tuple[Wire, ...]

    @property
    def is_sink(self) -> bool:
        return issubclass(self.kind, Sink)


@dataclass(frozen=True, slots=True)
class ResolvedTopology:
    """A topology that may be compiled: nodes in an order in which every node follows its inputs."""

    name: str
    summary: str
    shards: int
    nodes: tuple[ResolvedNode, ...]

    def of_use(self, use: str) -> list[ResolvedNode]:
        """The nodes that use one part, e.g. every ``kafka.source``."""
        return [node for node in self.nodes if node.kind.use == use]


@dataclass(slots=True)
class _Check:
    file: TopologyFile
    topology: Topology
    files: bool = True
    problems: list[Problem] = field(default_factory=list)
    kinds: dict[str, catalogue.Part] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)
    used_ports: set[tuple[str, str]] = field(default_factory=set)

    def problem(self, line: int, key: str, message: str, suggestion: str = "") -> None:
        self.problems.append(Problem(str(self.file.path), line, f"{self.topology.name}.{key}", message, suggestion))


def check(file: TopologyFile, name: str, *, files: bool = True) -> tuple[ResolvedTopology | None, list[Problem]]:
    """Resolve one topology: the result, or None with every problem that stands in its way.

    ``files``: also look at the files that settings name; not for a text of someone who may not read files here.
    """
    state = _Check(file, file.get(name), files)
    _check_control(state)
    for node in state.topology.nodes.values():
        _check_part(state, node)
    wires = {node.name: _wires(state, node) for node in state.topology.nodes.values()}
    _check_loose_ends(state, wires)
    order = _order(state, wires)
    if state.problems:
        return None, state.problems
    nodes = tuple(ResolvedNode(n, state.kinds[n], state.settings[n], wires[n]) for n in order)
    return ResolvedTopology(name, state.topology.summary, state.topology.shards, nodes), []


def resolve(file: TopologyFile, name: str) -> ResolvedTopology:
    """Like :func:`check`, but raises UsageError that lists every problem of the file and the topology."""
    resolved, problems = check(file, name)
    mine = [p for p in file.problems if p.key == name or p.key.startswith((f"{name}.", "version", "defaults"))]
    if resolved is None or mine:
        lines = "\n  ".join(str(problem) for problem in [*mine, *problems])
        raise UsageError(file.redacted(f"topology {name!r} is not valid:\n  {lines}"))
    return resolved


def divided(topology: ResolvedTopology, shard: int, shards: int) -> ResolvedTopology:
    """The topology as one of ``shards`` runs it: where every stage takes rows one by one, each reads its partitions.

    A stage that keeps state reads everything in every shard, and divides what it gives.
    """
    by_row = all(kind.stateless for kind in (node.kind for node in topology.nodes) if issubclass(kind, Stage))
    if shards == 1 or not by_row:
        return topology
    nodes = []
    for node in topology.nodes:
        if "share" in type(node.settings).model_fields:
            node = dataclasses.replace(node, settings=node.settings.model_copy(update={"share": (shard, shards)}))
        nodes.append(node)
    return dataclasses.replace(topology, nodes=tuple(nodes))


def undivided(topology: ResolvedTopology) -> list[str]:
    """The sources that every shard would read whole, and give whole to a sink."""
    return [
        node.name
        for node in topology.nodes
        if issubclass(node.kind, Source)
        and "share" not in type(node.settings).model_fields
        and any(each.is_sink for each in _reached(topology, node.name, lambda kind: getattr(kind, "stateless", False)))
    ]


def collected(topology: ResolvedTopology) -> tuple[str, ...]:
    """What a topology brings into Kafka from outside, as ``chain into topic``."""
    found = set[str]()
    for node in topology.nodes:
        if issubclass(node.kind, Source) and (what := node.kind.collects(node.settings)):
            for each in _reached(topology, node.name, lambda kind: True):
                if each.kind.use == "kafka.sink":
                    found.add(f"{what} into {each.settings.topic}")  # type: ignore[attr-defined]
    return tuple(sorted(found))


def _reached(topology: ResolvedTopology, source: str, through: Callable[[catalogue.Part], bool]) -> list[ResolvedNode]:
    """The nodes that rows of ``source`` come to, by way of parts that ``through`` says."""
    passed, found = {source}, []
    for node in topology.nodes:  # every node follows its inputs
        if any(wire.source in passed for wire in node.wires):
            found.append(node)
            if not node.is_sink and through(node.kind):
                passed.add(node.name)
    return found


def _check_control(state: _Check) -> None:
    try:
        control_settings(state.file, state.topology.name)
    except UsageError as error:
        state.problem(state.topology.line, "control", error.message, did_you_mean("", ControlSettings.model_fields))


def _check_part(state: _Check, node: Node) -> None:
    if not node.use:
        return  # already reported when the file was read
    try:
        kind = catalogue.part(node.use)
    except MevflowError as error:
        state.problem(node.line, f"{node.name}.use", error.message, error.hint)
        return
    state.kinds[node.name] = kind
    try:
        state.settings[node.name] = catalogue.settings_of(
            kind,
            node.settings,
            state.file.defaults,
            state.file.path.absolute().parent,
            state.topology.profile,
        )
    except ValidationError as error:
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"])
            top = str(fault["loc"][0]) if fault["loc"] else ""
            suggestion = ""
            if fault["type"] == "extra_forbidden":
                suggestion = did_you_mean(top, kind.settings_type.model_fields)
            state.problem(node.lines.get(top, node.line), f"{node.name}.with.{key}", fault["msg"], suggestion)
    try:
        if node.name in state.settings:
            _ports(state, node.name)
            if state.files and issubclass(kind, Stage):
                kind.check_files(state.settings[node.name])
    except MevflowError as error:
        state.settings.pop(node.name)
        line = node.lines.get(error.key, node.line)
        message = f"{error.message} ({error.file})" if error.file else error.message
        state.problem(line, f"{node.name}.with.{error.key}", message, error.hint)


def _ports(state: _Check, name: str) -> tuple[dict[str, pa.Schema | None], dict[str, pa.Schema]]:
    """Input and output ports of a node whose settings are known."""
    kind, settings = state.kinds[name], state.settings[name]
    inputs: dict[str, pa.Schema | None] = {}
    outputs: dict[str, pa.Schema] = {}
    if issubclass(kind, Stage | Sink):
        inputs = dict(kind.input_schemas(settings))
    if issubclass(kind, Stage | Source):
        outputs = dict(kind.output_schemas(settings))
    return inputs, outputs


def _wires(state: _Check, node: Node) -> tuple[Wire, ...]:
    wires = []
    for edge in node.edges:
        key = f"{node.name}.from"
        if edge.source not in state.topology.nodes:
            state.problem(edge.line, key, f"no node {edge.source!r}", did_you_mean(edge.source, state.topology.nodes))
            continue
        if edge.source not in state.settings or node.name not in state.settings:
            state.used_ports.add((edge.source, edge.source_port or "out"))
            continue  # one of the two is broken, and said so
        _, outputs = _ports(state, edge.source)
        inputs, _ = _ports(state, node.name)
        data = [port for port in outputs if port != "errors"]
        source_port = edge.source_port or ("out" if "out" in outputs else data[0] if len(data) == 1 else "")
        port = edge.port or ("in" if "in" in inputs else next(iter(inputs), ""))
        if source_port not in outputs:
            what = f"{edge.source!r} has no port {source_port!r}" if source_port else f"which port of {edge.source!r}?"
            state.problem(edge.line, key, what, did_you_mean(source_port, outputs) if outputs else "it is a sink")
            continue
        if port not in inputs:
            what = f"no input port {port!r}" if inputs else "a source takes no input"
            state.problem(edge.line, key, what, did_you_mean(port, inputs) if inputs else "remove `from`")
            continue
        state.used_ports.add((edge.source, source_port))
        _check_schema(state, node, edge.line, f"{edge.source}.{source_port}", outputs[source_port], inputs[port])
        wires.append(Wire(edge.source, source_port, port))
    return tuple(wires)


def _check_schema(
    state: _Check, node: Node, line: int, source: str, given: pa.Schema, wanted: pa.Schema | None
) -> None:
    key = f"{node.name}.from"
    if wanted is not None and not given.equals(wanted):
        faults = [
            f"{f.name} is {given.field(f.name).type if f.name in given.names else 'missing'}, not {f.type}"
            for f in wanted
            if f.name not in given.names or given.field(f.name).type != f.type
        ]
        faults += [f"{name} is not wanted" for name in given.names if name not in wanted.names]
        detail = "; ".join(faults[:4]) or "its columns are in another order"
        state.problem(line, key, f"{source} does not fit: {detail}", "put a stage between that gives these columns")
    kind = state.kinds[node.name]
    message = (given.metadata or {}).get(b"message", b"").decode()
    if issubclass(kind, Sink) and not kind.accepts(state.settings[node.name], message):
        state.problem(line, key, f"{node.use} has no place for {message or 'undecoded rows'} of {source}")


def _check_loose_ends(state: _Check, wires: dict[str, tuple[Wire, ...]]) -> None:
    for node in state.topology.nodes.values():
        if node.name not in state.settings:
            continue
        inputs, outputs = _ports(state, node.name)
        if inputs and not node.edges:
            state.problem(node.line, node.name, "has no input", "add `from: NODE`")
        if "errors" in outputs and (node.name, "errors") not in state.used_ports:
            state.problem(
                node.line,
                node.name,
                "its `errors` port goes nowhere, so rejects would be lost",
                f"add {node.name}.errors to a dlq.sink",
            )
        data = [port for port in outputs if port != "errors"]
        if data and not any((node.name, port) in state.used_ports for port in data):
            state.problem(node.line, node.name, "nothing takes its output", "add a node with `from` it, or remove it")


def _order(state: _Check, wires: dict[str, tuple[Wire, ...]]) -> list[str]:
    """Node names, inputs first; reports a cycle."""
    waiting = {
        name: {edge.source for edge in node.edges} & set(state.topology.nodes)
        for name, node in state.topology.nodes.items()
    }
    order: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs & set(waiting)]
        if not ready:
            first = next(iter(waiting))
            state.problem(state.topology.nodes[first].line, first, f"a cycle through {', '.join(waiting)}")
            return []
        for name in ready:
            order.append(name)
            del waiting[name]
    return order
