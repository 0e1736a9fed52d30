"""One ridge regression of reward on context for each arm: what the linear policies share.

For every arm ``A = ridge I + sum x x'`` and ``b = sum reward x``; the coefficients are ``A^-1 b``. Sums are
kept and the inverse is taken when it is next needed, which costs less than rank-one updates when rewards come
in groups, and does not drift.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.learn import kernels
from mevflow.operators.learn.kernels import Floats, Ints
from mevflow.operators.learn.policy import Policy


class RidgePolicy(Policy):
    """A policy over per-arm linear estimates."""

    options: ClassVar[dict[str, tuple[float, float, float]]] = {"ridge": (1.0, 1e-6, 1e6)}
    state_names: ClassVar[tuple[str, ...]] = ("gram", "moment")

    def __init__(self, arms: int, features: int, exploration: float, **options: float) -> None:
        super().__init__(arms, features, exploration, **options)
        self.gram = np.repeat(np.eye(features)[None] * self.option["ridge"], arms, axis=0)
        self.moment = np.zeros((arms, features))
        self._inverse = np.zeros_like(self.gram)
        self._coefficients = np.zeros_like(self.moment)
        self._stale = np.ones(arms, np.bool_)

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        kernels.accumulate(self.gram, self.moment, x, arms, rewards)
        self._stale[arms] = True

    def refresh(self) -> None:
        self._stale[:] = True

    def estimates(self, x: Floats) -> Floats:
        """Expected reward ``[arms, n]`` of contexts ``x[features, n]``."""
        kernels.solve(self.gram, self.moment, self._inverse, self._coefficients, self._stale)
        return kernels.combine(self._coefficients, x)

    def deviations(self, x: Floats) -> Floats:
        """``sqrt(x' A^-1 x)`` as ``[arms, n]``: how little an arm knows of a context."""
        kernels.solve(self.gram, self.moment, self._inverse, self._coefficients, self._stale)
        return kernels.deviations(self._inverse, x)
