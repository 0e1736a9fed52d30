"""The learned states inside a stage's snapshot, each as a model that can be registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from mevflow.flows.registry import ModelMeta
from mevflow.flows.spec.resolve import ResolvedNode
from mevflow.operators.chains import name_of
from mevflow.operators.decide import emit
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import StageState
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.learn.state import decode
from mevflow.operators.model import emit as model_emit
from mevflow.operators.model.metrics import Progress
from mevflow.operators.model.pipelines import said
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import NAMES, ModelStageState


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A state, and what is known of it. ``label`` tells it from the others of its node: a chain, or a candidate."""

    label: str
    state: bytes
    meta: ModelMeta


def learned_models(node: ResolvedNode, snapshot: bytes) -> list[LearnedModel]:
    """What a node has learned: a policy a chain, or a pipeline a candidate, the champion first.

    Raises UsageError for a node that does not learn, StateError for a snapshot that is none of it.
    """
    settings: Any = node.settings
    try:
        if node.kind.use == "bandit.decide":
            return _policies(settings, msgspec.msgpack.decode(snapshot, type=StageState))
        if node.kind.use == "river.model":
            return _pipelines(settings, msgspec.msgpack.decode(snapshot, type=ModelStageState))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"the snapshot is unreadable: {error}", key=node.name) from None
    raise UsageError(
        f"{node.name} uses {node.kind.use}, which learns nothing", hint="bandit.decide or river.model", key=node.name
    )


def _policies(settings: BanditSettings, saved: StageState) -> list[LearnedModel]:
    found = []
    for chain, one in saved.markets.items():
        spec = saved.gate.models.get(chain, saved.gate.spec)
        held = decode(one.policy, spec.policy)
        if not held.updates:
            continue  # of a chain that nothing was heard of
        meta = ModelMeta(
            name="",
            kind="policy",
            learner=held.name,
            chain=name_of(chain),
            target=settings.utility,
            arms=held.arms,
            features=list(settings.features),
            options=spec.options,
            lessons=held.updates,
            seed=settings.seed,
            logic_version=emit.LOGIC_VERSION,
            parent=saved.gate.model_ids.get(chain, b"").hex(),
        )
        found.append(LearnedModel(name_of(chain), one.policy, meta))
    return found


def _pipelines(settings: ModelSettings, saved: ModelStageState) -> list[LearnedModel]:
    found = []
    for one in saved.contest.candidates:
        progress = Progress()
        progress.restore(one.progress)
        figures = {name: getattr(progress, name) for name in ("log_loss", "mae", "roc_auc", "ece")}
        recipe = tuple(one.recipe)
        seeds = [int(parameters["seed"]) for _, parameters in recipe if "seed" in parameters]
        meta = ModelMeta(
            name="",
            kind="pipeline",
            learner=said(recipe),
            chain=settings.chain,
            target=settings.target,
            features=list(NAMES),
            lessons=one.learned,
            seed=seeds[0] if seeds else 0,
            logic_version=model_emit.LOGIC_VERSION,
            # Unknown is not zero, and JSON has no NaN.
            metrics={name: value if value == value else None for name, value in figures.items()},
            parent=one.model_id.hex(),
        )
        found.append(LearnedModel(one.name, one.steps, meta))
    return found
