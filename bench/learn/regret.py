"""Regret on Bernoulli arms that stay and on arms that move, at the stage's defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

from mevflow.bench.learn.setting import default_policy, figure
from mevflow.operators.learn import draw

#: Chances of success: C = sum of gap / KL gives C ln T = 128 at T = 10,000.
BERNOULLI = (0.6, 0.5, 0.5, 0.4, 0.3)
_ROUNDS, _DRIFT_ROUNDS, _SEEDS = 10_000, 8_000, 10


def figures() -> list[dict[str, Any]]:
    """Regret of each policy, averaged over seeds."""
    still = np.repeat(np.array(BERNOULLI)[None], _ROUNDS, axis=0)
    found = []
    for name, bar in (("tip-thompson", 128), ("tip-lints", 128), ("tip-squarecb", 160), ("tip-linucb", 128)):
        value = mean_regret(name, still)
        found.append(
            figure(f"Bernoulli regret at {_ROUNDS:,}, {name}", value, "reward", f"aim of {bar}", bar, lower=True)
        )
    moving = drifting()
    forgets = {name: mean_regret(name, moving) for name in ("tip-thompson-discounted", "tip-thompson-window")}
    never = mean_regret("tip-thompson", moving)
    for name, value in forgets.items():
        found.append(
            figure(f"drifting regret at {_DRIFT_ROUNDS:,}, {name}", value, "reward", "aim of 400", 400, lower=True)
        )
        found.append(
            figure(f"drifting regret, {name}", value, "reward", f"tip-thompson {never:.0f}", never, lower=True)
        )
    return found


def drifting() -> np.ndarray:
    """Chances ``[round, arm]`` of four arms whose best one changes every 2,000 rounds, from .7 to .3 and back."""
    chances = np.full((_DRIFT_ROUNDS, 4), 0.3)
    for stretch in range(4):
        chances[stretch * 2_000 : (stretch + 1) * 2_000, stretch] = 0.7
    return chances


def mean_regret(name: str, chances: np.ndarray, seeds: int = _SEEDS, **options: float) -> float:
    """Regret against always the best arm of the round."""
    return float(np.mean([_regret(name, chances, seed, options) for seed in range(seeds)]))


def _regret(name: str, chances: np.ndarray, seed: int, options: dict[str, float]) -> float:
    rounds, arms = len(chances), chances.shape[1]
    policy = default_policy(name, arms, 1, **options)
    rng = np.random.default_rng(seed)
    wins = rng.random((rounds, arms)) < chances
    seeds = rng.integers(0, 1 << 63, rounds).astype(np.uint64)
    x, eligible, context = np.ones((1, 1)), np.ones((arms, 1), np.bool_), np.ones((1, 1))
    lost = 0.0
    best: np.ndarray = chances.max(axis=1)
    for i in range(rounds):
        propensities = policy.propose(x, eligible).propensities
        arm = draw(propensities, seeds[i : i + 1])
        policy.update(context, arm, np.array([float(wins[i, arm[0]])]), propensities[arm, 0])
        lost += best[i] - chances[i, arm[0]]
    return lost
