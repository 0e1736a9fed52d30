"""Every eligible arm with the same chance: the logger that any policy can be judged from."""

from __future__ import annotations

from typing import ClassVar

from mevflow.operators.learn.kernels import Bools, Floats
from mevflow.operators.learn.means import MeanPolicy, for_all
from mevflow.operators.learn.policy import Judgement


class UniformRandom(MeanPolicy):
    """Learns means for its scores and never acts on them."""

    name: ClassVar[str] = "tip-random"

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        means = for_all(self.means(), x.shape[1])
        return Judgement(means, eligible / eligible.sum(axis=0), means)
