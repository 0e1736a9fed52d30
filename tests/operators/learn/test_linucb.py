"""LinUCB looks at what its estimates may be wrong by: as much as rewards scatter, and more where it has not looked."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from mevflow.operators.errors import StateError
from mevflow.operators.learn import draw, make_policy
from mevflow.operators.learn.linucb import LinUcb
from mevflow.operators.learn.state import PolicyState, decode, pack

FEATURES, ARMS = 3, 4


def fresh() -> LinUcb:
    return LinUcb(ARMS, FEATURES, 0.05)


def taught(rewards: float = 1.0, count: int = 200) -> LinUcb:
    """A policy that has seen ``count`` rewards of that size, of either sign."""
    rng = np.random.default_rng(3)
    policy = fresh()
    x = np.column_stack([np.ones(count), rng.normal(size=(count, FEATURES - 1))])
    arms = rng.choice(ARMS, count, p=(0.6, 0.25, 0.1, 0.05))
    policy.update(x, arms, rewards * np.where(rng.random(count) < 0.5, 1.0, -1.0), np.ones(count))
    return policy


def test_the_width_is_that_of_the_index_by_the_noise_that_is_left() -> None:
    policy = taught()
    x, every = np.array([[1.0], [0.3], [-0.8]]), np.ones((ARMS, 1), np.bool_)
    judged = policy.judge(x, every)
    frame, pulls = policy.frame, policy.pulls
    to_frame = np.diag(1.0 / frame[1])
    to_frame[1:, 0] = -frame[0, 1:] / frame[1, 1:]
    z, left = to_frame @ x[:, 0], 4.0 * 0.25
    deviations = np.empty(ARMS)
    for arm in range(ARMS):
        a = np.eye(FEATURES) + to_frame @ policy.gram[arm] @ to_frame.T
        b = to_frame @ policy.moment[arm]
        left += policy.squares[arm] - b @ np.linalg.solve(a, b)
        deviations[arm] = np.sqrt(z @ np.linalg.solve(a, z))
    noise = np.sqrt(left / (4.0 + pulls.sum()))
    width = 0.7 * noise * np.sqrt(2.0 * np.log(1.0 + pulls.sum() / (pulls + 1.0)))
    assert np.allclose(judged.scores[:, 0] - judged.expected[:, 0], width * deviations, rtol=1e-9)


def test_rewards_that_scatter_little_are_explored_little() -> None:
    x, every = np.array([[1.0], [0.0], [0.0]]), np.ones((ARMS, 1), np.bool_)
    loud, quiet = (taught(size).judge(x, every) for size in (1.0, 0.01))
    assert ((quiet.scores - quiet.expected) < 0.25 * (loud.scores - loud.expected)).all()


def test_an_arm_that_lost_at_first_is_looked_at_again() -> None:
    """Regret of a width that the index says is enough; staying with the second best arm would cost 300."""
    chances = np.array([0.6, 0.5, 0.5, 0.4, 0.3])
    assert max(_regret(chances, seed) for seed in range(200, 206)) < 100.0


def _regret(chances: np.ndarray, seed: int, rounds: int = 3_000) -> float:
    rng = np.random.default_rng(seed)
    policy = make_policy("tip-linucb", len(chances), 1, 0.05, {"width": 1.0}, 4)
    wins = (rng.random((rounds, len(chances))) < chances) * 1.0
    seeds = rng.integers(0, 1 << 63, rounds).astype(np.uint64)
    one, every, lost = np.ones((1, 1)), np.ones((len(chances), 1), np.bool_), 0.0
    for i in range(rounds):
        odds = policy.propose(one, every).propensities
        arm = draw(odds, seeds[i : i + 1])
        policy.update(one, arm, wins[i, arm], odds[arm, 0])
        lost += chances.max() - chances[arm[0]]
    return lost


def test_a_state_of_a_release_that_counted_no_squares_is_taken_on() -> None:
    policy = taught()
    saved = decode(policy.snapshot(), policy.name)
    old = {label: array for label, array in saved.arrays.items() if label != "squares"}
    other = fresh()
    other.restore(msgspec.msgpack.encode(msgspec.structs.replace(saved, arrays=old)))
    assert (other.moment == policy.moment).all()
    assert (other.squares <= other.pulls).all()
    means = policy.moment[:, 0] / policy.pulls
    assert np.allclose(other.squares, np.minimum(1.0, 0.25 + means**2) * policy.pulls)


@pytest.mark.parametrize("factor", [-1.0, 2.0, np.inf, np.nan])
def test_squares_that_no_rewards_make_are_refused(factor: float) -> None:
    policy = taught()
    saved: PolicyState = decode(policy.snapshot(), policy.name)
    arrays = {**saved.arrays, "squares": pack(policy.squares * factor)}
    other = fresh()
    with pytest.raises(StateError):
        other.restore(msgspec.msgpack.encode(msgspec.structs.replace(saved, arrays=arrays)))


def test_a_correction_takes_back_its_square() -> None:
    policy, right = fresh(), fresh()
    x, one = np.array([[1.0, 0.5, -0.5]]), np.ones(1)
    policy.update(x, np.array([1]), np.array([0.5]), one)
    assert policy.correct(x[0], 1, 0.5, -0.25, 1.0, 1)
    right.update(x, np.array([1]), np.array([-0.25]), one)
    assert (policy.squares == right.squares).all()
    assert (policy.moment == right.moment).all()
