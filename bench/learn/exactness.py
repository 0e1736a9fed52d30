"""Are chances what they are said to be? The quadrature against fine integration, draws against propensities."""

from __future__ import annotations

from typing import Any

import numpy as np

from mevflow.bench.learn.setting import default_policy, figure
from mevflow.operators.learn import POLICIES, draw
from mevflow.operators.learn.kernels import best_probabilities

_DRAWS = 200_000


def figures() -> list[dict[str, Any]]:
    """The largest error over 200 sets of posteriors, and the largest |z| of 200,000 draws a policy."""
    rng = np.random.default_rng(0)
    worst = max(_error(rng) for _ in range(200))
    z = max(_largest_z(name) for name in POLICIES)
    return [
        figure("Thompson quadrature, largest error", worst, "probability", "aim of .002", 0.002, lower=True),
        figure(f"draws of {len(POLICIES)} policies, largest z", z, "sigma", "4 for so many arms", 4.0, lower=True),
    ]


def _error(rng: np.random.Generator) -> float:
    from scipy.stats import norm

    arms = int(rng.integers(2, 9))
    mean, spread = rng.normal(0.0, 0.3, arms), 10.0 ** rng.uniform(-3.0, 0.3, arms)
    points = np.unique(np.concatenate([m + s * np.linspace(-9, 9, 400) for m, s in zip(mean, spread, strict=True)]))
    below, density = norm.cdf(points, mean[:, None], spread[:, None]), norm.pdf(points, mean[:, None], spread[:, None])
    others = [np.delete(below, k, axis=0).prod(axis=0) for k in range(arms)]
    exact = np.array([np.trapezoid(density[k] * others[k], points) for k in range(arms)])
    found = best_probabilities(mean[:, None], spread[:, None], np.ones((arms, 1), np.bool_))[:, 0]
    return float(np.abs(found - exact).max())


def _largest_z(name: str) -> float:
    """Over changing contexts and masks: counts of each arm against the sum of its propensities."""
    rng = np.random.default_rng(1)
    arms, features = 5, 4
    policy = default_policy(name, arms, features)
    x = rng.normal(size=(200, features))
    x[:, 0] = 1.0
    policy.update(x, rng.integers(0, arms, 200), rng.uniform(-1, 1, 200), np.full(200, 0.2))
    contexts = rng.normal(size=(features, _DRAWS))
    contexts[0] = 1.0
    eligible = rng.random((arms, _DRAWS)) < 0.7
    eligible[-1] = True
    chances = policy.propose(contexts, eligible).propensities
    drawn = np.bincount(draw(chances, rng.integers(0, 1 << 63, _DRAWS).astype(np.uint64)), minlength=arms)
    sigma = np.sqrt((chances * (1.0 - chances)).sum(axis=1))
    return float(np.abs((drawn - chances.sum(axis=1)) / sigma).max())
