"""Disjoint LinUCB (Li, Chu, Langford and Schapire 2010) under an exploration floor."""

from __future__ import annotations

from typing import ClassVar

from mevflow.operators.learn.kernels import Bools, Floats, greedy
from mevflow.operators.learn.policy import Judgement
from mevflow.operators.learn.ridge import RidgePolicy


class LinUcb(RidgePolicy):
    """The arm with the highest linear estimate plus ``width`` deviations."""

    name: ClassVar[str] = "tip-linucb"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        **RidgePolicy.options,
        "width": (0.2, 0.0, 100.0),
    }

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        expected, deviations = self.estimates_and_deviations(x)
        scores = expected + self.option["width"] * deviations
        return Judgement(scores, greedy(scores, eligible), expected)
