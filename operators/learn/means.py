"""Rewards by arm, without contexts: counts and sums that several policies share."""

from __future__ import annotations

from typing import Any, ClassVar

import numba
import numpy as np

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import Floats, Ints
from mevflow.operators.learn.policy import Policy, bounded

_jit: Any = numba.njit(cache=True, nogil=True)


class MeanPolicy(Policy):
    """A policy that looks at nothing but how each arm did so far."""

    state_names: ClassVar[tuple[str, ...]] = ("pulls", "sums")
    by_arm: ClassVar[tuple[str, ...]] = ("pulls", "sums")

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        super().__init__(arms, features, exploration, hold, **options)
        self.pulls: Floats = np.zeros(arms)
        self.sums: Floats = np.zeros(arms)

    def means(self) -> Floats:
        """Mean reward by arm, 0 for one that was never pulled."""
        means: Floats = self.sums / np.maximum(self.pulls, 1e-9)
        return means

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        count(self.pulls, self.sums, arms, rewards, self.option.get("discount", 1.0))

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        self.sums[arm] += (now - was) * self.option.get("discount", 1.0) ** max(self.updates - learned_at, 0)
        return True

    def check(self) -> None:
        most = max(self.updates, 1) * (1.0 + 1e-9)
        pulls = bounded(self, "pulls", 0.0, most)
        sums = bounded(self, "sums", -most, most)
        if (np.abs(sums) > pulls * (1.0 + 1e-9) + 1e-9).any():
            raise StateError("sums are more than rewards in [-1, 1] can make", key=self.name)


@_jit
def count(pulls: Floats, sums: Floats, arms: Ints, rewards: Floats, discount: float) -> None:
    """Add rewards, in order; each first fades what all arms have by ``discount``."""
    for i in range(arms.shape[0]):
        if discount < 1.0:
            for arm in range(pulls.shape[0]):
                pulls[arm] *= discount
                sums[arm] *= discount
        pulls[arms[i]] += 1.0
        sums[arms[i]] += rewards[i]


def for_all(per_arm: Floats, n: int) -> Floats:
    """``per_arm[arms]`` as ``[arms, n]``."""
    return np.repeat(per_arm[:, None], n, axis=1)
