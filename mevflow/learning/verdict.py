"""What evaluations said of a registered model, and whether it may be given to a topology.

A policy's learned state is judged on logged decisions by the chances that it would have had (``mevflow evaluate
--model``). The newest verdict lies beside the state, ``verdict.json``, and says of which state it is: a model whose log
could not answer, or that would have brought less than what was logged, is below the gate. So is a policy that nobody
has judged, and whatever has learned from few lessons.
"""

from __future__ import annotations

import msgspec
import numpy as np

from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.learning.evaluation.log import Floats, Log
from mevflow.learning.evaluation.report import Evaluation
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.learn import make_policy
from mevflow.operators.learn.probe import probe
from mevflow.processes.private import write_private

_FILE = "verdict.json"
#: Lessons below which a model is not given to a topology by itself.
MIN_LESSONS = 100


class ModelVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The newest evaluation of the state ``id``, over decisions of ``topology``'s run from ``since`` to ``until``.

    ``value`` and its interval are the estimate ``bounded`` in USD a unit, ``logged`` what was brought within the same
    bounds; None where nothing could be estimated.
    """

    id: str
    topology: str
    run_id: str
    since: str
    until: str
    unit: str
    units: int
    effective: float
    logged: float | None
    value: float | None
    low: float | None
    high: float | None
    refusals: list[str]
    needed: int | None

    @property
    def shortfalls(self) -> list[str]:
        """Why the model is below the gate; nothing where it is not."""
        where = f"on {self.units:,} {self.unit}s of {self.topology}"
        if self.refusals:
            more = f"; about {self.needed:,} decisions more of this kind are needed" if self.needed is not None else ""
            return [f"its newest evaluation, {where}, cannot judge it: {'; '.join(self.refusals)}{more}"]
        if self.high is not None and self.logged is not None and self.high < self.logged:
            return [
                f"its newest evaluation, {where}, gives it at most {self.high:+.4f} USD each, less than the "
                f"{self.logged:+.4f} that were logged: a policy that does better is needed"
            ]
        return []


def model_chances(log: Log, meta: ModelMeta, state: bytes, exploration: float = 0.05, hold: int = 4) -> Floats:
    """``[n, arms]`` of a registered policy for every logged decision, with what it has learned and nothing more.

    Raises UsageError for a pipeline, StateError for a state that cannot be decided with.
    """
    if meta.kind != "policy":
        raise UsageError(
            f"{meta.name}@{meta.version} is a pipeline, which chooses no arms",
            hint="its figures are those of `mevflow model show`",
            key="model",
        )
    features = log.contexts.shape[1]
    policy = make_policy(
        meta.learner, len(log.names), features, exploration, meta.options, hold=hold, arm_names=log.names
    )
    policy.restore(state)
    probe(policy)
    eligible = np.ascontiguousarray((log.chances > 0.0).T)
    chances: Floats = policy.propose(np.ascontiguousarray(log.contexts.T), eligible).propensities.T
    return np.ascontiguousarray(chances)


def verdict(
    found: Evaluation, meta: ModelMeta, topology: str, run_id: str = "", since: str = "", until: str = ""
) -> ModelVerdict:
    """What an evaluation of a model's :func:`model_chances` says of it."""
    one = next((each for each in found.estimates if each.method == "bounded"), None)
    return ModelVerdict(
        id=meta.id,
        topology=topology,
        run_id=run_id,
        since=since,
        until=until,
        unit=found.unit,
        units=found.units,
        effective=found.support.effective,
        logged=found.logged_bounded if one else None,
        value=one.value if one else None,
        low=one.low if one else None,
        high=one.high if one else None,
        refusals=list(found.support.refusals),
        needed=found.support.needed,
    )


def note(registry: ModelRegistry, meta: ModelMeta, judged: ModelVerdict) -> None:
    """Keep the newest verdict beside its model."""
    path = registry.home(meta) / _FILE
    write_private(path, msgspec.json.format(msgspec.json.encode(judged), indent=2) + b"\n")


def newest(registry: ModelRegistry, meta: ModelMeta) -> ModelVerdict | None:
    """The newest verdict on a model's state; None where nobody has judged it. Raises StateError for a damaged one."""
    path = registry.home(meta) / _FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ModelVerdict)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(
            f"the newest evaluation cannot be read: {error}", hint="mevflow evaluate --model", file=str(path)
        ) from None
    return found if found.id == meta.id else None


def shortfalls(registry: ModelRegistry, meta: ModelMeta, before: bool = False) -> list[str]:
    """Why a model is below the gate; nothing where it is not.

    ``before``: it was in force before, and then only what its newest evaluation says against it counts. A pipeline has
    no evaluation: it joins as a challenger, which decides nothing. Raises StateError for a damaged evaluation.
    """
    judged = newest(registry, meta)
    short = judged.shortfalls if judged is not None else []
    if not before:
        if meta.lessons < MIN_LESSONS:
            short.append(f"it has {meta.lessons} lessons, fewer than {MIN_LESSONS}: train it over a longer window")
        if judged is None and meta.kind == "policy":
            short.append(f"nobody has judged it: mevflow evaluate --model {meta.name}@{meta.version}")
    return [f"{meta.name}@{meta.version}: {each}" for each in short]
