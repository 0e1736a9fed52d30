"""What each arm is expected to bring, by a ridge regression an arm that never saw the decision (cross-fitted)."""

from __future__ import annotations

import numpy as np

from mevflow.learning.evaluation.log import Floats, Log

_FOLDS, _RIDGE = 5, 1.0


def expected_rewards(log: Log) -> Floats:
    """``[n, arms]``. Decisions of one episode are in one fold, so that none is predicted from its own episode."""
    x = _standardised(log.contexts)
    fold = log.episodes % _FOLDS
    out = np.zeros(log.chances.shape)
    for held in range(_FOLDS):
        rest, own = fold != held, fold == held
        if not own.any():
            continue
        for arm in range(log.chances.shape[1]):
            seen = rest & (log.arms == arm)
            z, rewards = x[seen], log.rewards[seen]
            gram = z.T @ z + _RIDGE * np.eye(x.shape[1])
            out[own, arm] = x[own] @ np.linalg.solve(gram, z.T @ rewards)
    return out


def _standardised(contexts: Floats) -> Floats:
    spread = contexts.std(axis=0)
    varied = spread > 1e-12
    z = np.clip((contexts[:, varied] - contexts[:, varied].mean(axis=0)) / spread[varied], -4.0, 4.0)
    return np.column_stack([np.ones(len(contexts)), z])
