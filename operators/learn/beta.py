"""Beta-Thompson sampling (Thompson 1933; Agrawal and Goyal 2012), propensities by quadrature."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn.betas import best_beta_probabilities
from mevflow.operators.learn.kernels import Bools, Floats, best_probabilities, eligible_sets
from mevflow.operators.learn.means import MeanPolicy, for_all
from mevflow.operators.learn.policy import Judgement

#: Above so many pulls a Beta posterior is normal to within the quadrature's error, and much dearer to compute.
_NORMAL = 20_000.0


class BetaThompson(MeanPolicy):
    """Each arm with the probability that its chance of success is the best under uniform priors.

    A reward counts as ``(reward - low) / (1 - low)`` of a success, so with ``low`` 0 rewards of 0 and 1 are
    failures and successes. ``discount`` below 1 forgets, as in a market that moves.
    """

    name: ClassVar[str] = "tip-thompson-beta"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        "low": (-1.0, -1.0, 0.0),
        "discount": (1.0, 0.5, 1.0),
    }

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        n, low = x.shape[1], self.option["low"]
        successes = np.clip((self.sums - low * self.pulls) / (1.0 - low), 0.0, self.pulls)
        alphas, betas = 1.0 + successes, 1.0 + self.pulls - successes
        means = low + (1.0 - low) * alphas / (alphas + betas)
        sets, row_set = eligible_sets(eligible)
        if self.pulls.max() > _NORMAL:
            weights = alphas + betas
            spreads = np.sqrt(alphas * betas / (weights + 1.0)) / weights
            chances = best_probabilities(
                for_all(alphas / weights, sets.shape[1]), for_all(spreads, sets.shape[1]), sets
            )
        else:
            chances = best_beta_probabilities(alphas, betas, sets)
        scores = for_all(means, n)
        return Judgement(scores, chances[:, row_set], scores)
