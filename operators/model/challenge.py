"""Whether a challenger's losses are smaller than the champion's, to be looked at after every label.

The evidence is what a gambler's stake has grown to who bets, row by row, that the challenger does better (Waudby-Smith
and Ramdas 2024). While it does not, the stake cannot be expected to grow, so the chance that it ever reaches
``1 / alpha`` is at most ``alpha`` (Ville): the confidence sequence of the mean loss difference that these bets span
excludes 0 exactly when it does. There is no schedule of looks to keep to.
"""

from __future__ import annotations

import math

import msgspec

#: No more than this part of the stake is put on one row.
_BOLDEST = 0.9

#: What the variance of differences is taken for before there are any.
_PRIOR_VARIANCE = 0.01


class Challenge(msgspec.Struct):
    """Paired differences ``champion's loss - challenger's loss`` in [-1, 1], and the log of the gambler's stake."""

    rows: int = 0
    total: float = 0.0
    squares: float = 0.0
    evidence: float = 0.0

    def update(self, difference: float) -> None:
        """Take a difference. The bet on it follows from the rows before it alone."""
        mean = self.total / (self.rows + 1)
        variance = (self.squares + _PRIOR_VARIANCE) / (self.rows + 1) - mean * mean
        bet = min(max(mean / (max(variance, 1e-12) + mean * mean), 0.0), _BOLDEST)
        self.evidence += math.log1p(bet * difference)
        self.rows += 1
        self.total += difference
        self.squares += difference * difference

    @property
    def difference(self) -> float:
        """The mean difference; NaN before the first row."""
        return self.total / self.rows if self.rows else math.nan


def needed(alpha: float, challengers: int, reign: int) -> float:
    """The evidence that promotes one of ``challengers`` over the champion of the ``reign``-th reign, from 1.

    A reign may err with ``alpha / (reign * (reign + 1))``, so that all of them together err with at most ``alpha``.
    """
    return math.log(max(challengers, 1) * reign * (reign + 1) / alpha)
