"""The policies' inner loops, compiled. Each column (context) is computed by itself, in a fixed order of operations.

That is the invariant: no column's result depends on how many columns there are, so a decision does not depend
on how the stream was cut into batches. A matrix product would not promise that. Numba keeps to the written
order because ``fastmath`` is off.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Seeds = npt.NDArray[np.uint64]

_jit: Any = numba.njit(cache=True, nogil=True)

#: Gauss-Hermite nodes for a standard normal, and their weights (they sum to 1).
_NODES, _RAW_WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
_WEIGHTS = _RAW_WEIGHTS / _RAW_WEIGHTS.sum()


@_jit
def combine(weights: Floats, x: Floats) -> Floats:
    """``weights[arms, features] @ x[features, n]``."""
    arms, features = weights.shape
    n = x.shape[1]
    out = np.empty((arms, n))
    for arm in range(arms):
        for i in range(n):
            total = 0.0
            for feature in range(features):
                total += weights[arm, feature] * x[feature, i]
            out[arm, i] = total
    return out


@_jit
def deviations(inverse: Floats, x: Floats) -> Floats:
    """``sqrt(x' inverse x)`` for ``inverse[arms, features, features]`` (symmetric), as ``[arms, n]``."""
    arms, features, _ = inverse.shape
    n = x.shape[1]
    out = np.empty((arms, n))
    for arm in range(arms):
        for i in range(n):
            total = 0.0
            for j in range(features):
                row = 0.5 * inverse[arm, j, j] * x[j, i]
                for k in range(j):
                    row += inverse[arm, j, k] * x[k, i]
                total += 2.0 * row * x[j, i]
            out[arm, i] = math.sqrt(max(total, 0.0))
    return out


@_jit
def accumulate(gram: Floats, moment: Floats, x: Floats, arms: Ints, rewards: Floats) -> None:
    """Add ``x[i] x[i]'`` to ``gram[arms[i]]`` and ``rewards[i] x[i]`` to ``moment[arms[i]]``, in order."""
    features = x.shape[1]
    for i in range(arms.shape[0]):
        arm = arms[i]
        for j in range(features):
            moment[arm, j] += rewards[i] * x[i, j]
            for k in range(features):
                gram[arm, j, k] += x[i, j] * x[i, k]


@_jit
def solve(gram: Floats, moment: Floats, inverse: Floats, coefficients: Floats, stale: Bools) -> None:
    """Bring ``inverse`` and ``coefficients = inverse moment`` of the stale arms up to date; none is stale then.

    Gauss-Jordan without pivoting, which is stable because ``gram`` is symmetric positive definite.
    """
    arms, features, _ = gram.shape
    left = np.empty((features, features))
    for arm in range(arms):
        if not stale[arm]:
            continue
        stale[arm] = False
        left[:, :] = gram[arm]
        right = inverse[arm]
        right[:, :] = 0.0
        for j in range(features):
            right[j, j] = 1.0
        for j in range(features):
            scale = 1.0 / left[j, j]
            for k in range(features):
                left[j, k] *= scale
                right[j, k] *= scale
            for i in range(features):
                factor = left[i, j]
                if i != j and factor != 0.0:
                    for k in range(features):
                        left[i, k] -= factor * left[j, k]
                        right[i, k] -= factor * right[j, k]
        for j in range(features):
            total = 0.0
            for k in range(features):
                total += right[j, k] * moment[arm, k]
            coefficients[arm, j] = total


@_jit
def best_probabilities(means: Floats, spreads: Floats, eligible: Bools) -> Floats:
    """Probability that each eligible arm's normal variable is the largest; all ``[arms, n]``, spreads > 0.

    ``P(k is best) = E_z[ prod_j Phi((m_k + s_k z - m_j) / s_j) ]`` with ``z`` standard normal, by Gauss-Hermite
    quadrature with fixed nodes, then normalised. A Thompson policy draws its arm from *these* numbers and not by
    sampling posteriors, so the logged propensity is exact for the policy that runs; the quadrature's error makes
    it a slightly different policy from ideal Thompson sampling and never a wrongly logged one.
    """
    arms, n = means.shape
    out = np.zeros((arms, n))
    for i in range(n):
        total = 0.0
        for arm in range(arms):
            if not eligible[arm, i]:
                continue
            chance = 0.0
            for node in range(_NODES.shape[0]):
                value = means[arm, i] + spreads[arm, i] * _NODES[node]
                beats = _WEIGHTS[node]
                for other in range(arms):
                    if other != arm and eligible[other, i]:
                        z = (value - means[other, i]) / spreads[other, i]
                        beats *= 0.5 * math.erfc(-z * 0.7071067811865476)
                chance += beats
            out[arm, i] = chance
            total += chance
        for arm in range(arms):
            out[arm, i] /= total
    return out


@_jit
def with_floor(preference: Floats, eligible: Bools, exploration: float) -> Floats:
    """Mix a preference with the uniform distribution over eligible arms; columns sum to 1 and others get 0."""
    arms, n = preference.shape
    out = np.zeros((arms, n))
    for i in range(n):
        count = 0
        for arm in range(arms):
            count += eligible[arm, i]
        total = 0.0
        for arm in range(arms):
            if eligible[arm, i]:
                out[arm, i] = exploration / count + (1.0 - exploration) * preference[arm, i]
                total += out[arm, i]
        for arm in range(arms):
            out[arm, i] /= total
    return out


@_jit
def greedy(scores: Floats, eligible: Bools) -> Floats:
    """All of the preference on the best eligible arm; the first of equals."""
    arms, n = scores.shape
    out = np.zeros((arms, n))
    for i in range(n):
        best = -1
        for arm in range(arms):
            if eligible[arm, i] and (best < 0 or scores[arm, i] > scores[best, i]):
                best = arm
        out[best, i] = 1.0
    return out


@_jit
def uniforms(seeds: Seeds) -> Floats:
    """A number in [0, 1) from each 64-bit seed (SplitMix64's output function; Steele, Lea and Flood 2014)."""
    out = np.empty(seeds.shape[0])
    for i in range(seeds.shape[0]):
        z = seeds[i] + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        out[i] = np.float64(z >> np.uint64(11)) * 1.1102230246251565e-16
    return out


@_jit
def draw(propensities: Floats, seeds: Seeds) -> Ints:
    """The arm of each column by inversion: the first whose cumulative probability exceeds its uniform."""
    arms, n = propensities.shape
    u = uniforms(seeds)
    out = np.empty(n, np.int64)
    for i in range(n):
        cumulative = 0.0
        chosen = -1
        for arm in range(arms):
            if propensities[arm, i] > 0.0:
                # Rounding may leave the sum a hair below 1 and u above it: the last possible arm then.
                chosen = arm
                cumulative += propensities[arm, i]
                if u[i] < cumulative:
                    break
        out[i] = chosen
    return out


@_jit
def softmax(scores: Floats, eligible: Bools) -> Floats:
    """``exp(score)`` over eligible arms, normalised; the largest is taken out first, so nothing overflows."""
    arms, n = scores.shape
    out = np.zeros((arms, n))
    for i in range(n):
        top = -np.inf
        for arm in range(arms):
            if eligible[arm, i]:
                top = max(top, scores[arm, i])
        total = 0.0
        for arm in range(arms):
            if eligible[arm, i]:
                out[arm, i] = math.exp(scores[arm, i] - top)
                total += out[arm, i]
        for arm in range(arms):
            out[arm, i] /= total
    return out


@_jit
def inverse_gap(scores: Floats, eligible: Bools, gamma: float) -> Floats:
    """``1 / (eligible + gamma * gap)`` for every eligible arm but the best, which has the rest."""
    arms, n = scores.shape
    out = np.zeros((arms, n))
    for i in range(n):
        best, count = -1, 0
        for arm in range(arms):
            if eligible[arm, i]:
                count += 1
                if best < 0 or scores[arm, i] > scores[best, i]:
                    best = arm
        rest = 1.0
        for arm in range(arms):
            if eligible[arm, i] and arm != best:
                out[arm, i] = 1.0 / (count + gamma * (scores[best, i] - scores[arm, i]))
                rest -= out[arm, i]
        out[best, i] = rest
    return out
