"""Chances of being the best against fine numerical integration and against Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mevflow.operators.learn.betas import best_beta_probabilities, beta_below
from mevflow.operators.learn.kernels import best_probabilities

#: Spreads of arms: three orders of magnitude apart, within a factor of three, equal.
SPREADS = {"unlike": (-3.0, 0.3), "alike": (-1.0, -0.5), "equal": (-1.0, -1.0)}


@pytest.mark.parametrize("spreads", SPREADS)
@pytest.mark.parametrize("seed", range(20))
def test_normal_chances_are_right_to_a_ten_thousandth_however_unlike_the_spreads(seed: int, spreads: str) -> None:
    rng = np.random.default_rng(seed)
    arms = int(rng.integers(2, 9))
    mean, spread = rng.normal(0, 0.3 if seed % 2 else 0.01, arms), 10.0 ** rng.uniform(*SPREADS[spreads], arms)
    points = np.unique(np.concatenate([m + s * np.linspace(-9, 9, 600) for m, s in zip(mean, spread, strict=True)]))
    below = stats.norm.cdf(points, mean[:, None], spread[:, None])
    density = stats.norm.pdf(points, mean[:, None], spread[:, None])
    expected = np.array(
        [np.trapezoid(density[k] * np.delete(below, k, axis=0).prod(axis=0), points) for k in range(arms)]
    )
    found = best_probabilities(mean[:, None], spread[:, None], np.ones((arms, 1), np.bool_))[:, 0]
    assert np.abs(found - expected).max() < 1e-4


def test_the_incomplete_beta_function_is_scipys() -> None:
    rng = np.random.default_rng(1)
    for a, b, v in zip(10 ** rng.uniform(0, 4, 300), 10 ** rng.uniform(0, 4, 300), rng.random(300), strict=True):
        assert beta_below(a, b, v) == pytest.approx(stats.beta.cdf(v, a, b), abs=1e-9)


def test_beta_chances_are_those_of_samples() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        a, b = 10 ** rng.uniform(0, 3, 5), 10 ** rng.uniform(0, 3, 5)
        samples = rng.beta(a[:, None], b[:, None], (5, 100_000)).argmax(axis=0)
        found = best_beta_probabilities(a, b, np.ones((5, 1), np.bool_))[:, 0]
        assert np.abs(found - np.bincount(samples, minlength=5) / 100_000).max() < 0.008
