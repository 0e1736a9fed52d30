"""What every bandit policy is: scores and exact choice probabilities for many contexts, learning by single rewards.

Layout. Contexts are ``x[features, n]`` and everything per arm is ``[arms, n]`` (float64). A column's result never
depends on the other columns, to the last bit: a decision must not depend on how the stream was cut into
batches. Arithmetic across arms or features therefore lives in :mod:`mevflow.operators.learn.kernels`.

A policy is a probability distribution per context. The arm is drawn from it with a seed that comes from the
decision's id (:func:`mevflow.operators.learn.kernels.draw`), so a replay draws the same arm and the logged propensity
is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import Bools, Floats, Ints, with_floor

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

    def update(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        """Learn, one after another, that ``arms[i]``, chosen for ``x[i, features]``, brought ``rewards[i]``."""
        self.learn(x, arms, rewards, propensities)
        self.updates += len(arms)

    def judge(self, x: Floats, eligible: Bools) -> tuple[Floats, Floats]:
        """Scores, and the preference (a distribution over eligible arms) before the exploration floor."""
        raise NotImplementedError

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        """Take rewards into the policy's arrays, with the result that one call for each would have."""
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
