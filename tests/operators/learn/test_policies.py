"""What policies learn and how they draw; their contract is in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.errors import UsageError
from mevflow.operators.learn import POLICIES, Policy, draw, make_policy
from mevflow.operators.learn.kernels import uniforms
from mevflow.operators.learn.linucb import LinUcb

ARMS, FEATURES, FLOOR = 4, 3, 0.1
EVERY = pytest.mark.parametrize("name", POLICIES)


def fresh(name: str) -> Policy:
    return make_policy(name, ARMS, FEATURES, FLOOR, {})


def contexts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Random contexts and sets of eligible arms; the last arm always is."""
    eligible = rng.random((ARMS, n)) < 0.7
    eligible[-1] = True
    return np.vstack([np.ones(n), rng.normal(size=(FEATURES - 1, n))]), eligible


def teach(policy: Policy, x: np.ndarray, arm: int, reward: float, propensity: float) -> None:
    """One reward for the first context of ``x[features, n]``."""
    policy.update(np.ascontiguousarray(x[:, :1].T), np.array([arm]), np.array([reward]), np.array([propensity]))


def taught(name: str, rewards: int = 200, seed: int = 3) -> Policy:
    """A policy after some rewards."""
    rng = np.random.default_rng(seed)
    policy = fresh(name)
    for _ in range(rewards):
        x, eligible = contexts(rng, 1)
        chances = policy.propose(x, eligible).propensities
        arm = int(draw(chances, rng.integers(0, 1 << 63, 1).astype(np.uint64))[0])
        teach(policy, x, arm, float(np.clip(rng.normal(0.2 * arm, 0.2), -1, 1)), float(chances[arm, 0]))
    return policy


@EVERY
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_propensities_are_a_distribution_over_eligible_arms_above_the_floor(name: str, seed: int) -> None:
    x, eligible = contexts(np.random.default_rng(seed), 17)
    for policy in (fresh(name), taught(name, 40, seed)):
        chances = policy.propose(x, eligible).propensities
        assert np.allclose(chances.sum(axis=0), 1.0, atol=1e-12)
        assert (chances[~eligible] == 0.0).all()
        floor = np.broadcast_to(FLOOR / eligible.sum(axis=0), chances.shape)
        assert (chances[eligible] >= floor[eligible] * (1 - 1e-12)).all()


def test_linear_estimates_are_those_of_ridge_regression() -> None:
    """Against numpy's solver on the same data."""
    rng = np.random.default_rng(23)
    x, rewards = rng.normal(size=(200, FEATURES)), rng.uniform(-1, 1, 200)
    policy = LinUcb(ARMS, FEATURES, FLOOR)
    policy.update(x, np.zeros(200, np.int64), rewards, np.ones(200))
    gram = np.eye(FEATURES) + x.T @ x
    probe = rng.normal(size=(FEATURES, 5))
    assert np.allclose(policy.estimates(probe)[0], np.linalg.solve(gram, x.T @ rewards) @ probe)
    widths = np.sqrt(np.einsum("fn,fg,gn->n", probe, np.linalg.inv(gram), probe))
    assert np.allclose(policy.estimates_and_deviations(probe)[1][0], widths)


@EVERY
def test_it_learns_the_better_arm(name: str) -> None:
    """One arm pays 0.6 on average and the others 0: after some rewards it is the likeliest."""
    rng = np.random.default_rng(11)
    policy = fresh(name)
    x, eligible = np.ones((FEATURES, 1)), np.ones((ARMS, 1), np.bool_)
    for _ in range(600):
        chances = policy.propose(x, eligible).propensities
        arm = int(draw(chances, rng.integers(0, 1 << 63, 1).astype(np.uint64))[0])
        reward = float(np.clip(rng.normal(0.6 if arm == 2 else 0.0, 0.1), -1, 1))
        teach(policy, x, arm, reward, float(chances[arm, 0]))
    chances = policy.propose(x, eligible).propensities[:, 0]
    assert chances.argmax() == 2
    assert chances[2] > 0.5


@pytest.mark.parametrize("name", ["tip-linucb", "tip-lints", "tip-squarecb"])
def test_linear_policies_learn_what_depends_on_the_context(name: str) -> None:
    rng = np.random.default_rng(13)
    policy = fresh(name)
    eligible = np.ones((ARMS, 1), np.bool_)
    for _ in range(800):
        x = np.array([[1.0], [rng.choice([-1.0, 1.0])], [0.0]])
        chances = policy.propose(x, eligible).propensities
        arm = int(draw(chances, rng.integers(0, 1 << 63, 1).astype(np.uint64))[0])
        reward = 0.5 * x[1, 0] if arm == 0 else -0.5 * x[1, 0] if arm == 1 else 0.0
        teach(policy, x, arm, reward, float(chances[arm, 0]))
    for side, best in ((1.0, 0), (-1.0, 1)):
        chances = policy.propose(np.array([[1.0], [side], [0.0]]), eligible).propensities[:, 0]
        assert chances.argmax() == best


@pytest.mark.parametrize("name", ["tip-thompson", "tip-lints"])
def test_thompson_propensities_are_near_those_of_sampled_posteriors(name: str) -> None:
    """The quadrature against plain Monte Carlo over the same normal posteriors."""
    from mevflow.operators.learn.kernels import best_probabilities

    rng = np.random.default_rng(17)
    means, spreads = rng.normal(0, 0.3, (ARMS, 1)), rng.uniform(0.1, 0.4, (ARMS, 1))
    samples = rng.normal(means, spreads, (ARMS, 200_000)).argmax(axis=0)
    expected = np.bincount(samples, minlength=ARMS) / 200_000
    found = best_probabilities(means, spreads, np.ones((ARMS, 1), np.bool_))[:, 0]
    assert np.abs(found - expected).max() < 0.005


def test_draws_follow_the_propensities() -> None:
    chances = np.array([0.05, 0.0, 0.6, 0.35])
    seeds = np.random.default_rng(19).integers(0, 1 << 63, 200_000).astype(np.uint64)
    arms = draw(np.repeat(chances[:, None], len(seeds), axis=1), seeds)
    assert np.abs(np.bincount(arms, minlength=4) / len(seeds) - chances).max() < 0.005
    assert 1 not in arms


def test_uniforms_are_those_of_splitmix64() -> None:
    """First outputs of SplitMix64 for seed 1234567, as its reference implementation gives them."""
    gamma, seed = 0x9E3779B97F4A7C15, 1234567
    states = np.array([(seed + i * gamma) % (1 << 64) for i in range(3)], np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert uniforms(states).tolist() == [(value >> 11) * 2.0**-53 for value in expected]


@pytest.mark.parametrize(
    ("name", "floor", "options", "says"),
    [
        ("tip-linusb", 0.1, {}, "unknown policy"),
        ("tip-linucb", 0.0, {}, r"exploration 0.0 is not in \(0, 1\]"),
        ("tip-linucb", 0.1, {"widht": 1.0}, "no option 'widht'"),
        ("tip-linucb", 0.1, {"width": -1.0}, "not in"),
        ("tip-linucb", 0.1, {"width": float("nan")}, "not in"),
    ],
)
def test_what_is_out_of_bounds_is_refused(name: str, floor: float, options: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_policy(name, ARMS, FEATURES, floor, options)
