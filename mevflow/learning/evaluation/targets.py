"""Target policies: their chances for every logged decision, by running them on the same record."""

from __future__ import annotations

import numpy as np

from mevflow.learning.evaluation.log import Floats, Log
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.operators.learn import POLICIES, SPECIAL, make_policy

#: Rewards reach a target that runs on the record after so many decisions, as they reached the logger.
_DELAY = 50


def chances_of(log: Log, target: str, exploration: float = 0.05, hold: int = 4, cap_usd: float = 10.0) -> Floats:
    """``[n, arms]`` of ``uniform``, of ``arm:NAME`` (where it is eligible, else skip), or of a policy by name.

    A policy runs over the record: it sees each context with its eligible arms, and learns from what was logged, never
    from what came later. Raises UsageError for a target that is none of these, MevflowError for a log without chances.
    """
    eligible = log.chances > 0.0
    if not eligible.any(axis=1).all():
        bad = int((~eligible.any(axis=1)).sum())
        raise MevflowError(f"{bad:,} logged decisions have no chances", hint="mevflow audit", key="policy")
    if target == "uniform":
        return eligible / eligible.sum(axis=1, keepdims=True)
    if target.startswith("arm:"):
        return _always(log, target.removeprefix("arm:"), eligible)
    if target not in POLICIES | SPECIAL:
        known = ", ".join(["uniform", "arm:NAME", *POLICIES, *SPECIAL])
        raise UsageError(f"no policy is called {target!r}", hint=f"one of {known}", key="policy")
    policy = make_policy(target, len(log.names), log.contexts.shape[1], exploration, {}, hold=hold, arm_names=log.names)
    out = np.zeros(log.chances.shape)
    utilities = np.clip(log.rewards / cap_usd, -1.0, 1.0)
    propensities = log.propensities
    for at in range(0, len(log), _DELAY):
        rows = slice(at, min(at + _DELAY, len(log)))
        x = np.ascontiguousarray(log.contexts[rows].T)
        out[rows] = policy.propose(x, np.ascontiguousarray(eligible[rows].T)).propensities.T
        policy.update(np.ascontiguousarray(log.contexts[rows]), log.arms[rows], utilities[rows], propensities[rows])
    return out


def _always(log: Log, name: str, eligible: np.ndarray) -> Floats:
    if name not in log.names:
        raise UsageError(f"no arm is called {name!r}", hint=f"one of {', '.join(log.names)}", key="policy")
    arm = log.names.index(name)
    out = np.zeros(log.chances.shape)
    other = np.array([np.flatnonzero(row)[-1] for row in eligible])
    out[np.arange(len(log)), np.where(eligible[:, arm], arm, other)] = 1.0
    return out
