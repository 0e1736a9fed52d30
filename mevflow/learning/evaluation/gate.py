"""Whether a log can say anything about a target policy. Judged on decisions with a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mevflow.learning.evaluation.estimators import effective
from mevflow.learning.evaluation.log import Floats, Log

#: What has to be reached.
LEAST_EFFECTIVE, LEAST_PART = 100.0, 0.05
#: The most that one decision may count for, and the least that the target's chances must be covered.
MOST_WEIGHT_PART, LEAST_COVERED, MOST_REWARD_PART = 0.1, 0.95, 0.25
#: By how many standard errors the mean weight may differ from 1.
MOST_SIGMA = 4.0

#: An arm with less chance than this is not covered by the log.
_COVERED = 1e-4

#: By how much a decision's chances may differ from 1 together.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Support:
    """What a log has to say about a target.

    ``needed`` is how many decisions more of the same kind it would take, None where these would not do.
    """

    decisions: int
    choices: int
    effective: float
    largest_weight: float
    largest_weight_part: float
    covered: float
    largest_reward_part: float
    mean_weight: float
    refusals: tuple[str, ...]
    needed: int | None

    @property
    def enough(self) -> bool:
        """Whether nothing was refused."""
        return not self.refusals


def support(log: Log, target: Floats, episodes: bool = False) -> Support:
    """Judge ``target[n, arms]``. ``episodes`` counts each episode's decisions as one."""
    choice = log.choices
    wrong = faults(log, target) or ([] if choice.any() else ["no decision had a choice"])
    if wrong:
        return _nothing(log, *wrong)
    weights = log.weights(target)[choice]
    rewards = np.abs(weights * log.rewards[choice])
    count = len(weights)
    ess = effective(_by_episode(weights, log.episodes[choice]) if episodes else weights)
    units = len(np.unique(log.episodes[choice])) if episodes else count
    covered = float(np.where(log.chances[choice] >= _COVERED, target[choice], 0.0).sum(axis=1).mean())
    total = float(weights.sum())
    part = float(weights.max()) / total if total > 0.0 else 1.0
    reward_part = float(rewards.max() / rewards.sum()) if rewards.sum() > 0.0 else 0.0
    mean = float(weights.mean())
    error = float(weights.std()) / math.sqrt(count)
    refusals = []
    if ess < LEAST_EFFECTIVE:
        refusals.append(f"worth {ess:.0f} decisions with a choice, not {LEAST_EFFECTIVE:.0f}")
    if ess < LEAST_PART * units:
        refusals.append(f"worth {ess / units:.1%} of the decisions with a choice, not {LEAST_PART:.0%}")
    if part > MOST_WEIGHT_PART:
        refusals.append(f"one decision has {part:.0%} of all weight ({weights.max():,.0f})")
    if covered < LEAST_COVERED:
        refusals.append(f"the log covers {covered:.0%} of what the target would do, not {LEAST_COVERED:.0%}")
    if reward_part > MOST_REWARD_PART:
        refusals.append(f"one decision has {reward_part:.0%} of all weighted reward")
    if abs(mean - 1.0) > MOST_SIGMA * error + 1e-9:
        refusals.append(f"the mean weight is {mean:.3f}, not 1: are the propensities those of the logger?")
    return Support(
        decisions=len(log),
        choices=count,
        effective=ess,
        largest_weight=float(weights.max()),
        largest_weight_part=part,
        covered=covered,
        largest_reward_part=reward_part,
        mean_weight=mean,
        refusals=tuple(refusals),
        needed=_needed(refusals, count, ess, part, reward_part) if refusals else 0,
    )


def faults(log: Log, target: Floats) -> list[str]:
    """What makes estimates meaningless, however large the log is; nothing is computed from such rows."""
    found = []
    if not np.isfinite(log.rewards).all():
        found.append(f"{int((~np.isfinite(log.rewards)).sum()):,} rewards are not finite")
    for whose, chances, least in (("the logged", log.chances, 1.0), ("the target's", target, 0.0)):
        # A target may take arms that the log does not know: what is covered says so. Written so that NaN fails.
        whole = chances.sum(axis=1)
        bad = ~((chances >= 0.0).all(axis=1) & (whole >= least - _ROUNDING) & (whole <= 1.0 + _ROUNDING))
        if bad.any():
            found.append(f"{whose} chances of {int(bad.sum()):,} decisions are no distribution")
    zero = int((~(log.propensities > 0.0)).sum())
    if zero:
        found.append(f"{zero:,} decisions chose an arm that had no chance")
    return found


def _nothing(log: Log, *refusals: str) -> Support:
    """Nothing can be said, and more of the same would change nothing."""
    return Support(len(log), int(log.choices.sum()), 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, refusals, None)


def _needed(refusals: list[str], count: int, ess: float, part: float, reward_part: float) -> int | None:
    """More of the same, until nothing is refused; None where more of the same would still be refused."""
    heavy = part > MOST_WEIGHT_PART  # what makes the others worth little, too
    few = heavy and any(reason.startswith("worth") and "%" in reason for reason in refusals)
    short = (ess < LEAST_EFFECTIVE, heavy, few, reward_part > MOST_REWARD_PART)
    if ess <= 0.0 or len(refusals) > sum(short):
        return None
    factor = max(LEAST_EFFECTIVE / ess, part / MOST_WEIGHT_PART, reward_part / MOST_REWARD_PART)
    return max(1, math.ceil(count * (factor - 1.0)))


def _by_episode(weights: Floats, episodes: np.ndarray) -> Floats:
    """The mean weight of each episode."""
    _, place = np.unique(episodes, return_inverse=True)
    means: Floats = np.bincount(place, weights) / np.bincount(place)
    return means
