"""Progressive validation of scores in [0, 1]: each is judged once, by its label, before the model learns that label."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from mevflow.operators.errors import StateError

#: A score is taken for at least this far from 0 and 1: one label cannot cost more than ``log(100)``.
LEAST = 0.01

#: Scores are counted in so many bins for the ROC curve, and in bins of eight of them for calibration.
_BINS, _COARSE = 128, 8


class ProgressState(msgspec.Struct, frozen=True):
    """A snapshot of :class:`Progress`; ``counts`` are ``[2, bins]`` uint64, ``sums`` float64, in bytes."""

    log_loss: float
    absolute: float
    counts: bytes
    sums: bytes


class Progress:
    """Running figures of one model. Labels are in [0, 1]; ``roc_auc``, ``ece`` and ``log_loss`` take those above 0.5
    for positive where they are not 0 or 1.
    """

    def __init__(self) -> None:
        self._log_loss = self._absolute = 0.0
        self._counts = np.zeros((2, _BINS), np.int64)
        self._sums = np.zeros(_BINS // _COARSE)

    @property
    def labels(self) -> int:
        """How many scores were judged."""
        return int(self._counts.sum())

    def update(self, score: float, label: float) -> None:
        """Judge a score by its label."""
        self._log_loss += log_loss(score, label)
        self._absolute += abs(score - label)
        place = min(int(score * _BINS), _BINS - 1)
        self._counts[int(label > 0.5), place] += 1
        self._sums[place // _COARSE] += score

    @property
    def log_loss(self) -> float:
        """Mean log loss; NaN before the first label."""
        return self._log_loss / self.labels if self.labels else math.nan

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return self._absolute / self.labels if self.labels else math.nan

    @property
    def roc_auc(self) -> float:
        """Area under the ROC curve, scores within a bin taken for equal; NaN without labels of both kinds."""
        negative, positive = self._counts
        if not negative.any() or not positive.any():
            return math.nan
        below = np.concatenate(([0], np.cumsum(negative)[:-1]))
        return float((positive * (below + 0.5 * negative)).sum() / (positive.sum() * negative.sum()))

    @property
    def ece(self) -> float:
        """Expected calibration error over 16 bins of equal width."""
        if not self.labels:
            return math.nan
        positive = self._counts[1].reshape(-1, _COARSE).sum(axis=1)
        return float(np.abs(self._sums - positive).sum() / self.labels)

    def snapshot(self) -> ProgressState:
        """All of it."""
        return ProgressState(self._log_loss, self._absolute, self._counts.tobytes(), self._sums.tobytes())

    def restore(self, state: ProgressState) -> None:
        """Take a snapshot. Raises StateError when it does not fit."""
        if len(state.counts) != self._counts.nbytes or len(state.sums) != self._sums.nbytes:
            raise StateError("a model's figures have other bins")
        self._log_loss, self._absolute = state.log_loss, state.absolute
        self._counts = np.frombuffer(state.counts, np.int64).reshape(2, _BINS).copy()
        self._sums = np.frombuffer(state.sums).copy()


def log_loss(score: float, label: float) -> float:
    """The log loss of a score for a label in [0, 1], at most ``log(1 / LEAST)``."""
    score = min(max(score, LEAST), 1.0 - LEAST)
    return -(label * math.log(score) + (1.0 - label) * math.log(1.0 - score))


#: The largest loss of one label.
LARGEST = -math.log(LEAST)
