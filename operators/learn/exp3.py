"""Exp3 for adversarial rewards (Auer, Cesa-Bianchi, Freund and Schapire 2002)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, Ints, softmax
from mevflow.operators.learn.means import for_all
from mevflow.operators.learn.policy import Policy


class Exp3(Policy):
    """Arms by exponential weights of importance-weighted rewards; gamma is the exploration floor.

    Rewards are mapped from [-1, 1] to [0, 1]. The score of an arm is its log weight, the largest being 0.
    """

    name: ClassVar[str] = "tip-exp3"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {"rate": (0.02, 1e-6, 1.0)}
    state_names: ClassVar[tuple[str, ...]] = ("log_weights",)

    def __init__(self, arms: int, features: int, exploration: float, **options: float) -> None:
        super().__init__(arms, features, exploration, **options)
        self.log_weights = np.zeros(arms)

    def judge(self, x: Floats, eligible: Bools) -> tuple[Floats, Floats]:
        scores = for_all(self.log_weights, x.shape[1])
        return scores, softmax(scores, eligible)

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        gains = self.option["rate"] * (0.5 * (rewards + 1.0)) / propensities
        for arm, gain in zip(arms.tolist(), gains.tolist(), strict=True):
            self.log_weights[arm] += gain
            self.log_weights -= self.log_weights.max()
