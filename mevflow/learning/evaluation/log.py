"""Logged decisions as arrays: what was known, what was chosen with what chances, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Log:
    """Settled decisions in the order in which they were made.

    ``contexts[n, features]``, ``chances[n, arms]`` (0: not eligible), ``arms[n]`` as columns of it, ``rewards[n]``;
    ``episodes[n]`` numbers what belongs together; ``names`` are the arms'.
    """

    contexts: Floats
    chances: Floats
    arms: Ints
    rewards: Floats
    episodes: Ints
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arms)

    @property
    def propensities(self) -> Floats:
        """The chance with which each logged arm was chosen."""
        taken: Floats = self.chances[np.arange(len(self)), self.arms]
        return taken

    @property
    def choices(self) -> npt.NDArray[np.bool_]:
        """Decisions with more than one eligible arm: only they say anything about a policy."""
        several: npt.NDArray[np.bool_] = (self.chances > 0.0).sum(axis=1) > 1
        return several

    def weights(self, target: Floats) -> Floats:
        """``target[n, arms]`` against the log: by how much likelier the target takes the logged arm."""
        weights: Floats = target[np.arange(len(self)), self.arms] / self.propensities
        return weights


def histories(weights: Floats, episodes: Ints) -> Floats:
    """Product of the weights of all earlier decisions of the same episode (Precup, Sutton and Singh 2000).

    A later decision of an episode is one that its earlier ones led to: a target that would have bid before had not come
    to it. Rows are in order of time.
    """
    out = np.empty(len(weights))
    product: dict[int, float] = {}
    for i, (weight, episode) in enumerate(zip(weights.tolist(), episodes.tolist(), strict=True)):
        out[i] = product.get(episode, 1.0)
        product[episode] = out[i] * weight
    return out


def balanced_weights(target: Floats, by_logger: Floats, counts: Ints) -> Floats:
    """Weights over several logging policies (Agarwal, Basu, Schnabel and Joachims 2017).

    ``target[n]`` is the target's chance of the logged arm, ``by_logger[k, n]`` each logger's own, whoever logged it;
    ``counts[k]`` how many decisions each logged. An arm that one logger rarely took and another
    often has no large weight.
    """
    mixture = (counts[:, None] * by_logger).sum(axis=0) / counts.sum()
    weights: Floats = target / mixture
    return weights
