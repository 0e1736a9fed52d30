"""Estimates of what a target policy would have brought a decision, from decisions of another.

Each gives a term a decision; the estimate is their mean (SNIPS: their sum over the sum of weights). ``weights`` are the
target's chance of the logged arm over the logger's, ``direct`` what a reward model expects of the target and ``logged``
of the logged arm.
"""

from __future__ import annotations

import numpy as np

from mevflow.learning.evaluation.log import Floats


def ips(weights: Floats, rewards: Floats) -> Floats:
    """Inverse propensities (Horvitz and Thompson 1952): unbiased, and wild where weights are large."""
    return weights * rewards


def clipped(weights: Floats, rewards: Floats, most: float) -> Floats:
    """IPS with weights of at most ``most``: biased towards 0, bounded."""
    return np.minimum(weights, most) * rewards


def snips(weights: Floats, rewards: Floats) -> float:
    """Self-normalised (Swaminathan and Joachims 2015): within the rewards' range, whatever the weights."""
    total = float(weights.sum())
    return float((weights * rewards).sum()) / total if total > 0.0 else float("nan")


def doubly_robust(weights: Floats, rewards: Floats, direct: Floats, logged: Floats) -> Floats:
    """Dudik, Langford and Li 2011: right when the propensities or the reward model are."""
    return direct + weights * (rewards - logged)


def switch(weights: Floats, rewards: Floats, direct: Floats, logged: Floats, most: float) -> Floats:
    """Switch-DR (Wang, Agarwal and Dudik 2017): the model alone where a weight is above ``most``."""
    return direct + np.where(weights <= most, weights, 0.0) * (rewards - logged)


def shrunk(weights: Floats, rewards: Floats, direct: Floats, logged: Floats, strength: float) -> Floats:
    """DRos (Su, Dimakopoulou, Krishnamurthy and Dudik 2020): weights ``strength w / (w^2 + strength)``."""
    return direct + strength * weights / (weights * weights + strength) * (rewards - logged)


def effective(weights: Floats) -> float:
    """Kish's effective sample size: of how many equal weights these are worth."""
    squares = float((weights * weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0
