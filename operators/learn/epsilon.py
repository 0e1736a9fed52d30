"""Epsilon-greedy (Sutton and Barto, Reinforcement Learning, 2.2)."""

from __future__ import annotations

from typing import ClassVar

from mevflow.operators.learn.kernels import Bools, Floats, greedy
from mevflow.operators.learn.means import MeanPolicy, for_all
from mevflow.operators.learn.policy import Judgement


class EpsilonGreedy(MeanPolicy):
    """The arm with the best mean so far; epsilon is the exploration floor."""

    name: ClassVar[str] = "tip-epsilon"

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        means = for_all(self.means(), x.shape[1])
        return Judgement(means, greedy(means, eligible), means)
