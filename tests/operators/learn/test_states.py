"""What is no learned state is refused before it decides anything; what is one fits arm by arm."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.errors import StateError
from mevflow.operators.learn import POLICIES, SPECIAL, Policy, make_policy
from mevflow.operators.learn.exp3 import Exp3
from mevflow.operators.learn.kernels import proper
from mevflow.operators.learn.linucb import LinUcb
from mevflow.operators.learn.probe import probe
from mevflow.operators.learn.state import PolicyState, pack
from mevflow.operators.learn.window import WindowThompson
from tests.operators.learn.test_policies import FEATURES, contexts, taught

EVERY = pytest.mark.parametrize("name", [*POLICIES, *SPECIAL])
NAMES = ("0.1", "0.5", "0.9", "skip")


def named(name: str, arms: tuple[str, ...] = NAMES, **options: float) -> Policy:
    return make_policy(name, len(arms), FEATURES, 0.1, options, arm_names=arms)


def learned(name: str) -> Policy:
    """A named policy after 200 rewards."""
    policy = named(name)
    policy.restore(_renamed(taught(name).snapshot(), NAMES))
    return policy


def _renamed(state: bytes, names: tuple[str, ...]) -> bytes:
    saved = msgspec.msgpack.decode(state, type=PolicyState)
    return msgspec.msgpack.encode(msgspec.structs.replace(saved, arms=list(names)))


@EVERY
def test_what_a_policy_learned_passes_the_probe_and_stays_as_it_is(name: str) -> None:
    policy = learned(name)
    before = policy.snapshot()
    probe(policy)
    assert policy.snapshot() == before


@EVERY
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_state_is_refused_or_decides_properly(name: str, data: st.DataObject) -> None:
    """One array with one kind of damage: never an exception but StateError, never an improper distribution."""
    policy = learned(name)
    label = data.draw(st.sampled_from(policy.state_names))
    array = getattr(policy, label).copy()
    flat = array.reshape(-1)
    at = data.draw(st.integers(0, flat.size - 1))
    damage = data.draw(st.sampled_from(["zero", "nan", "inf", "huge", "negative", "all", "one"]))
    if array.dtype == np.int64:
        flat[at] = {"zero": 0, "negative": -7, "all": 1 << 60, "huge": -(1 << 62)}.get(damage, 99)
    elif damage == "all":
        flat[:] = data.draw(st.sampled_from([0.0, 1e308, -1e308, np.nan]))
    elif damage == "negative":
        flat[:] = -flat
    else:
        flat[at] = {"zero": 0.0, "nan": np.nan, "inf": np.inf, "huge": 1e308, "one": -1e12}[damage]
    saved = msgspec.msgpack.decode(policy.snapshot(), type=PolicyState)
    state = msgspec.msgpack.encode(msgspec.structs.replace(saved, arrays={**saved.arrays, label: pack(array)}))
    other = named(name)
    try:
        other.restore(state)
        probe(other)
    except StateError:
        return
    x, eligible = contexts(np.random.default_rng(1), 33)
    assert proper(other.propose(x, eligible).propensities, eligible) == 33


@EVERY
@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 4_000), flip=st.integers(0, 255))
def test_broken_bytes_are_a_state_error_and_nothing_else(name: str, cut: int, flip: int) -> None:
    state = bytearray(learned(name).snapshot())
    state[cut % len(state)] ^= flip or 1
    policy = named(name)
    try:
        policy.restore(bytes(state))
        probe(policy)
    except StateError:
        pass


@pytest.mark.parametrize("updates", [-1, 1 << 62, 3])
def test_counts_that_cannot_be_are_refused(updates: int) -> None:
    saved = msgspec.msgpack.decode(learned("tip-linucb").snapshot(), type=PolicyState)
    state = msgspec.msgpack.encode(msgspec.structs.replace(saved, updates=updates))
    with pytest.raises(StateError, match=r"updates is|pulls of|beyond"):
        named("tip-linucb").restore(state)


@EVERY
def test_an_arm_added_or_retired_leaves_the_others_what_they_learned(name: str) -> None:
    before = learned(name)
    after = named(name, ("0.9", "0.7", "0.1", "skip"))
    after.restore(before.snapshot())
    for label in before.by_arm:
        old, new = getattr(before, label), getattr(after, label)
        assert np.array_equal(new[[0, 2, 3]], old[[2, 0, 3]])
        if label != "log_weights":
            assert not new[1].any()
    probe(after)


def test_a_new_arm_may_begin_with_what_another_learned() -> None:
    before = learned("tip-linucb")
    after = named("tip-linucb", ("0.1", "0.55", "skip"))
    after.restore(before.snapshot(), warm={"0.55": "0.5"})
    x, _ = contexts(np.random.default_rng(3), 5)
    assert isinstance(before, LinUcb)
    assert isinstance(after, LinUcb)
    assert after.estimates(x)[1].tobytes() == before.estimates(x)[1].tobytes()


def test_a_state_of_other_arms_altogether_is_refused() -> None:
    with pytest.raises(StateError, match="none of this policy's"):
        named("tip-linucb", ("0.2", "skip")).restore(learned("tip-linucb").snapshot())


def test_another_ridge_takes_effect_on_what_was_learned() -> None:
    """Against a policy that learned everything under that ridge."""
    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(100), rng.normal(3.0, 2.0, (100, FEATURES - 1))])
    arms, rewards = rng.integers(0, 4, 100), rng.uniform(-1, 1, 100)
    soft, hard = named("tip-linucb"), named("tip-linucb", ridge=100.0)
    for policy in (soft, hard):
        policy.update(x, arms, rewards, np.ones(100))
    changed = named("tip-linucb", ridge=100.0)
    changed.restore(soft.snapshot())
    assert isinstance(changed, LinUcb)
    assert isinstance(hard, LinUcb)
    assert isinstance(soft, LinUcb)
    assert changed.estimates(x.T).tobytes() == hard.estimates(x.T).tobytes()
    assert not np.allclose(changed.estimates(x.T), soft.estimates(x.T))


def test_contexts_are_standardised_so_no_score_runs_away() -> None:
    """A feature of the size 1,187 among ones of the size 1, before anything was learned and after."""
    rng = np.random.default_rng(7)
    policy = named("tip-linucb")
    extreme = np.array([[1.0], [1_187.0], [1.0]])
    eligible = np.ones((4, 1), np.bool_)
    for rewards in (0, 50):
        x = np.column_stack([np.ones(rewards), rng.normal(0, 300, rewards), rng.normal(size=rewards)])
        policy.update(x, rng.integers(0, 4, rewards), rng.uniform(-1, 1, rewards), np.ones(rewards))
        assert np.abs(policy.propose(extreme, eligible).scores).max() < 4.0


def test_standardised_estimates_are_ridge_regression_on_standardised_contexts() -> None:
    """Against numpy on the same data; the frame is that of the last time that it was fitted."""
    rng = np.random.default_rng(11)
    x = np.column_stack([np.ones(500), rng.normal([5.0, -2.0], [3.0, 0.1], (500, 2))])
    rewards = rng.uniform(-1, 1, 500)
    policy = LinUcb(4, FEATURES, 0.1)
    policy.update(x, np.zeros(500, np.int64), rewards, np.ones(500))
    mean, spread = policy.frame[0], policy.frame[1]
    assert np.allclose(mean[1:], [5.0, -2.0], atol=0.6)
    z = (x - mean) / spread
    expected = z @ np.linalg.solve(np.eye(3) + z.T @ z, z.T @ rewards)
    inside = (np.abs(z) <= 4.0).all(axis=1)
    assert np.allclose(policy.estimates(x.T)[0][inside], expected[inside], atol=1e-9)


def test_the_floor_falls_as_the_schedule_says_and_the_value_is_given() -> None:
    policy = make_policy("tip-epsilon", 4, FEATURES, 0.2, {}, hold=16)
    x, eligible = contexts(np.random.default_rng(13), 3)
    for rewards, floor in ((16, 0.2), (48, 0.1)):
        policy.update(np.ones((rewards, FEATURES)), np.zeros(rewards, np.int64), np.zeros(rewards), np.ones(rewards))
        proposal = policy.propose(x, eligible)
        assert proposal.exploration == pytest.approx(floor)
        assert (
            proposal.propensities[eligible] >= (floor / eligible.sum(axis=0) * (1 - 1e-9) + 0 * eligible)[eligible]
        ).all()


@EVERY
def test_a_fixed_arm_is_preferred_where_it_is_eligible_and_the_chances_stay_exact(name: str) -> None:
    policy = learned(name)
    x, eligible = contexts(np.random.default_rng(17), 40)
    chances = policy.propose(x, eligible, fixed=1).propensities
    assert proper(chances, eligible) == 40
    best = chances.argmax(axis=0)
    assert (best == np.where(eligible[1], 1, 3)).all()


def _with(policy: Policy, **changed: object) -> bytes:
    saved = msgspec.msgpack.decode(policy.snapshot(), type=PolicyState)
    return msgspec.msgpack.encode(msgspec.structs.replace(saved, **changed))


@pytest.mark.parametrize(
    "arms", [[], ["0.1"] * 65, [str(i) for i in range(200_000)], ["0.1" * 50, "0.5", "0.9", "skip"]]
)
def test_a_state_of_more_or_longer_names_than_policies_have_is_refused_before_arrays_are_made(arms: list[str]) -> None:
    with pytest.raises(StateError, match="arms, not 1 to 64"):
        named("tip-linucb").restore(_with(learned("tip-linucb"), arms=arms))


def test_a_state_that_leaves_no_room_to_learn_is_refused() -> None:
    """It would be accepted, learn, and be refused at the next start."""
    policy = named("tip-random")
    policy.restore(_with(learned("tip-random"), updates=10**15))
    with pytest.raises(StateError, match="no room"):
        probe(policy)


def test_a_best_arm_that_is_retired_leaves_the_others_what_they_learned() -> None:
    before = named("tip-exp3")
    before.update(np.ones((50, FEATURES)), np.full(50, 1), np.ones(50), np.full(50, 0.3))
    before.update(np.ones((20, FEATURES)), np.full(20, 2), np.ones(20), np.full(20, 0.3))
    after = named("tip-exp3", ("0.1", "0.9", "0.95", "skip"))
    after.restore(before.snapshot())
    assert isinstance(after, Exp3)
    assert isinstance(before, Exp3)
    old, new = before.log_weights, after.log_weights
    assert old[1] == new[1] == new[2] == 0.0
    assert new[0] - new[1] == old[0] - old[2]


def _windowed(window: int, arms: tuple[str, ...] = NAMES) -> WindowThompson:
    policy = named("tip-thompson-window", arms, window=window)
    assert isinstance(policy, WindowThompson)
    return policy


def test_an_arm_stays_what_it_learned_where_a_new_one_is_to_begin_with_it_too() -> None:
    before = _windowed(50)
    before.update(np.ones((30, FEATURES)), np.full(30, 1), np.full(30, 0.5), np.ones(30))
    after = _windowed(50, ("0.1", "0.5", "0.55", "skip"))
    after.restore(before.snapshot(), warm={"0.55": "0.5"})
    assert after.pulls.tolist() == [0.0, 30.0, 0.0, 0.0]
    renamed = _windowed(50, ("0.1", "0.55", "skip"))
    renamed.restore(before.snapshot(), warm={"0.55": "0.5"})
    assert renamed.pulls.tolist() == [0.0, 30.0, 0.0]


@pytest.mark.parametrize(("rewards", "window"), [(35, 20), (35, 100), (150, 20), (150, 100), (150, 150), (7, 10)])
def test_another_window_keeps_the_last_rewards_and_their_corrections(rewards: int, window: int) -> None:
    """Against a policy that had that window from the beginning."""
    arms, values = np.arange(rewards) % 4, np.linspace(-1, 1, rewards)
    before, other = _windowed(50), _windowed(window)
    for policy in (before, other):
        policy.update(np.ones((rewards, FEATURES)), arms, values, np.ones(rewards))
    after = _windowed(window)
    after.restore(before.snapshot())
    probe(after)
    if window <= 50 or rewards <= 50:
        assert after.pulls.tolist() == other.pulls.tolist()
        assert after.sums == pytest.approx(other.sums, abs=1e-12)
    else:
        assert after.pulls.sum() == 50
    learned_at = rewards - 3
    context, arm, was = np.ones(FEATURES), int(arms[learned_at - 1]), float(values[learned_at - 1])
    summed = float(after.sums[arm])
    assert after.correct(context, arm, was, 0.75, 1.0, learned_at)
    assert after.sums[arm] == pytest.approx(summed - was + 0.75)
    assert not after.correct(context, (arm + 1) % 4, was, -was, 1.0, learned_at)
