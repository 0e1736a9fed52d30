"""Thompson sampling with normal posteriors (Agrawal and Goyal 2013), propensities by quadrature; and it forgetting."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, best_probabilities, eligible_sets
from mevflow.operators.learn.means import MeanPolicy, for_all
from mevflow.operators.learn.policy import Judgement


class GaussianThompson(MeanPolicy):
    """Each arm with the probability that its mean is the best.

    The posterior of an arm is normal with mean ``sum / (pulls + 1)`` and standard deviation
    ``noise / sqrt(pulls + 1)``: one imagined pull of reward 0 is the prior.
    """

    name: ClassVar[str] = "tip-thompson"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {"noise": (0.5, 1e-3, 10.0)}

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        n = x.shape[1]
        means = self.sums / (self.pulls + 1.0)
        spreads = self.option["noise"] / np.sqrt(self.pulls + 1.0)
        if n == 1:
            chances = best_probabilities(means[:, None], spreads[:, None], eligible)
            return Judgement(means[:, None], chances, means[:, None])
        # Rows differ in nothing but which arms are eligible: one quadrature for each such set.
        sets, row_set = eligible_sets(eligible)
        chances = best_probabilities(for_all(means, sets.shape[1]), for_all(spreads, sets.shape[1]), sets)
        scores = for_all(means, n)
        return Judgement(scores, chances[:, row_set], scores)


class DiscountedThompson(GaussianThompson):
    """:class:`GaussianThompson` whose pulls and sums fade by ``discount`` a reward (Raj and Kalyani 2017).

    It remembers about ``1 / (1 - discount)`` rewards, and goes on trying what it has not tried for long.
    """

    name: ClassVar[str] = "tip-thompson-discounted"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        "noise": (0.25, 1e-3, 10.0),
        "discount": (0.985, 0.5, 1.0),
    }
