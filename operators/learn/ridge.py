"""One ridge regression of reward on the standardised context for each arm: what the linear policies share.

Sums are kept in the contexts' own units and everything else follows from them when it is next needed
(:mod:`mevflow.operators.learn.regression`), which costs less than rank-one updates when rewards come in groups, and
does not drift.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mevflow.operators.errors import StateError
from mevflow.operators.learn import regression
from mevflow.operators.learn.kernels import Floats, Ints
from mevflow.operators.learn.policy import Policy, bounded

#: No feature is larger: an honest one is a logarithm, a share or a count.
_LARGEST = 1e6


class RidgePolicy(Policy):
    """A policy over per-arm linear estimates of standardised contexts; ``ridge`` holds coefficients near 0."""

    options: ClassVar[dict[str, tuple[float, float, float]]] = {"ridge": (1.0, 1e-6, 1e6)}
    state_names: ClassVar[tuple[str, ...]] = ("gram", "moment", "pulls", "seen", "frame")
    by_arm: ClassVar[tuple[str, ...]] = ("gram", "moment", "pulls")

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        super().__init__(arms, features, exploration, hold, **options)
        self.gram = np.zeros((arms, features, features))
        self.moment = np.zeros((arms, features))
        self.pulls = np.zeros(arms)
        self.seen = np.zeros((3, features))
        self.frame = np.zeros((4, features))
        self.frame[1] = 1.0
        self._root = np.zeros_like(self.gram)
        self._coefficients = np.zeros_like(self.moment)
        self._explained = np.zeros(arms)
        self._stale = np.ones(arms, np.bool_)

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        moved = regression.accumulate(self.gram, self.moment, self.pulls, self.seen, self.frame, x, arms, rewards)
        self._stale[slice(None) if moved else arms] = True

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        self.moment[arm] += (now - was) * x
        self._stale[arm] = True
        return True

    def refresh(self) -> None:
        self._stale[:] = True

    def check(self) -> None:
        most = max(self.updates, 1) * (1.0 + 1e-9)
        pulls = bounded(self, "pulls", 0.0, most)
        largest = most * _LARGEST**2
        gram, moment = bounded(self, "gram", -largest, largest), bounded(self, "moment", -largest, largest)
        bounded(self, "seen", -largest, largest)
        frame = bounded(self, "frame", -largest, largest)
        if not (frame[1] > 1e-9).all() or frame[2, 0] < 0.0 or (self.seen[1:] < 0.0).any():
            raise StateError("frame holds a spread that is none", key=self.name)
        diagonal = np.einsum("ajj->aj", gram)
        if not (np.abs(gram - gram.transpose(0, 2, 1)) <= 1e-9 * (1.0 + np.abs(gram))).all() or (diagonal < 0.0).any():
            raise StateError("gram is not a sum of squares", key=self.name)
        spread = np.sqrt(np.maximum(diagonal, 1e-300))
        correlation = gram / (spread[:, :, None] * spread[:, None, :])
        correlation[np.broadcast_to((diagonal == 0.0)[:, :, None], gram.shape)] = 0.0
        if not (np.abs(correlation) <= 1.0 + 1e-6).all() or np.linalg.eigvalsh(correlation).min() < -1e-6:
            raise StateError("gram is not a sum of squares", key=self.name)
        # Cauchy and Schwarz, for rewards in [-1, 1].
        if (np.abs(moment) > np.sqrt(pulls[:, None] * diagonal) * (1.0 + 1e-6) + 1e-9).any():
            raise StateError("moment is more than rewards in [-1, 1] can make", key=self.name)
        if ((pulls == 0.0) != (np.abs(gram).max(axis=(1, 2)) == 0.0)).any():
            raise StateError("an arm has pulls without contexts, or contexts without pulls", key=self.name)

    def estimates(self, x: Floats) -> Floats:
        """Expected reward ``[arms, n]`` of contexts ``x[features, n]``."""
        self._solve()
        estimates: Floats = regression.combine(self._coefficients, regression.standardise(x, self.frame))
        return estimates

    def estimates_and_deviations(self, x: Floats) -> tuple[Floats, Floats]:
        """:meth:`estimates`, and how little an arm knows: ``sqrt(z' A^-1 z)`` of standardised contexts ``z``."""
        self._solve()
        z = regression.standardise(x, self.frame)
        return regression.combine(self._coefficients, z), regression.deviations(self._root, z)

    def _solve(self) -> None:
        solved = self._root, self._coefficients, self._explained
        if not regression.solve(self.gram, self.moment, self.frame, self.option["ridge"], *solved, self._stale):
            raise ArithmeticError(f"{self.name}: an arm's regression is singular")
