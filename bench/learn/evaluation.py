"""Off-policy evaluation on Open Bandit Data beside obp's published values, and intervals looked at many times."""

from __future__ import annotations

from typing import Any

import numpy as np

from mevflow.bench.learn.openbandit import bernoulli_ts, load
from mevflow.bench.learn.setting import figure
from mevflow.learning.evaluation.estimators import doubly_robust, effective, snips
from mevflow.learning.evaluation.log import Log
from mevflow.learning.evaluation.rewards import expected_rewards
from mevflow.learning.evaluation.sequences import confidence_sequence, single_look

#: SNIPS of the uniform policy and effective sample size from the logs of Bernoulli TS.
PUBLISHED = {"all": (0.00233, 340), "men": (0.00319, 656), "women": (0.00237, 2)}
_OBP = 1.198126


def figures() -> list[dict[str, Any]]:
    """Values beside the published ones (ratio 1 is equal), and how often intervals miss."""
    found = []
    for campaign, (value, ess) in PUBLISHED.items():
        log = load("bts", campaign)
        weights = log.uniform_weights()
        found.append(
            figure(f"Open Bandit {campaign}: SNIPS of uniform", snips(weights, log.click), "", f"{value}", value)
        )
        found.append(figure(f"Open Bandit {campaign}: effective", effective(weights), "impressions", f"{ess}", ess))
    found.append(
        figure("Bernoulli TS from random, part of the logged value", relative_value(), "", f"obp {_OBP}", _OBP)
    )
    missed, narrower = misses(400)
    found += [
        figure(
            "interval that holds at any look: missed at one of 50",
            missed["sequence"],
            "of runs",
            "aim of .05",
            0.05,
            True,
        ),
        figure(
            "normal interval: missed at one of 50 looks", missed["normal"], "of runs", "the sequence above", 0.05, True
        ),
        figure("width at n = 5,000", narrower, "normal / sequence", "", 0.0),
        figure("DR with a single look: covered at n = 5,000", coverage(200), "of runs", "aim of .93", 0.93),
    ]
    return found


def relative_value() -> float:
    """Bernoulli TS evaluated from the random logger, over the clicks of the logger."""
    log = load("random", "all")
    chances = bernoulli_ts()
    return float((chances[log.item, log.position] / log.propensity * log.click).mean() / log.click.mean())


def made_up(seed: int, count: int = 5_000) -> tuple[Log, np.ndarray, float]:
    """A log with known truth: four arms, logged by a skewed policy; the target, and its true value."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(count), rng.normal(size=(count, 2))])
    effect = np.array([[0.1, 0.1, 0.0], [0.2, -0.2, 0.1], [0.0, 0.0, 0.2], [0.15, 0.1, -0.1]])
    logits = x @ (2.0 * effect.T) + np.array([1.0, 0.0, -1.0, 0.0])
    logger = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) * 0.9 + 0.025
    target = np.exp(-logits) / np.exp(-logits).sum(axis=1, keepdims=True)
    means = 0.5 + x @ effect.T
    arms = (logger.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    rewards = (rng.random(count) < np.clip(means[np.arange(count), arms], 0.0, 1.0)) * 1.0
    log = Log(x, logger, arms, rewards, np.arange(count))
    return log, target, _truth()


_TRUTH: list[float] = []


def _truth() -> float:
    if not _TRUTH:
        rng = np.random.default_rng(99)
        x = np.column_stack([np.ones(2_000_000), rng.normal(size=(2_000_000, 2))])
        effect = np.array([[0.1, 0.1, 0.0], [0.2, -0.2, 0.1], [0.0, 0.0, 0.2], [0.15, 0.1, -0.1]])
        logits = -(x @ (2.0 * effect.T) + np.array([1.0, 0.0, -1.0, 0.0]))
        target = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        _TRUTH.append(float((target * np.clip(0.5 + x @ effect.T, 0.0, 1.0)).sum(axis=1).mean()))
    return _TRUTH[0]


def misses(runs: int) -> tuple[dict[str, float], float]:
    """In what part of runs an interval misses the truth at one of 50 looks, n = 100 … 5,000; and mean width ratio."""
    missed = {"sequence": 0, "normal": 0}
    widths = []
    for seed in range(runs):
        log, target, truth = made_up(seed)
        values = np.minimum(log.weights(target), 30.0) * log.rewards
        lower, upper = confidence_sequence(values, 0.0, 30.0)
        looks = np.arange(100, 5_001, 100)
        missed["sequence"] += bool(((lower[looks - 1] > truth) | (upper[looks - 1] < truth)).any())
        normal = [single_look(values[:look]) for look in looks.tolist()]
        missed["normal"] += any(low > truth or high < truth for low, high in normal)
        widths.append((normal[-1][1] - normal[-1][0]) / (upper[-1] - lower[-1]))
    return {name: count / runs for name, count in missed.items()}, float(np.mean(widths))


def coverage(runs: int) -> float:
    """In what part of runs the normal interval of cross-fitted DR holds the truth, at one look."""
    held = 0
    for seed in range(1_000, 1_000 + runs):
        log, target, truth = made_up(seed)
        model = expected_rewards(log)
        logged = model[np.arange(len(log)), log.arms]
        low, high = single_look(doubly_robust(log.weights(target), log.rewards, (target * model).sum(axis=1), logged))
        held += low <= truth <= high
    return held / runs
