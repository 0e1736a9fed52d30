"""SquareCB: inverse gap weighting over a regression (Foster and Rakhlin 2020)."""

from __future__ import annotations

from typing import ClassVar

from mevflow.operators.learn.kernels import Bools, Floats, inverse_gap
from mevflow.operators.learn.policy import Judgement
from mevflow.operators.learn.ridge import RidgePolicy


class SquareCb(RidgePolicy):
    """An arm ``gap`` worse than the best has chance ``1 / (eligible + gamma * gap)``; the best has the rest.

    ``gamma + gamma_scale * rewards ** 0.5`` is the weight of gaps: greedier as more is known.
    """

    name: ClassVar[str] = "tip-squarecb"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        **RidgePolicy.options,
        "gamma": (0.0, 0.0, 1e9),
        "gamma_scale": (25.0, 0.0, 1e6),
    }

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        scores = self.estimates(x)
        gamma = self.option["gamma"] + self.option["gamma_scale"] * self.updates**0.5
        return Judgement(scores, inverse_gap(scores, eligible, gamma), scores)
