"""What a stage would say to a command: asked of a stage of the same settings that never sees a row.

The stage itself is the only one that knows its payload, so it is asked, plug-ins too; nothing is described twice.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import Command, Stage, StageContext

#: Higher than any version that a command has and rising, so that the stage judges the payload and not the version.
_BEYOND = 1 << 62


@dataclass(frozen=True, slots=True)
class Verdict:
    """A stage's word. ``reason`` is empty when it would accept."""

    node: str
    reason: str = ""
    detail: str = ""


@dataclass(slots=True)
class Rehearsal:
    """Keeps one stage a node, so that only the first question waits for it to load. Blocks: call it in a thread."""

    _stages: dict[tuple[str, str, str], tuple[int, Stage]] = field(default_factory=dict)
    _version: int = _BEYOND
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, file: Path, topology: str, kind: str, target: str, payload: bytes) -> list[Verdict]:
        """The word of every stage that is or uses ``target``. Raises MevflowError when the topology is not valid."""
        from mevflow.flows.spec.resolve import resolve
        from mevflow.flows.spec.topology import load

        found = resolve(load(file), topology)
        verdicts = []
        with self._lock:
            for node in found.nodes:
                if issubclass(node.kind, Stage) and target in (node.name, node.kind.use):
                    stage = self._stage(file, topology, node.name, node.kind, node.settings)
                    self._version += 1
                    verdicts.append(_ask(stage, node.name, Command("", kind, target, self._version, payload)))
        return verdicts

    def _stage(self, file: Path, topology: str, node: str, kind: type[Stage], settings: object) -> Stage:
        key, stamp = (str(file), topology, node), file.stat().st_mtime_ns
        known = self._stages.get(key)
        if known is None or known[0] != stamp:
            made = kind(settings, StageContext(topology, node))  # type: ignore[arg-type]
            known = self._stages[key] = (stamp, made)
        return known[1]


def _ask(stage: Stage, node: str, command: Command) -> Verdict:
    try:
        ack = stage.on_control(command)
    except MevflowError as error:
        return Verdict(node, "rejected", error.message)
    if ack is None:
        return Verdict(node, "not_steerable", f"{stage.use} takes no {command.kind} command")
    return Verdict(node) if ack.status in ("APPLIED", "DUPLICATE") else Verdict(node, ack.reason, ack.detail)
