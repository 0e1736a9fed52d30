"""Training is a replay: a node of a topology over a window of history, and what it had learned by the end of it.

The replay runs as any other (own run id, own state, no live sinks), so the same window and the same settings give the
same state, and with it the same content id. Only what ended is registered.
"""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.flows.replay.plan import Plan
from mevflow.flows.spec.resolve import resolve
from mevflow.learning.extract import learned_models
from mevflow.operators.errors import MevflowError, UsageError


def check_node(plan: Plan, node: str) -> None:
    """Raises UsageError unless the topology has the node and it learns."""
    nodes = {each.name: each.kind.use for each in resolve(plan.spec.topology_file(), plan.topology).nodes}
    if nodes.get(node) not in ("bandit.decide", "river.model"):
        some = ", ".join(name for name, use in nodes.items() if use in ("bandit.decide", "river.model"))
        raise UsageError(f"no node {node!r} of {plan.topology} learns", hint=some or "none does", key="NODE")


def register(plan: Plan, node: str, name: str, label: str, registry: ModelRegistry) -> list[ModelMeta]:
    """Register what ``node`` had learned when the replay ended: every one of its models, or ``label`` alone.

    The name of each is ``name``, or ``name-label`` where there are several. Raises MevflowError when nothing is there.
    """
    nodes = {each.name: each for each in resolve(plan.spec.topology_file(), plan.topology).nodes}
    path = plan.spec.layout.states / node
    if not path.exists():
        raise MevflowError("the replay left no state", hint=f"mevflow logs has why: {plan.spec.layout.root}", key=node)
    found = [one for one in learned_models(nodes[node], path.read_bytes()) if label in ("", one.label)]
    learned = [one for one in found if one.meta.lessons]
    if not learned:
        raise MevflowError(
            f"{label or node} learned nothing in this window", hint="a longer window, or another chain", key=node
        )
    window = {source["topic"]: source["partitions"] for source in plan.sources.values()}
    code = version("mevflow")
    by_chain = nodes[node].kind.use == "bandit.decide" and not label
    done = []
    for one in learned:
        own = f"{name}-{one.label}" if by_chain or len(found) > 1 else name
        meta = msgspec.structs.replace(one.meta, name=own, window=window, code=code)
        done.append(registry.save(one.state, meta))
    return done
