"""One target policy judged on one log: every estimate beside the others, with intervals, or a refusal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mevflow.learning.evaluation import estimators
from mevflow.learning.evaluation.gate import Support, faults, support
from mevflow.learning.evaluation.log import Floats, Log, histories
from mevflow.learning.evaluation.rewards import expected_rewards
from mevflow.learning.evaluation.sequences import confidence_sequence, single_look

#: Weights above this are clipped, switched or shrunk away.
MOST_WEIGHT = 30.0

#: A unit counts for no more than this in the estimate whose interval holds at every look.
MOST_USD = 50.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean a unit (decision or episode), and an interval; ``holds`` says whether it does however often one looks."""

    method: str
    value: float
    low: float
    high: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a target would have brought. ``logged`` is what was brought; ``unit`` is a decision or an episode.

    ``logged_bounded`` is what was brought with each unit within ``MOST_USD``, to hold the estimate ``bounded`` against.
    """

    unit: str
    units: int
    logged: float
    support: Support
    estimates: tuple[Estimate, ...]
    logged_bounded: float = math.nan


def evaluate(log: Log, target: Floats, by_episode: bool = False, once: bool = False, alpha: float = 0.05) -> Evaluation:
    """Judge ``target[n, arms]``. ``once``: normal intervals, for one look at a log of a size fixed before.

    By episode, a decision counts with the weights of those before it, the terms of an episode's decisions are added up,
    and intervals are over episodes. An interval that holds at every look is given for ``bounded`` alone, clipped terms
    within ``MOST_USD`` a unit: it needs bounds that were fixed before the data. The others have normal intervals, and
    with ``once`` only. A log or a target that is none (chances that are no distribution, rewards without measure) is
    refused without estimates.
    """
    if not len(log) or faults(log, target):
        count = len(np.unique(log.episodes)) if by_episode else len(log)
        return Evaluation("episode" if by_episode else "decision", count, math.nan, support(log, target), ())
    weights, rewards = log.weights(target), log.rewards
    model = expected_rewards(log)
    direct = (target * model).sum(axis=1)
    logged = model[np.arange(len(log)), log.arms]
    strength = MOST_WEIGHT**2
    single = weights
    if by_episode:
        led = histories(weights, log.episodes)
        weights, direct = weights * led, direct * led
    terms = {
        "ips": estimators.ips(weights, rewards),
        "clipped": estimators.clipped(weights, rewards, MOST_WEIGHT),
        "dm": direct,
        "dr": estimators.doubly_robust(weights, rewards, direct, logged),
        "switch-dr": estimators.switch(weights, rewards, direct, logged, MOST_WEIGHT),
        "dros": estimators.shrunk(weights, rewards, direct, logged, strength),
    }
    found = []
    for method, values in terms.items():
        units = _units(values, log.episodes) if by_episode else values
        low, high = single_look(units, alpha) if once else (float("nan"), float("nan"))
        found.append(Estimate(method, float(units.mean()), low, high, False))
        if method == "clipped":
            held = np.clip(units, -MOST_USD, MOST_USD)
            lower, upper = confidence_sequence(held, -MOST_USD, MOST_USD, alpha)
            found.append(Estimate("bounded", float(held.mean()), float(lower[-1]), float(upper[-1]), True))
            paid = _units(weights * rewards, log.episodes) if by_episode else weights * rewards
            whole = _products(single, log.episodes) if by_episode else weights
            found.append(_snips(paid, whole, once, alpha))
    brought = _units(rewards, log.episodes) if by_episode else rewards
    return Evaluation(
        unit="episode" if by_episode else "decision",
        units=len(brought),
        logged=float(brought.mean()),
        support=support(log, target, by_episode),
        estimates=tuple(found),
        logged_bounded=float(np.clip(brought, -MOST_USD, MOST_USD).mean()),
    )


def _snips(paid: Floats, whole: Floats, once: bool, alpha: float) -> Estimate:
    """Weighted rewards over weights; ``whole`` has a mean of 1."""
    value = float(paid.sum() / whole.sum()) if whole.sum() > 0.0 else float("nan")
    low = high = float("nan")
    if once and len(paid) > 1 and whole.sum() > 0.0:
        low, high = single_look((paid - value * whole) / whole.mean() + value, alpha)
    return Estimate("snips", value, low, high, False)


def _products(weights: Floats, episodes: np.ndarray) -> Floats:
    """The product of each episode's weights, in the order in which episodes began."""
    _, first, place = np.unique(episodes, return_index=True, return_inverse=True)
    out = np.ones(len(first))
    np.multiply.at(out, place, weights)
    return out[np.argsort(first)]


def _units(values: Floats, episodes: np.ndarray) -> Floats:
    """Sums by episode, in the order in which episodes began."""
    _, first, place = np.unique(episodes, return_index=True, return_inverse=True)
    sums: Floats = np.bincount(place, values).astype(np.float64)
    return sums[np.argsort(first)]
