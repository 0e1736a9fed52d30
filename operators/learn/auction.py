"""A tip as what it is: the bid of a first-price sealed auction whose rivals are seen through wins and losses alone.

Let ``F(s)`` be the chance that the highest rival bid is below the share ``s`` of the profit. A bid of ``s`` brings
``1 - s`` of the profit with chance ``F(s)``, so the best one is ``argmax (1 - s) F(s)``. A win at ``s`` says that the
rival was below ``s``, a loss that it was not: each informs all bids on its side, because ``F`` never falls.

``F`` is drawn from its projection posterior (Chakraborty and Ghosal 2021): independent Beta posteriors of the win rate
at every share of the grid, projected onto rising functions by pooling adjacent violators. Thompson sampling over such
draws gives the chance of each bid on the grid, and these numbers are what is drawn from and logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numba
import numpy as np

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import Bools, Floats, Ints, eligible_sets
from mevflow.operators.learn.means import for_all
from mevflow.operators.learn.policy import Judgement, Policy, bounded

_jit: Any = numba.njit(cache=True, nogil=True)

#: Draws of F that a decision's chances are counted over.
DRAWS = 48

#: F is drawn anew when rewards have grown by this factor, and after so many in any case.
_GROWTH, _OFTEN = 1.01, 20

#: Imagined bids at every share, won in proportion to it.
_PRIOR = 0.05


class TipAuction(Policy):
    """Bids by Thompson sampling over the distribution of the highest rival bid.

    Arms are tip shares and ``skip`` (which the floor alone chooses while another arm is eligible). A reward above 0 is
    a win. ``discount`` fades older bids: it remembers about ``1 / (1 - discount)`` of them.
    """

    name: ClassVar[str] = "tip-auction"
    options: ClassVar[dict[str, tuple[float, float, float]]] = {"discount": (0.999, 0.5, 1.0)}
    state_names: ClassVar[tuple[str, ...]] = ("bids", "wins", "drawn")
    by_arm: ClassVar[tuple[str, ...]] = ("bids", "wins")

    def __init__(self, arms: int, features: int, exploration: float, hold: int = 0, **options: float) -> None:
        super().__init__(arms, features, exploration, hold, **options)
        self.bids = np.zeros(arms)
        self.wins = np.zeros(arms)
        #: How many rewards had been learned when F was last drawn: the draws follow from it.
        self.drawn = np.zeros(1, np.int64)
        self._below: Floats | None = None

    @property
    def shares(self) -> Floats:
        """The tip share of every arm, 0 for skip; without names they are even, and the last is skip."""
        return _shares(tuple(self.arm_names), self.arms)

    def judge(self, x: Floats, eligible: Bools) -> Judgement:
        n = x.shape[1]
        if self._below is None:
            self._draw()
        assert self._below is not None
        shares = self.shares
        sets, row_set = eligible_sets(eligible)
        preference = _best_counts(self._below, shares, sets)
        expected = np.where(shares > 0.0, (1.0 - shares) * self._below.mean(axis=0), 0.0)
        return Judgement(for_all(expected, n), preference[:, row_set], for_all(expected, n))

    def learn(self, x: Floats, arms: Ints, rewards: Floats, propensities: Floats) -> None:
        moved = _observe(
            self.bids, self.wins, self.drawn, arms, rewards, self.shares, self.option["discount"], self.updates
        )
        if moved:
            self._below = None

    def correct(self, x: Floats, arm: int, was: float, now: float, propensity: float, learned_at: int) -> bool:
        turned = float(now > 0.0) - float(was > 0.0)
        if turned and self.shares[arm] > 0.0:
            faded = turned * self.option["discount"] ** max(self.updates - learned_at, 0)
            self.wins[arm] = min(max(self.wins[arm] + faded, 0.0), self.bids[arm])
            self._below = None
        return True

    def refresh(self) -> None:
        self._below = None

    def check(self) -> None:
        most = max(self.updates, 1) * (1.0 + 1e-9)
        bids = bounded(self, "bids", 0.0, most)
        wins = bounded(self, "wins", 0.0, most)
        bounded(self, "drawn", 0, self.updates)
        if (wins > bids * (1.0 + 1e-9)).any():
            raise StateError("more wins than bids", key=self.name)

    def below(self) -> Floats:
        """The posterior mean of F at every arm's share."""
        if self._below is None:
            self._draw()
        assert self._below is not None
        mean: Floats = self._below.mean(axis=0)
        return mean

    def _draw(self) -> None:
        shares = self.shares
        order = np.argsort(shares, kind="stable")
        order = order[shares[order] > 0.0]
        rng = np.random.Generator(np.random.PCG64([int(self.drawn[0]), self.arms]))
        prior = _PRIOR * shares[order]
        won, lost = self.wins[order] + prior, self.bids[order] - self.wins[order] + _PRIOR - prior
        rates = rng.beta(np.maximum(won, 1e-3), np.maximum(lost, 1e-3), size=(DRAWS, len(order)))
        self._below = np.zeros((DRAWS, self.arms))
        self._below[:, order] = _rising(rates, self.bids[order] + _PRIOR)


@lru_cache(maxsize=64)
def _shares(names: Sequence[str], arms: int) -> Floats:
    if not names:
        return np.append(np.arange(1, arms) / arms, 0.0)
    return np.array([0.0 if name == "skip" else float(name) for name in names])


@_jit
def _observe(
    bids: Floats, wins: Floats, drawn: Ints, arms: Ints, rewards: Floats, shares: Floats, discount: float, updates: int
) -> bool:
    """Count bids and wins, in order; gives whether F is to be drawn anew."""
    moved = False
    for i in range(arms.shape[0]):
        arm = arms[i]
        if shares[arm] > 0.0:
            for other in range(bids.shape[0]):
                bids[other] *= discount
                wins[other] *= discount
            bids[arm] += 1.0
            wins[arm] += rewards[i] > 0.0
        if updates + i + 1 > min(drawn[0] * _GROWTH, drawn[0] + _OFTEN - 1):
            drawn[0] = updates + i + 1
            moved = True
    return moved


@_jit
def _rising(rates: Floats, weights: Floats) -> Floats:
    """Each row projected onto rising functions: pool adjacent violators, weighted by the bids at each share."""
    rows, size = rates.shape
    out = np.empty((rows, size))
    value, weight, length = np.empty(size), np.empty(size), np.empty(size, np.int64)
    for row in range(rows):
        blocks = 0
        for k in range(size):
            value[blocks], weight[blocks], length[blocks] = rates[row, k], weights[k], 1
            blocks += 1
            while blocks > 1 and value[blocks - 2] >= value[blocks - 1]:
                total = weight[blocks - 2] + weight[blocks - 1]
                value[blocks - 2] = (
                    value[blocks - 2] * weight[blocks - 2] + value[blocks - 1] * weight[blocks - 1]
                ) / total
                weight[blocks - 2] = total
                length[blocks - 2] += length[blocks - 1]
                blocks -= 1
        at = 0
        for block in range(blocks):
            for _ in range(length[block]):
                out[row, at] = value[block]
                at += 1
    return out


@_jit
def _best_counts(below: Floats, shares: Floats, eligible: Bools) -> Floats:
    """``[arms, n]``: in what part of the draws an eligible bid is the best; skip where nothing else is eligible."""
    arms, n = eligible.shape
    out = np.zeros((arms, n))
    for i in range(n):
        for draw in range(below.shape[0]):
            best, most = -1, -1.0
            for arm in range(arms):
                if eligible[arm, i]:
                    surplus = (1.0 - shares[arm]) * below[draw, arm] if shares[arm] > 0.0 else -0.5
                    if surplus > most:
                        best, most = arm, surplus
            out[best, i] += 1.0 / below.shape[0]
    return out
