"""A change of what runs, before anything is done: from which deployment to which, and what differs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from mevflow.flows.runtime.spec import RunSpec
from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.resolve import ResolvedNode, ResolvedTopology, resolve
from mevflow.operators.errors import UsageError


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is another, or a node that comes or goes.

    ``node``: empty for the topology itself. ``what``: ``added``, ``removed`` or ``changed``. ``setting``: its name,
    ``use`` or ``from``; empty for a whole node. ``before``, ``after``: as JSON, empty where there is none; what is
    secret or came from the environment does not stand in them.
    """

    node: str
    what: str
    setting: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """From ``former`` to ``wanted``, which is resolved as ``topology``."""

    former: RunSpec
    wanted: RunSpec
    topology: ResolvedTopology

    @property
    def id(self) -> str:
        """Another one when another deployment runs, or another would."""
        of = (self.former.deployment, self.wanted.text, f"{self.wanted.shards} {self.wanted.epoch_s}")
        return hashlib.blake2b("\0".join(of).encode(), digest_size=8).hexdigest()

    def check(self, planned: str) -> None:
        """Raise UsageError when ``planned``, the id of a plan that was looked at, is not of this one."""
        if planned and planned != self.id:
            raise UsageError(
                f"{self.former.topology} or its file has changed since it was planned",
                hint="look at the plan again",
                key="plan",
            )

    def differences(self) -> list[Difference]:
        """The topology's own first, then by node. Raises UsageError when what runs cannot be read any more."""
        before, after = _Facts(self.former), _Facts(self.wanted)
        return [each for node in {**before.nodes, **after.nodes} for each in _between(before, after, node)]


class _Facts:
    """The settings of a deployment's nodes, and of the topology under the name that no node has."""

    def __init__(self, spec: RunSpec) -> None:
        self._file = spec.topology_file()
        topology = resolve(self._file, spec.topology)
        steering = {f"control.{name}": value for name, value in control_settings(self._file, spec.topology)}
        own = {"shards": spec.shards, "epoch_s": spec.epoch_s, **steering}
        self.nodes = {"": own, **{node.name: _of_node(node) for node in topology.nodes}}

    def shown(self, value: Any) -> str:
        """As JSON for those who may not see secrets."""
        return self._file.redacted(to_json(value, fallback=str, inf_nan_mode="strings").decode())


def _of_node(node: ResolvedNode) -> dict[str, Any]:
    wires = [f"{wire.port} from {wire.source}.{wire.source_port}" for wire in node.wires]
    return {"use": node.kind.use, "from": wires, **dict(node.settings)}


def _between(before: _Facts, after: _Facts, node: str) -> Iterator[Difference]:
    if node not in after.nodes:
        yield Difference(node, "removed", before=before.shown(before.nodes[node]["use"]))
    elif node not in before.nodes:
        yield Difference(node, "added", after=after.shown(after.nodes[node]["use"]))
    else:
        was, becomes = before.nodes[node], after.nodes[node]
        for name in {**was, **becomes}:
            if name not in was:
                yield Difference(node, "changed", name, after=after.shown(becomes[name]))
            elif name not in becomes:
                yield Difference(node, "changed", name, before=before.shown(was[name]))
            elif was[name] != becomes[name]:
                yield Difference(node, "changed", name, before.shown(was[name]), after.shown(becomes[name]))
