"""What a stage would say to a command: asked of a stage of the same settings that never sees a row.

The stage itself is the only one that knows its payload, so it is asked, plug-ins too; nothing is described twice. Each
question is put to a stage made for it, which is first given what is in force: a question leaves nothing behind, and a
model is judged beside the policy that it would meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mevflow.flows.registry import with_state
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import Command, Stage, StageContext, stage_in

#: Higher than any version that a command has, so that the stage judges the payload and not the version.
_BEYOND = 1 << 62


class Given(msgspec.Struct, frozen=True):
    """A command without its version, as its caller sent it: a model's state may be in the registry."""

    kind: str
    target: str
    payload: bytes


class RehearsalVerdict(msgspec.Struct, frozen=True):
    """A stage's word. ``reason`` is empty when it would accept."""

    node: str
    reason: str = ""
    detail: str = ""


def rehearse(
    file: Path, topology: str, command: Given, in_force: Sequence[Given], models: Path
) -> list[RehearsalVerdict]:
    """The word of every stage that ``command`` addresses; ``models`` is the registry's folder.

    Raises MevflowError when the topology is not valid.
    """
    verdicts = []
    for node in resolve(load(file), topology).nodes:
        names = (node.name, node.kind.use)
        if not issubclass(node.kind, Stage) or stage_in(command.target) not in names:
            continue
        stage = node.kind(node.settings, StageContext(topology, node.name))
        version = _BEYOND
        for each in in_force:
            if stage_in(each.target) in names:
                version += 1
                _ask(stage, node.name, each, version, models)
        verdicts.append(_ask(stage, node.name, command, version + 1, models))
    return verdicts


def _ask(stage: Stage, node: str, command: Given, version: int, models: Path) -> RehearsalVerdict:
    try:
        payload = with_state(command.payload, models)
    except MevflowError as error:
        return RehearsalVerdict(node, "no_model", error.message)
    try:
        ack = stage.on_control(Command("", command.kind, command.target, version, payload))
    except MevflowError as error:
        return RehearsalVerdict(node, "rejected", error.message)
    if ack is None:
        return RehearsalVerdict(node, "not_steerable", f"{stage.use} takes no {command.kind} command")
    return (
        RehearsalVerdict(node)
        if ack.status in ("APPLIED", "DUPLICATE")
        else RehearsalVerdict(node, ack.reason, ack.detail)
    )
