"""Open Bandit Data as logs (Saito, Aihara, Matsutani and Narita 2021; ZOZO Inc., CC BY 4.0), 10,000 impressions each.

Of every impression: item, position, click, and the logging policy's chance of that item at that position. The chances
of the other items are not in the data.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

_FOLDER = Path(__file__).parent / "open_bandit"


@dataclass(frozen=True)
class Impressions:
    """One file. ``item`` and ``position`` (from 0), ``click`` 0 or 1, ``propensity`` of the item at the position."""

    item: np.ndarray
    position: np.ndarray
    click: np.ndarray
    propensity: np.ndarray

    @property
    def items(self) -> int:
        """How many items the campaign has."""
        return int(self.item.max()) + 1

    def uniform_weights(self) -> np.ndarray:
        """A target that shows every item alike, against the logger."""
        return 1.0 / self.items / self.propensity


@lru_cache
def load(policy: str, campaign: str) -> Impressions:
    """``bts`` or ``random``; ``all``, ``men`` or ``women`` (``random``: ``all`` alone)."""
    with gzip.open(_FOLDER / f"{policy}_{campaign}.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1)
    item, position, click, propensity = table.T
    return Impressions(item.astype(np.int64), position.astype(np.int64) - 1, click, propensity)


def bernoulli_ts(draws: int = 100_000, seed: int = 12345) -> np.ndarray:
    """``[item, position]``: chances of ZOZO's Bernoulli Thompson sampling, by the draws that obp makes."""
    with io.StringIO((_FOLDER / "bts_prior_all.csv").read_text()) as file:
        rows = list(csv.DictReader(file))
    alpha = np.array([float(row["alpha"]) for row in rows])
    beta = np.array([float(row["beta"]) for row in rows])
    random, counts = np.random.RandomState(seed), np.zeros((len(alpha), 3))
    for _ in range(draws // 1_000):
        best = random.beta(alpha, beta, size=(1_000, len(alpha))).argsort(axis=1)[:, ::-1][:, :3]
        for position in range(3):
            counts[:, position] += np.bincount(best[:, position], minlength=len(alpha))
    return counts / draws
