"""The topology file as data: every name with the line that it stands on, ``${VAR:-default}`` filled in.

Reading never stops at the first fault: what is malformed becomes a :class:`Problem`, and the rest is read on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from mevflow.operators.chains import Chain, named, register
from mevflow.operators.documents import DocumentBounds, read_yaml
from mevflow.operators.errors import UsageError
from mevflow.operators.stage import PROFILES

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
_FILE_KEYS = ("version", "chains", "defaults", "topologies")
_TOPOLOGY_KEYS = ("summary", "shards", "profile", "control", "nodes")
_NODE_KEYS = ("use", "from", "with")
_BOUNDS = DocumentBounds(size=1 << 20, nodes=100_000)
#: Shorter values of variables are no secrets, and stand in too many words.
_SECRET = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a topology file."""

    file: str
    line: int
    key: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.key}: {self.message}"
        return f"{text} ({self.suggestion})" if self.suggestion else text

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {name: getattr(self, name) for name in ("file", "line", "key", "message", "suggestion")}


@dataclass(frozen=True, slots=True)
class Edge:
    """``source.port`` feeds ``port`` of the node that it belongs to; an empty port means the default one."""

    source: str
    source_port: str
    port: str
    line: int


@dataclass(frozen=True, slots=True)
class Node:
    """One use of a stage, a source or a sink."""

    name: str
    use: str
    line: int
    edges: tuple[Edge, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # of each setting


@dataclass(frozen=True, slots=True)
class Topology:
    """One named dataflow. ``profile``: what it is set up for, of :data:`mevflow.operators.stage.PROFILES`, or empty."""

    name: str
    line: int
    summary: str = ""
    shards: int = 1
    nodes: dict[str, Node] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)
    profile: str = ""


@dataclass(frozen=True, slots=True)
class TopologyFile:
    """A whole file: its topologies, its defaults by settings group, and what is wrong with it."""

    path: Path
    defaults: dict[str, dict[str, Any]]
    topologies: dict[str, Topology]
    problems: tuple[Problem, ...]
    filled: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # (variable, what it was filled with)
    chains: tuple[Chain, ...] = ()  # that the file names

    def redacted(self, text: str) -> str:
        """A text for those who may not see the environment: what variables were filled with stands as ``${NAME}``."""
        for name, value in self.filled:
            if len(value) >= _SECRET:
                text = text.replace(value, f"${{{name}}}")
        return text

    def get(self, name: str) -> Topology:
        """The topology called ``name``. Raises UsageError that names those like it, or all there are."""
        if name not in self.topologies:
            raise UsageError(
                f"no topology {name!r} in {self.path}",
                hint=did_you_mean(name, self.topologies) if self.topologies else "the file has none",
                key=name,
            )
        return self.topologies[name]


def load(path: Path, text: str | None = None) -> TopologyFile:
    """Read a topology file, or ``text`` as if it stood there; the chains that it names are registered.

    Raises UsageError when it is no YAML at all.
    """
    try:
        text = path.read_text() if text is None else text
    except OSError as error:
        raise UsageError(
            f"cannot read the topology file: {error.strerror}",
            hint="run in the folder of topologies.yaml or below, or name the file with --file",
            file=str(path.absolute()),
        ) from error
    found = parse(text, path, os.environ)
    register(found.chains)
    return found


def parse(text: str, path: Path, environment: Mapping[str, str] | None) -> TopologyFile:
    """A topology file's text; ``path`` is what its problems call it. Raises UsageError when it is no YAML.

    ``environment`` fills ``${VAR}``. None: nothing does, a default stands for its variable, else the variable for
    itself; for texts of someone who may not see the environment.
    """
    tree = read_yaml(text, file=str(path), kind="rt", bounds=_BOUNDS)
    return _Reader(path, environment).file(tree)


class _Reader:
    def __init__(self, path: Path, environment: Mapping[str, str] | None) -> None:
        self.path, self._environment = path, environment
        self.problems: list[Problem] = []
        self._filled: dict[str, str] = {}

    def problem(self, line: int, key: str, message: str, suggestion: str = "") -> None:
        self.problems.append(Problem(str(self.path), line, key, message, suggestion))

    def file(self, tree: Any) -> TopologyFile:
        topologies: dict[str, Topology] = {}
        defaults: dict[str, Any] = {}
        if not isinstance(tree, CommentedMap):
            self.problem(1, "", "a topology file is a mapping", "version: 1, topologies: …")
            tree = CommentedMap()
        for key in tree:
            if key not in _FILE_KEYS:
                self.problem(_line(tree, key), str(key), "unknown key", did_you_mean(str(key), _FILE_KEYS))
        if tree and tree.get("version") != 1:
            self.problem(_line(tree, "version"), "version", "must be 1")
        if isinstance(tree.get("defaults"), CommentedMap):
            defaults = self.plain(tree["defaults"], "defaults", _line(tree, "defaults"))
        raw = tree.get("topologies")
        if isinstance(raw, CommentedMap):
            for name, body in raw.items():
                topologies[str(name)] = self.topology(str(name), body, _line(raw, name))
        elif tree:
            self.problem(_line(tree, "topologies"), "topologies", "must map names to topologies")
        chains = tuple(self.chains(tree.get("chains"), _line(tree, "chains")))
        filled = tuple(self._filled.items())
        return TopologyFile(self.path, defaults, topologies, tuple(self.problems), filled, chains)

    def chains(self, raw: Any, line: int) -> Iterator[Chain]:
        """``NAME: CHAIN_ID``, or ``NAME: {id: CHAIN_ID, native: ADDRESS}`` with the token that fees are paid in."""
        if raw is not None and not isinstance(raw, CommentedMap):
            self.problem(line, "chains", "must map names to chain ids")
        for name, body in raw.items() if isinstance(raw, CommentedMap) else ():
            key, at = f"chains.{name}", _line(raw, name)
            told = self.plain(body, key, at)
            told = told if isinstance(told, dict) else {"id": told}
            number, native = told.get("id"), told.get("native", "")
            if set(told) - {"id", "native"} or type(number) is not int or not isinstance(native, str):
                self.problem(at, key, "is a chain id, or {id: CHAIN_ID, native: ADDRESS}")
                continue
            try:
                yield named(str(name), number, native)
            except UsageError as wrong:
                self.problem(at, key, wrong.message)

    def topology(self, name: str, body: Any, line: int) -> Topology:
        if not _NAME.match(name):
            self.problem(line, name, "a name is lower-case letters, digits, - and _")
        if not isinstance(body, CommentedMap):
            self.problem(line, name, "a topology is a mapping with `nodes`")
            return Topology(name, line)
        self.unknown(body, name, _TOPOLOGY_KEYS)
        shards = self.plain(body.get("shards", 1), f"{name}.shards", _line(body, "shards"))
        if not isinstance(shards, int) or isinstance(shards, bool) or not 1 <= shards <= 256:
            self.problem(_line(body, "shards"), f"{name}.shards", "must be a whole number from 1 to 256")
            shards = 1
        profile = self.plain(body.get("profile", ""), f"{name}.profile", _line(body, "profile"))
        if profile and profile not in PROFILES:
            hint = did_you_mean(str(profile), PROFILES)
            self.problem(_line(body, "profile"), f"{name}.profile", f"no profile {profile!r}", hint)
            profile = ""
        nodes: dict[str, Node] = {}
        raw = body.get("nodes")
        if not isinstance(raw, CommentedMap) or not raw:
            self.problem(_line(body, "nodes", line), f"{name}.nodes", "a topology needs nodes")
        else:
            for node, spec in raw.items():
                nodes[str(node)] = self.node(f"{name}.{node}", str(node), spec, _line(raw, node))
        control = self.plain(body.get("control") or CommentedMap(), f"{name}.control", _line(body, "control"))
        if not isinstance(control, dict):
            self.problem(_line(body, "control"), f"{name}.control", "must be a mapping of settings")
            control = {}
        return Topology(name, line, str(body.get("summary", "")), shards, nodes, control, profile)

    def node(self, key: str, name: str, spec: Any, line: int) -> Node:
        if not _NAME.match(name):
            self.problem(line, key, "a name is lower-case letters, digits, - and _")
        if not isinstance(spec, CommentedMap) or not isinstance(spec.get("use"), str):
            self.problem(line, key, "a node needs `use: STAGE`")
            return Node(name, "", line)
        self.unknown(spec, key, _NODE_KEYS)
        settings = spec.get("with") or CommentedMap()
        if not isinstance(settings, CommentedMap):
            self.problem(_line(spec, "with"), f"{key}.with", "must be a mapping of settings")
            settings = CommentedMap()
        lines = {str(name): _line(settings, name) for name in settings}
        plain = {
            str(name): self.plain(value, f"{key}.with.{name}", lines[str(name)]) for name, value in settings.items()
        }
        edges = tuple(self.edges(key, spec.get("from"), _line(spec, "from", line)))
        return Node(name, str(spec["use"]), line, edges, plain, lines)

    def edges(self, key: str, value: Any, line: int) -> list[Edge]:
        if value is None:
            return []
        if isinstance(value, str):
            source, _, port = value.partition(".")
            return [Edge(source, port, "", line)]
        if isinstance(value, CommentedSeq):
            return [edge for item in range(len(value)) for edge in self.edges(key, value[item], _line(value, item))]
        if isinstance(value, CommentedMap):
            return [
                Edge(edge.source, edge.source_port, str(port), edge.line)
                for port, item in value.items()
                for edge in self.edges(key, item, _line(value, port))
            ]
        self.problem(line, f"{key}.from", "is NODE or NODE.PORT, a list of them, or a mapping PORT: NODE.PORT")
        return []

    def unknown(self, body: CommentedMap, key: str, known: tuple[str, ...]) -> None:
        for name in body:
            if name not in known:
                self.problem(_line(body, name), f"{key}.{name}", "unknown key", did_you_mean(str(name), known))

    def plain(self, value: Any, key: str, line: int) -> Any:
        """YAML nodes as plain Python values, variables filled in."""
        if isinstance(value, CommentedMap):
            return {str(name): self.plain(item, f"{key}.{name}", _line(value, name)) for name, item in value.items()}
        if isinstance(value, CommentedSeq):
            return [self.plain(item, key, line) for item in value]
        if isinstance(value, str):
            return self.fill(value, key, line)
        return value

    def fill(self, text: str, key: str, line: int) -> str:
        def replace(match: re.Match[str]) -> str:
            if self._environment is None:
                return match[0] if match["default"] is None else match["default"]
            found = self._environment.get(match["name"])
            if found is not None:
                self._filled[match["name"]] = found
                return found
            found = match["default"]
            if found is None:
                self.problem(
                    line,
                    key,
                    f"environment variable {match['name']} is not set",
                    f"set it, or write ${{{match['name']}:-default}}",
                )
                return ""
            return found

        return _VARIABLE.sub(replace, text)


def did_you_mean(name: str, known: Any) -> str:
    """``did you mean X?`` or the list of what there is."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"


def _line(container: Any, key: Any, otherwise: int = 1) -> int:
    """1-based line of a key in a mapping, or of an item in a sequence."""
    try:
        return int(container.lc.key(key)[0] if isinstance(container, CommentedMap) else container.lc.item(key)[0]) + 1
    except (KeyError, AttributeError, TypeError):
        return otherwise
