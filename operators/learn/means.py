"""Rewards by arm, without contexts: counts and sums that several policies share."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn.kernels import Floats, Ints
from mevflow.operators.learn.policy import Policy


class MeanPolicy(Policy):
    """A policy that looks at nothing but how each arm did so far."""

    state_names: ClassVar[tuple[str, ...]] = ("pulls", "sums")

    def __init__(self, arms: int, features: int, exploration: float, **options: float) -> None:
        super().__init__(arms, features, exploration, **options)
        self.pulls = np.zeros(arms)
        self.sums = np.zeros(arms)

    def means(self) -> Floats:
        """Mean reward by arm, 0 for one that was never pulled."""
        means: Floats = self.sums / np.maximum(self.pulls, 1.0)
        return means

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        for arm, reward in zip(arms.tolist(), rewards.tolist(), strict=True):
            self.pulls[arm] += 1.0
            self.sums[arm] += reward


def for_all(per_arm: Floats, n: int) -> Floats:
    """``per_arm[arms]`` as ``[arms, n]``."""
    return np.repeat(per_arm[:, None], n, axis=1)
