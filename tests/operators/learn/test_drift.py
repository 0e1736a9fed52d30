"""The detector gives the alarms of river's PageHinkley, survives a snapshot and is quiet on noise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import PageHinkley as Rivers

from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.learn import draw, make_policy
from mevflow.operators.learn.drift import PageHinkley, ResidualDrift

THRESHOLD = BanditSettings().drift_threshold


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32), threshold=st.floats(0.5, 20))
def test_alarms_are_those_of_river(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(np.concatenate([rng.normal(m, 0.3, 150) for m in rng.uniform(-0.7, 0.7, 4)]), -1, 1)
    ours, theirs = PageHinkley(), Rivers(threshold=threshold, delta=0.005)
    for value in values.tolist():
        theirs.update(value)
        assert ours.update(value, threshold) == theirs.drift_detected
        ours = msgspec.msgpack.decode(msgspec.msgpack.encode(ours), type=PageHinkley)


def test_noise_is_no_drift_and_a_step_is_one() -> None:
    rng = np.random.default_rng(5)
    detector = PageHinkley()
    assert not any(detector.update(value, 20.0) for value in rng.normal(0.2, 0.2, 2000).tolist())
    alarms = [i for i, value in enumerate(rng.normal(-0.4, 0.2, 500).tolist()) if detector.update(value, 20.0)]
    assert alarms
    assert alarms[0] < 100


ROUNDS = 100_000


def stationary() -> dict[str, np.ndarray]:
    """Five streams of rewards whose law never changes."""
    rng = np.random.default_rng(21)
    odds = rng.random(ROUNDS)
    return {
        "coin": (odds < 0.5) * 1.0,
        "won or fee": np.where(odds < 0.3, 0.75, -0.01),
        "mixed": np.clip(np.where(odds < 0.1, rng.normal(0.5, 0.3, ROUNDS), rng.choice([-0.01, 0.1], ROUNDS)), -1, 1),
        "normal": np.clip(rng.normal(0.2, 0.25, ROUNDS), -1, 1),
        "rare": (odds < 0.02) * 0.9,
    }


@pytest.mark.parametrize("name", stationary())
def test_a_stationary_market_goes_more_than_50_000_rewards_without_an_alarm(name: str) -> None:
    values = stationary()[name]
    detector, mean = ResidualDrift(), 0.0
    alarms = 0
    for i, value in enumerate(values.tolist(), 1):
        alarms += detector.update(value, mean, THRESHOLD)
        mean += (value - mean) / i
    assert alarms <= 1


def test_wins_that_fall_from_60_to_30_percent_are_seen_within_300_bids() -> None:
    for seed in range(20):
        odds = np.random.default_rng(seed).random(1_300)
        wins = np.concatenate([odds[:1_000] < 0.6, odds[1_000:] < 0.3]) * 1.0
        detector, mean, alarms = ResidualDrift(), 0.0, []
        for i, win in enumerate(wins.tolist()):
            if detector.update(win, mean, THRESHOLD):
                alarms.append(i)
            mean += (win - mean) / (i + 1)
            detector = msgspec.msgpack.decode(msgspec.msgpack.encode(detector), type=ResidualDrift)
        assert alarms
        assert alarms[0] >= 1_000


@pytest.mark.parametrize("name", ["tip-linucb", "tip-thompson", "tip-exp3", "tip-squarecb"])
def test_learning_is_no_drift(name: str) -> None:
    """Twenty runs from nothing on a market that stays as it is."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        policy, detector = make_policy(name, 6, 4, 0.05, {}, hold=4), ResidualDrift()
        weights, eligible = rng.normal(0, 0.3, (6, 4)), np.ones((6, 1), np.bool_)
        for _ in range(1_000):
            x = np.vstack([[1.0], rng.normal(size=(3, 1))])
            proposal = policy.propose(x, eligible)
            arm = draw(proposal.propensities, rng.integers(0, 1 << 63, 1).astype(np.uint64))
            chance = 1.0 / (1.0 + np.exp(-(weights[arm[0]] @ x[:, 0] + 0.5)))
            reward = 0.75 if rng.random() < chance else -0.05
            assert not detector.update(reward, float(proposal.expected[arm[0], 0]), THRESHOLD)
            policy.update(np.ascontiguousarray(x.T), arm, np.array([reward]), proposal.propensities[arm, 0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32), size=st.integers(1, 400))
def test_many_at_once_are_as_one_by_one(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    rewards, expected = np.clip(rng.normal(0.3, 0.5, size), -1, 1), rng.normal(0.0, 0.1, size)
    together, singly = ResidualDrift(), ResidualDrift()
    alarms, at = [], 0
    while (moved := together.first(rewards[at:], expected[at:], 5.0)) >= 0:
        at += moved + 1
        alarms.append(at - 1)
    pairs = enumerate(zip(rewards.tolist(), expected.tolist(), strict=True))
    assert alarms == [i for i, (reward, hope) in pairs if singly.update(reward, hope, 5.0)]
    assert together == singly
