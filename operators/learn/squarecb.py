"""SquareCB: inverse gap weighting over a regression (Foster and Rakhlin 2020)."""

from __future__ import annotations

from typing import ClassVar

from mevflow.operators.learn.kernels import Bools, Floats, inverse_gap
from mevflow.operators.learn.ridge import RidgePolicy


class SquareCb(RidgePolicy):
    """An arm ``gap`` worse than the best has chance ``1 / (eligible + gamma * gap)``; the best has the rest."""

    name: ClassVar[str] = "tip-squarecb"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        **RidgePolicy.options,
        "gamma": (50.0, 0.0, 1e9),
    }

    def judge(self, x: Floats, eligible: Bools) -> tuple[Floats, Floats]:
        scores = self.estimates(x)
        return scores, inverse_gap(scores, eligible, self.option["gamma"])
