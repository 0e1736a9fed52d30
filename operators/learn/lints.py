"""Linear Thompson sampling (Agrawal and Goyal 2013), propensities by quadrature."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, best_probabilities
from mevflow.operators.learn.policy import Judgement
from mevflow.operators.learn.ridge import RidgePolicy


class LinThompson(RidgePolicy):
    """Each arm with the probability that its linear estimate is the best under normal posteriors."""

    name: ClassVar[str] = "tip-lints"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        **RidgePolicy.options,
        "noise": (0.25, 1e-3, 10.0),
    }

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        means, deviations = self.estimates_and_deviations(x)
        spreads = np.maximum(self.option["noise"] * deviations, 1e-9)
        return Judgement(means, best_probabilities(means, spreads, eligible), means)
