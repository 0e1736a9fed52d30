"""Intervals for a mean that hold at every look at once, and one that holds at a single look."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from mevflow.learning.evaluation.log import Floats


def confidence_sequence(values: Floats, low: float, high: float, alpha: float = 0.05) -> tuple[Floats, Floats]:
    """Lower and upper bounds after each of ``values``, all within ``[low, high]``.

    The predictable plug-in empirical-Bernstein sequence of Waudby-Smith and Ramdas (2024, theorem 2), as running
    intersection: with chance ``1 - alpha`` the mean lies within *all* of them, so one may look as often as one likes.
    """
    x = (np.asarray(values, np.float64) - low) / (high - low)
    count = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    before_mean = np.concatenate(([0.5], mean[:-1]))
    before_variance = np.concatenate(([0.25], variance[:-1]))
    bet = np.minimum(np.sqrt(2.0 * math.log(2.0 / alpha) / (before_variance * count * np.log(count + 1.0))), 0.5)
    total = np.cumsum(bet)
    centre = np.cumsum(bet * x) / total
    spent = 4.0 * (x - before_mean) ** 2 * (-np.log1p(-bet) - bet) / 4.0
    half = (math.log(2.0 / alpha) + np.cumsum(spent)) / total
    lower, upper = np.maximum.accumulate(centre - half), np.minimum.accumulate(centre + half)
    return low + (high - low) * np.maximum(lower, 0.0), low + (high - low) * np.minimum(upper, 1.0)


def single_look(values: Floats, alpha: float = 0.05) -> tuple[float, float]:
    """The normal interval of a mean: for one look at a sample whose size was fixed before."""
    mean, half = float(values.mean()), 0.0
    if len(values) > 1:
        half = NormalDist().inv_cdf(1.0 - alpha / 2.0) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half
