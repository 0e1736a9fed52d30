"""What every bandit policy is: scores and exact choice probabilities for many contexts, learning by single rewards.

Layout. Contexts are ``x[features, n]`` and everything per arm is ``[arms, n]`` (float64). A column's result never
depends on the other columns, to the last bit: a decision must not depend on how the stream was cut into
batches. Arithmetic across arms or features therefore lives in compiled per-column loops
(:mod:`mevflow.operators.learn.kernels` and its neighbours).

A policy is a probability distribution per context. The arm is drawn from it with a seed that comes from the
decision's id (:func:`mevflow.operators.learn.kernels.draw`), so a replay draws the same arm and the logged propensity
is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import Bools, Floats, Ints, greedy, with_floor
from mevflow.operators.learn.state import SNAPSHOT_VERSION, PolicyState, decode, pack, unpack


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a policy thinks before the exploration floor; all ``[arms, n]``.

    ``scores`` rank arms (an estimate, maybe with a bonus), ``preference`` is a distribution over the eligible arms,
    ``expected`` the plain estimate of the reward.
    """

    scores: Floats
    preference: Floats
    expected: Floats


@dataclass(frozen=True, slots=True)
class Proposal:
    """``scores[arms, n]``: what the policy thinks of an arm; ``propensities[arms, n]``: columns sum to 1.

    ``expected[arms, n]`` is the reward that it expects, ``exploration`` the floor that was mixed in.
    """

    scores: Floats
    propensities: Floats
    expected: Floats
    exploration: float


class Policy:
    """Base of every policy.

    Parameters
    ----------
    arms, features : how many of each. Feature 0 is the constant 1.
    exploration : the floor in (0, 1]: an eligible arm has at least ``exploration / eligible`` probability.
    hold : rewards after which the floor falls as ``exploration * sqrt(hold / rewards)``; 0: it never does.
    options : the policy's own numbers, by name; see ``options`` of each class for names, defaults and bounds.

    Rewards are in [-1, 1]. A subclass gives ``judge`` and ``learn``, and names its arrays in ``state_names``; arrays
    whose first axis are the arms in ``by_arm``.
    """

    name: ClassVar[str]
    #: Option -> (default, lowest, highest).
    options: ClassVar[dict[str, tuple[float, float, float]]] = {}
    state_names: ClassVar[tuple[str, ...]] = ()
    by_arm: ClassVar[tuple[str, ...]] = ()

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        self.arms = arms
        #: Names by which a snapshot's arms are found again; without names they go by their places.
        self.arm_names: Sequence[str] = ()
        self.features = features
        self.exploration = exploration
        self.hold = hold
        #: Rewards learned so far; a decision logs it as its model version.
        self.updates = 0
        self.option = {key: default for key, (default, _, _) in self.options.items()} | options

    @property
    def floor(self) -> float:
        """The exploration floor in force: ``min(exploration, exploration * sqrt(hold / rewards))``."""
        if not self.hold or self.updates <= self.hold:
            return self.exploration
        return self.exploration * math.sqrt(self.hold / self.updates)

    def propose(self, x: Floats, eligible: Bools, fixed: int | None = None) -> Proposal:
        """Decide on contexts ``x[features, n]`` with ``eligible[arms, n]`` (one arm at least in every column).

        ``fixed`` is an arm to prefer whatever was learned; where it is not eligible, the last eligible one is.
        """
        judged = self.judge(x, eligible)
        preference = judged.preference
        if fixed is not None:
            rank = np.arange(self.arms, dtype=np.float64)
            rank[fixed] = self.arms
            preference = greedy(np.repeat(rank[:, None], x.shape[1], axis=1), eligible)
        floor = self.floor
        return Proposal(judged.scores, with_floor(preference, eligible, floor), judged.expected, floor)

    def update(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        """Learn, one after another, that ``arms[i]``, chosen for ``x[i, features]``, brought ``rewards[i]``."""
        self.learn(x, arms, rewards, propensities)
        self.updates += len(arms)

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        """Unlearn that a reward was ``was`` and learn that it was ``now``; the count of rewards stays.

        ``x[features]`` is its context, ``learned_at`` the count of rewards when it was learned. False: it cannot.
        """
        return False

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        """Scores, preference and expected rewards of every arm for every context."""
        raise NotImplementedError

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        """Take rewards into the policy's arrays, with the result that one call for each would have."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Recompute what follows from the arrays; called after a restore."""

    def renumber(self, places: dict[int, int]) -> None:
        """Arrays outside ``by_arm`` that hold numbers of arms: ``places`` gives the snapshot's arm -> the own one."""

    def check(self) -> None:
        """Raises StateError when the arrays hold what no sequence of rewards could have made."""

    def snapshot(self, chain: int = 0) -> bytes:
        """Everything learned, as msgpack."""
        arrays = {name: pack(getattr(self, name)) for name in self.state_names}
        return msgspec.msgpack.encode(
            PolicyState(SNAPSHOT_VERSION, self.name, self._names, self.features, self.updates, arrays, chain)
        )

    def restore(self, state: bytes, warm: Mapping[str, str] | None = None) -> None:
        """Take a snapshot, arm by arm by their names. Arms that it does not know keep what they have, nothing at first.

        ``warm`` names for a new arm one of the snapshot's to begin from. Raises StateError when the snapshot is of
        another policy, version or set of features, has no arm in common, or holds impossible values.
        """
        saved = decode(state, self.name)
        unlike = not self.arm_names and len(saved.arms) != self.arms
        if unlike or (saved.name, saved.features) != (self.name, self.features):
            raise StateError(
                f"the snapshot is of {saved.name} with {len(saved.arms)} arms and {saved.features} features, "
                f"not of {self.name} with {self.arms} arms and {self.features} features",
                hint="start with fresh state, or go back to the earlier policy",
            )
        places = self._places(saved, warm or {})
        shapes = type(self)(len(saved.arms), self.features, self.exploration, self.hold, **self.option)
        for name in self.state_names:
            array = unpack(saved, name, getattr(shapes, name))
            if name in self.by_arm:
                mine = getattr(self, name)
                for arm, source in places.items():
                    mine[arm] = array[source]
            else:
                setattr(self, name, array)
        # What several arms begin with belongs to the one of its name.
        names = self._names
        self.renumber(
            {
                source: arm
                for arm, source in sorted(places.items(), key=lambda place: names[place[0]] == saved.arms[place[1]])
            }
        )
        self.updates = saved.updates
        self.check()
        self.refresh()

    @property
    def _names(self) -> list[str]:
        return list(self.arm_names) or [str(arm) for arm in range(self.arms)]

    def _places(self, saved: PolicyState, warm: Mapping[str, str]) -> dict[int, int]:
        """Own arm -> the snapshot's arm to take over."""
        known = {name: index for index, name in enumerate(saved.arms)}
        if len(known) != len(saved.arms):
            raise StateError("the snapshot names an arm twice", key=saved.name)
        if not self.arm_names:
            return {arm: arm for arm in range(self.arms)}
        places = {
            arm: known[source]
            for arm, name in enumerate(self.arm_names)
            if (source := name if name in known else warm.get(name)) in known
        }
        if not any(self.arm_names[arm] != "skip" for arm in places):
            raise StateError(
                f"the snapshot's {len(saved.arms)} arms ({', '.join(saved.arms[:8])}) are none of this policy's "
                f"({', '.join(self.arm_names[:8])})",
                key=saved.name,
            )
        return places


def bounded(policy: Policy, label: str, low: float, high: float) -> npt.NDArray[Any]:
    """An array of a policy. Raises StateError unless all of it is finite and within ``[low, high]``."""
    array: npt.NDArray[Any] = getattr(policy, label)
    if not np.isfinite(array).all():
        raise StateError(f"{label} holds a value that is not finite", key=policy.name)
    if array.size and (array.min() < low or array.max() > high):
        raise StateError(
            f"{label} goes from {array.min():.4g} to {array.max():.4g}, beyond [{low:.4g}, {high:.4g}]",
            key=policy.name,
        )
    return array
