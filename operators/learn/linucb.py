"""Disjoint LinUCB (Li, Chu, Langford and Schapire 2010) under an exploration floor, by the noise that rewards have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numba
import numpy as np

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import Bools, Floats, Ints, greedy
from mevflow.operators.learn.policy import Judgement, bounded
from mevflow.operators.learn.ridge import RidgePolicy
from mevflow.operators.learn.state import PolicyState, decode, pack, unpack

_jit: Any = numba.njit(cache=True, nogil=True)

#: Imagined rewards, and their variance around what the regressions say: what the noise of few rewards leans on.
_PRIOR, _PRIOR_VARIANCE = 4.0, 0.25


class LinUcb(RidgePolicy):
    """The arm with the highest linear estimate plus ``width`` times what it may be wrong by.

    That is ``noise * sqrt(2 ln(1 + rewards / (pulls + 1)))`` deviations: Lai's index (1987), which looks again at an
    arm that has been left alone, and hardly at one that is chosen all the time. ``noise`` is the spread of rewards
    around all arms' regressions, as the conjugate posterior of a linear model has it.
    """

    name: ClassVar[str] = "tip-linucb"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {
        **RidgePolicy.options,
        "width": (0.7, 0.0, 100.0),
    }
    state_names: ClassVar[tuple[str, ...]] = (*RidgePolicy.state_names, "squares")
    by_arm: ClassVar[tuple[str, ...]] = (*RidgePolicy.by_arm, "squares")

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        super().__init__(arms, features, exploration, hold, **options)
        #: Sums of squared rewards.
        self.squares = np.zeros(arms)

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        expected, deviations = self.estimates_and_deviations(x)
        scores = _optimistic(expected, deviations, self.pulls, self.squares, self._explained, self.option["width"])
        return Judgement(scores, greedy(scores, eligible), expected)

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        _add_squares(self.squares, arms, rewards)
        super().learn(x, arms, rewards, propensities)

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        self.squares[arm] = max(self.squares[arm] + now * now - was * was, 0.0)
        return super().correct(x, arm, was, now, propensity, learned_at)

    def check(self) -> None:
        super().check()
        bounded(self, "squares", 0.0, max(self.updates, 1) * (1.0 + 1e-9))
        if (self.squares > self.pulls * (1.0 + 1e-9) + 1e-9).any():
            raise StateError("squares are more than rewards in [-1, 1] can make", key=self.name)

    def restore(self, state: bytes, warm: Mapping[str, str] | None = None) -> None:
        saved = decode(state, self.name)
        if saved.name == self.name and "squares" not in saved.arrays:
            state = msgspec.msgpack.encode(self._with_squares(saved))
        super().restore(state, warm)

    def _with_squares(self, saved: PolicyState) -> PolicyState:
        """A snapshot of a release that did not count them: as if rewards had the prior's noise around their mean."""
        arms = len(saved.arms)
        pulls = unpack(saved, "pulls", np.zeros(arms))
        # Feature 0 is the constant 1.
        total = unpack(saved, "moment", np.zeros((arms, self.features)))[:, 0]
        squares = np.minimum(pulls * _PRIOR_VARIANCE + total * total / np.maximum(pulls, 1.0), pulls)
        return msgspec.structs.replace(saved, arrays={**saved.arrays, "squares": pack(squares)})


@_jit
def _add_squares(squares: Floats, arms: Ints, rewards: Floats) -> None:
    for i in range(arms.shape[0]):
        squares[arms[i]] += rewards[i] * rewards[i]


@_jit
def _optimistic(
    expected: Floats, deviations: Floats, pulls: Floats, squares: Floats, explained: Floats, width: float
) -> Floats:
    """``expected`` plus ``width`` times what each estimate may be wrong by; all ``[arms, n]``."""
    arms, n = expected.shape
    total, left = 0.0, _PRIOR * _PRIOR_VARIANCE
    for arm in range(arms):
        total += pulls[arm]
        left += max(squares[arm] - explained[arm], 0.0)
    variance = left / (_PRIOR + total)
    out = np.empty((arms, n))
    for arm in range(arms):
        times = width * math.sqrt(2.0 * variance * math.log(1.0 + total / (pulls[arm] + 1.0)))
        for i in range(n):
            out[arm, i] = expected[arm, i] + times * deviations[arm, i]
    return out
