"""The contract of a bandit policy, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mevflow.operators.learn import Policy, draw
from mevflow.operators.learn.kernels import Bools, Floats
from mevflow.testing.errors import FOREIGN_STATE, check_all, demand, refused
from mevflow.testing.memory import traced
from mevflow.testing.surroundings import changed_surroundings

_ARMS, _FEATURES, _FLOOR = 4, 3, 0.1
_SLACK_BYTES = 16 << 10


@dataclass(frozen=True)
class PolicyCase:
    """``make(arms, features, exploration)`` gives a fresh policy with the same options each time."""

    name: str
    make: Callable[[int, int, float], Policy]

    def fresh(self) -> Policy:
        """A policy of four arms and three features that has learned nothing."""
        return self.make(_ARMS, _FEATURES, _FLOOR)

    def taught(self, rewards: int = 200, seed: int = 3) -> Policy:
        """A policy after some rewards, the higher the arm the better."""
        policy = self.fresh()
        _teach(policy, rewards, np.random.default_rng(seed))
        return policy


def _contexts(rng: np.random.Generator, count: int) -> tuple[Floats, Bools]:
    """Random contexts and sets of eligible arms; the last arm always is."""
    eligible = rng.random((_ARMS, count)) < 0.7
    eligible[-1] = True
    return np.vstack([np.ones(count), rng.normal(size=(_FEATURES - 1, count))]), eligible


def _teach(policy: Policy, rewards: int, rng: np.random.Generator) -> None:
    for _ in range(rewards):
        x, eligible = _contexts(rng, 1)
        chances = policy.propose(x, eligible).propensities
        arm = int(draw(chances, rng.integers(0, 1 << 63, 1).astype(np.uint64))[0])
        reward = float(np.clip(rng.normal(0.2 * arm, 0.2), -1, 1))
        policy.update(np.ascontiguousarray(x.T), np.array([arm]), np.array([reward]), np.array([chances[arm, 0]]))


def propensities_are_a_distribution(case: PolicyCase) -> None:
    """Over eligible arms, summing to 1, none below ``exploration / eligible``, fresh or taught."""
    for seed in range(12):
        x, eligible = _contexts(np.random.default_rng(seed), 17)
        for policy in (case.fresh(), case.taught(40, seed)):
            proposal = policy.propose(x, eligible)
            chances = proposal.propensities
            demand(chances.shape == (_ARMS, 17) == proposal.scores.shape, f"shapes {chances.shape}, not [arms, n]")
            demand(bool(np.allclose(chances.sum(axis=0), 1.0, atol=1e-12)), "propensities do not sum to 1")
            demand(bool((chances[~eligible] == 0.0).all()), "an arm that is not eligible may be drawn")
            floor = np.broadcast_to(_FLOOR / eligible.sum(axis=0), chances.shape)
            demand(bool((chances[eligible] >= floor[eligible] * (1 - 1e-12)).all()), "an arm falls below the floor")


def a_row_does_not_depend_on_its_neighbours(case: PolicyCase) -> None:
    """Any cut of the contexts gives the same scores and propensities, to the last bit."""
    x, eligible = _contexts(np.random.default_rng(5), 64)
    policy = case.taught()
    whole = policy.propose(x, eligible)
    for start, stop in pairwise((0, 1, 2, 9, 40, 64)):
        part = policy.propose(x[:, start:stop], eligible[:, start:stop])
        for name in ("scores", "propensities"):
            same = getattr(part, name).tobytes() == getattr(whole, name)[:, start:stop].tobytes()
            demand(same, f"{name} of contexts {start} to {stop} depend on the others")


def rewards_together_teach_what_they_teach_one_by_one(case: PolicyCase) -> None:
    """``update`` with many rewards leaves the state of one call for each."""
    rng = np.random.default_rng(7)
    x, arms = rng.normal(size=(50, _FEATURES)), rng.integers(0, _ARMS, 50)
    rewards, chances = rng.uniform(-1, 1, 50), rng.uniform(0.1, 1, 50)
    together, single = case.fresh(), case.fresh()
    together.update(x, arms, rewards, chances)
    for i in range(50):
        single.update(x[i : i + 1], arms[i : i + 1], rewards[i : i + 1], chances[i : i + 1])
    demand(together.snapshot() == single.snapshot(), "50 rewards together teach something else than one by one")


def it_is_deterministic(case: PolicyCase) -> None:
    """Two policies agree, under another clock too, without I/O and without global random numbers."""
    known = case.taught()
    with changed_surroundings():
        other = case.taught()
    demand(known.snapshot() == other.snapshot(), "the same rewards teach two policies different things")


def a_restored_policy_goes_on(case: PolicyCase) -> None:
    """After ``restore`` it decides and learns as if nothing had happened; proposing changes nothing."""
    before, after = case.taught(), case.fresh()
    after.restore(before.snapshot())
    demand(after.updates == before.updates == 200, f"{after.updates} updates after a restore, not 200")
    x, eligible = _contexts(np.random.default_rng(9), 8)
    for policy in (before, after):
        _teach(policy, 5, np.random.default_rng(11))
    state = before.snapshot()
    same = before.propose(x, eligible).propensities.tobytes() == after.propose(x, eligible).propensities.tobytes()
    demand(same and after.snapshot() == state, "a restored policy goes on in another way")
    demand(before.snapshot() == state, "proposing changes the state")


def foreign_state_is_refused(case: PolicyCase) -> None:
    """What is no snapshot, or one of another shape, raises StateError."""
    state = case.taught(3).snapshot()
    with refused("a foreign snapshot"):
        case.fresh().restore(FOREIGN_STATE)
    with refused("half a snapshot"):
        case.fresh().restore(state[: len(state) // 2])
    with refused("a snapshot of four arms by a policy of five"):
        case.make(_ARMS + 1, _FEATURES, _FLOOR).restore(state)


def it_learns(case: PolicyCase) -> None:
    """After 2,000 rewards that grow with the arm, the best arm is drawn more often than the worst."""
    policy = case.taught(2_000, seed=13)
    x, _ = _contexts(np.random.default_rng(17), 64)
    chances = policy.propose(x, np.ones((_ARMS, 64), np.bool_)).propensities.mean(axis=1)
    demand(bool(chances[-1] > chances[0]), f"it prefers the worst arm: mean propensities {chances}")


def memory_is_bounded(case: PolicyCase) -> None:
    """Neither its snapshot nor what it holds grows with the number of rewards."""
    policy, rng = case.fresh(), np.random.default_rng(19)
    _teach(policy, 300, rng)
    size = len(policy.snapshot())
    with traced() as held:
        _teach(policy, 300, rng)
        then = held()
        _teach(policy, 1_500, rng)
        end = held()
    demand(len(policy.snapshot()) <= size + 64, f"its snapshot grows from {size:,} to {len(policy.snapshot()):,} bytes")
    demand(end <= then + _SLACK_BYTES, f"its memory grows with its rewards by {end - then:,} bytes")


POLICY_RULES: dict[str, Callable[[PolicyCase], None]] = {
    rule.__name__: rule
    for rule in (
        propensities_are_a_distribution,
        a_row_does_not_depend_on_its_neighbours,
        rewards_together_teach_what_they_teach_one_by_one,
        it_is_deterministic,
        a_restored_policy_goes_on,
        foreign_state_is_refused,
        it_learns,
        memory_is_bounded,
    )
}


def check_policy(case: PolicyCase) -> None:
    """Try every rule. Raises ContractBroken that names the first one that the policy breaks."""
    check_all(POLICY_RULES, case)
