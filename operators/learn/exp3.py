"""Exp3 for adversarial rewards (Auer, Cesa-Bianchi, Freund and Schapire 2002)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, Ints, softmax
from mevflow.operators.learn.means import MeanPolicy, for_all
from mevflow.operators.learn.policy import Judgement, bounded

#: No log weight is smaller.
_LEAST = -1e15


class Exp3(MeanPolicy):
    """Arms by exponential weights of importance-weighted rewards; gamma is the exploration floor.

    Rewards are mapped from [-1, 1] to [0, 1]. The score of an arm is its log weight, the largest being 0.
    """

    name: ClassVar[str] = "tip-exp3"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {"rate": (0.02, 1e-6, 1.0)}
    state_names: ClassVar[tuple[str, ...]] = ("pulls", "sums", "log_weights")
    by_arm: ClassVar[tuple[str, ...]] = ("pulls", "sums", "log_weights")

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        super().__init__(arms, features, exploration, hold, **options)
        self.log_weights = np.zeros(arms)

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        n = x.shape[1]
        scores = for_all(self.log_weights, n)
        return Judgement(scores, softmax(scores, eligible), for_all(self.means(), n))

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        super().learn(x, arms, rewards, propensities)
        gains = self.option["rate"] * (0.5 * (rewards + 1.0)) / propensities
        for arm, gain in zip(arms.tolist(), gains.tolist(), strict=True):
            self.log_weights[arm] += gain
            self.log_weights -= self.log_weights.max()
        np.maximum(self.log_weights, _LEAST, out=self.log_weights)

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        self.log_weights[arm] += self.option["rate"] * 0.5 * (now - was) / propensity
        self.log_weights -= self.log_weights.max()
        np.maximum(self.log_weights, _LEAST, out=self.log_weights)
        return super().correct(x, arm, was, now, propensity, learned_at)

    def renumber(self, places: dict[int, int]) -> None:
        # The best arm may be among those that are gone; a new one begins like the best of those that are left.
        kept = list(places.values())
        best = float(self.log_weights[kept].max())
        if math.isfinite(best):
            self.log_weights[kept] -= best

    def check(self) -> None:
        super().check()
        bounded(self, "log_weights", _LEAST, 0.0)
