"""What every bandit policy is: scores and exact choice probabilities for many contexts, learning by single rewards.

Layout. Contexts are ``x[features, n]`` and everything per arm is ``[arms, n]`` (float64), so that each step is
an elementwise operation over rows. That is on purpose: a matrix product may round differently for another
number of rows, and a decision must not depend on how the stream was cut into batches.

A policy is a probability distribution per context. The arm is drawn from it with a seed that comes from the
decision's id (:func:`draw`), so a replay draws the same arm and the logged propensity is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from operators.errors import StateError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Seeds = npt.NDArray[np.uint64]

#: Version of a policy's snapshot.
SNAPSHOT_VERSION = 1


class Array(msgspec.Struct, frozen=True):
    """A numpy array in a snapshot."""

    dtype: str
    shape: list[int]
    data: bytes


class PolicyState(msgspec.Struct, frozen=True):
    """All that a policy has learned."""

    version: int
    name: str
    arms: int
    features: int
    updates: int
    arrays: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Proposal:
    """``scores[arms, n]``: what the policy thinks of an arm; ``propensities[arms, n]``: columns sum to 1."""

    scores: Floats
    propensities: Floats


class Policy:
    """Base of every policy.

    Parameters
    ----------
    arms, features : how many of each.
    exploration : the floor in (0, 1]: an eligible arm has at least ``exploration / eligible`` probability.
    options : the policy's own numbers, by name; see ``options`` of each class for names, defaults and bounds.

    Rewards are in [-1, 1]. A subclass gives ``judge`` and ``learn``, and names its arrays in ``state_names``.
    """

    name: ClassVar[str]
    #: Option -> (default, lowest, highest).
    options: ClassVar[dict[str, tuple[float, float, float]]] = {}
    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, arms: int, features: int, exploration: float, **options: float) -> None:
        self.arms = arms
        self.features = features
        self.exploration = exploration
        #: Rewards learned so far; a decision logs it as its model version.
        self.updates = 0
        self.option = {key: default for key, (default, _, _) in self.options.items()} | options

    def propose(self, x: Floats, eligible: Bools) -> Proposal:
        """Decide on contexts ``x[features, n]`` with ``eligible[arms, n]`` (one arm at least in every column)."""
        scores, preference = self.judge(x, eligible)
        return Proposal(scores, with_floor(preference, eligible, self.exploration))

    def update(self, x: Floats, arm: int, reward: float, propensity: float) -> None:
        """Learn that ``arm``, chosen for ``x[features]`` with ``propensity``, brought ``reward`` in [-1, 1]."""
        self.learn(x, arm, reward, propensity)
        self.updates += 1

    def judge(self, x: Floats, eligible: Bools) -> tuple[Floats, Floats]:
        """Scores, and the preference (a distribution over eligible arms) before the exploration floor."""
        raise NotImplementedError

    def learn(self, x: Floats, arm: int, reward: float, propensity: float) -> None:
        """Take one reward into the policy's arrays."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Recompute what follows from the arrays; called after a restore."""

    def snapshot(self) -> bytes:
        """Everything learned, as msgpack."""
        arrays = {}
        for name in self.state_names:
            array: npt.NDArray[Any] = getattr(self, name)
            arrays[name] = Array(array.dtype.str, list(array.shape), array.tobytes())
        return msgspec.msgpack.encode(
            PolicyState(SNAPSHOT_VERSION, self.name, self.arms, self.features, self.updates, arrays)
        )

    def restore(self, state: bytes) -> None:
        """Take a snapshot. Raises StateError when it is of another policy, shape or version."""
        try:
            saved = msgspec.msgpack.decode(state, type=PolicyState)
        except msgspec.DecodeError as error:
            raise StateError(f"the policy snapshot is unreadable: {error}", key=self.name) from None
        have = (SNAPSHOT_VERSION, self.name, self.arms, self.features)
        if (saved.version, saved.name, saved.arms, saved.features) != have:
            raise StateError(
                f"the snapshot is of {saved.name} v{saved.version} with {saved.arms} arms and "
                f"{saved.features} features, not of {self.name} v{SNAPSHOT_VERSION} with "
                f"{self.arms} and {self.features}",
                hint="start with fresh state, or go back to the earlier policy",
            )
        for name in self.state_names:
            array = saved.arrays[name]
            setattr(self, name, np.frombuffer(array.data, array.dtype).reshape(array.shape).copy())
        self.updates = saved.updates
        self.refresh()


def with_floor(preference: Floats, eligible: Bools, exploration: float) -> Floats:
    """Mix a preference with the uniform distribution over eligible arms, and make columns sum to 1."""
    mixed = eligible * (exploration / column_sum(eligible.astype(np.float64))) + preference * (1.0 - exploration)
    return mixed / column_sum(mixed)


def column_sum(values: Floats) -> Floats:
    """Sum over arms, added in arm order whatever the number of columns."""
    total = values[0].copy()
    for row in values[1:]:
        total += row
    return total


def combine(weights: Floats, x: Floats) -> Floats:
    """``weights[arms, features] @ x[features, n]`` in a fixed order of additions."""
    total = weights[:, :1] * x[0]
    for feature in range(1, x.shape[0]):
        total += weights[:, feature : feature + 1] * x[feature]
    return total


def greedy(scores: Floats, eligible: Bools) -> Floats:
    """All of the preference on the best eligible arm; the first of equals."""
    best = np.where(eligible, scores, -np.inf).argmax(axis=0)
    preference = np.zeros_like(scores)
    preference[best, np.arange(scores.shape[1])] = 1.0
    return preference


def uniforms(seeds: Seeds) -> Floats:
    """A number in [0, 1) from each 64-bit seed (SplitMix64's output function; Steele, Lea and Flood 2014)."""
    z = seeds + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(propensities: Floats, seeds: Seeds) -> Ints:
    """The arm of each column by inversion: the first whose cumulative probability exceeds its uniform."""
    u = uniforms(seeds)
    arms, n = propensities.shape
    cumulative = np.zeros(n)
    chosen = np.full(n, -1, np.int64)
    last = np.zeros(n, np.int64)
    for arm in range(arms):
        cumulative += propensities[arm]
        possible = propensities[arm] > 0.0
        last[possible] = arm
        chosen[(chosen < 0) & possible & (u < cumulative)] = arm
    # Rounding may leave the sum a hair below 1 and u above it.
    return np.where(chosen < 0, last, chosen)
