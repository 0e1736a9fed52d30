"""UCB1 (Auer, Cesa-Bianchi and Fischer 2002) under an exploration floor: bare, its propensities were 0 or 1."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, greedy
from mevflow.operators.learn.means import MeanPolicy, for_all
from mevflow.operators.learn.policy import Judgement

#: The score of an arm that was never pulled: above every mean plus width that pulled arms reach.
UNTRIED = 1e9


class Ucb1(MeanPolicy):
    """The arm with the highest mean plus ``width * sqrt(2 ln(pulls) / pulls of the arm)``."""

    name: ClassVar[str] = "tip-ucb1"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {"width": (1.0, 0.0, 100.0)}

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        n = x.shape[1]
        means = self.means()
        log_total = np.log(max(float(self.pulls.sum()), 1.0))
        radius = self.option["width"] * np.sqrt(2.0 * log_total / np.maximum(self.pulls, 1e-9))
        scores = for_all(np.where(self.pulls > 0.0, means + radius, UNTRIED), n)
        return Judgement(scores, greedy(scores, eligible), for_all(means, n))
