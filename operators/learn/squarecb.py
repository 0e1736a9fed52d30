"""SquareCB: inverse gap weighting over a regression (Foster and Rakhlin 2020)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.learn.policy import Bools, Floats, column_sum
from operators.learn.ridge import RidgePolicy


class SquareCb(RidgePolicy):
    """An arm ``gap`` worse than the best has chance ``1 / (eligible + gamma * gap)``; the best has the rest."""

    name: ClassVar[str] = "tip-squarecb"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        **RidgePolicy.options,
        "gamma": (50.0, 0.0, 1e9),
    }

    def judge(self, x: Floats, eligible: Bools) -> tuple[Floats, Floats]:
        scores = self.estimates(x)
        columns = np.arange(scores.shape[1])
        masked = np.where(eligible, scores, -np.inf)
        best = masked.argmax(axis=0)
        gaps = np.where(eligible, masked[best, columns] - np.where(eligible, scores, 0.0), 0.0)
        chances = np.where(eligible, 1.0 / (column_sum(eligible.astype(np.float64)) + self.option["gamma"] * gaps), 0.0)
        chances[best, columns] = 0.0
        chances[best, columns] = 1.0 - column_sum(chances)
        return scores, chances
