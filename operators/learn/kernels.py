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

#: Breakpoints around a mean, in spreads. What lies beyond the outermost has a chance below 1e-6.
BREAKPOINTS = np.array([-4.9, -2.4, -1.0, 0.0, 1.0, 2.4, 4.9])
#: Breakpoints are at least so far apart, in the smallest spread: arms that are alike share theirs.
APART = 1.0
#: Gauss-Legendre nodes between two breakpoints.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)


def with_floor(preference: Floats, eligible: Bools, exploration: float) -> Floats:
    """Mix a preference with the uniform distribution over eligible arms; columns sum to 1 and others get 0."""
    # Made here: an array that a compiled function gives back costs more than such a small one's contents.
    out = np.zeros(preference.shape)
    _with_floor(preference, eligible, exploration, out)
    return out


@_jit
def _with_floor(preference: Floats, eligible: Bools, exploration: float, out: Floats) -> None:
    arms, n = preference.shape
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


@_jit
def eligible_sets(eligible: Bools) -> tuple[Bools, Ints]:
    """The distinct columns of ``eligible[arms, n]`` as ``[arms, sets]``, and of which set each column is."""
    arms, n = eligible.shape
    first, of = np.empty(n, np.int64), np.empty(n, np.int64)
    sets = 0
    for i in range(n):
        # Few sets are eligible at a time: the amounts that arms leave rise together.
        found = -1
        for known in range(sets):
            same = True
            for arm in range(arms):
                if eligible[arm, i] != eligible[arm, first[known]]:
                    same = False
                    break
            if same:
                found = known
                break
        if found < 0:
            first[sets] = i
            found = sets
            sets += 1
        of[i] = found
    out = np.empty((arms, sets), np.bool_)
    for known in range(sets):
        out[:, known] = eligible[:, first[known]]
    return out, of


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


def draw(propensities: Floats, seeds: Seeds) -> Ints:
    """The arm of each column by inversion: the first whose cumulative probability exceeds its uniform."""
    out = np.empty(len(seeds), np.int64)
    _draw(propensities, seeds, out)
    return out


@_jit
def _draw(propensities: Floats, seeds: Seeds, out: Ints) -> None:
    arms, n = propensities.shape
    u = uniforms(seeds)
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


@_jit
def proper(propensities: Floats, eligible: Bools) -> int:
    """The first column that is no distribution over its eligible arms, or the number of columns."""
    arms, n = propensities.shape
    for i in range(n):
        total = 0.0
        for arm in range(arms):
            chance = propensities[arm, i]
            # Written so that NaN fails.
            if not (chance >= 0.0 and (chance > 0.0) == eligible[arm, i]):
                return i
            total += chance
        if not abs(total - 1.0) < 1e-9:
            return i
    return n


@_jit
def _thinned(points: Floats, size: int, apart: float) -> int:
    """Keep of sorted points the first, the last, and those between that are ``apart``; gives how many are kept."""
    kept = 1
    for at in range(1, size):
        if points[at] - points[kept - 1] >= apart:
            points[kept] = points[at]
            kept += 1
    if kept > 1:
        points[kept - 1] = points[size - 1]
    return kept


@_jit
def best_probabilities(means: Floats, spreads: Floats, eligible: Bools) -> Floats:
    """Probability that each eligible arm's normal variable is the largest; all ``[arms, n]``, spreads > 0.

    ``P(k is best) = integral of f_k(v) prod_{j != k} F_j(v) dv`` over the value ``v`` of the best arm, one integral for
    all arms. Its nodes follow the posteriors: Gauss-Legendre between breakpoints at fixed numbers of spreads around
    every mean, so that the density of a well-known arm is met as finely as that of an unknown one. Of breakpoints
    closer together than the narrowest spread one is enough. A Thompson policy draws from *these* numbers and not by
    sampling posteriors, so the logged propensity is exact for the policy that runs; the quadrature's error (below 1e-4)
    makes it a slightly different policy from ideal Thompson sampling and never a wrongly logged one.
    """
    arms, n = means.shape
    out = np.zeros((arms, n))
    points = np.empty(arms * BREAKPOINTS.shape[0])
    mean, spread, index = np.empty(arms), np.empty(arms), np.empty(arms, np.int64)
    below, density, before, chance = np.empty(arms), np.empty(arms), np.empty(arms), np.empty(arms)
    for i in range(n):
        count, low, narrowest = 0, -np.inf, np.inf
        for arm in range(arms):
            if eligible[arm, i]:
                index[count], mean[count], spread[count] = arm, means[arm, i], spreads[arm, i]
                narrowest = min(narrowest, spread[count])
                low = max(low, mean[count] + BREAKPOINTS[0] * spread[count])
                count += 1
        # Below `low` lies at least one arm as a whole, so the best is above it.
        size = 1
        points[0] = low
        for k in range(count):
            chance[k] = 0.0
            for step in BREAKPOINTS:
                point = mean[k] + step * spread[k]
                if point > low:
                    points[size] = point
                    size += 1
        points[:size].sort()
        size = _thinned(points, size, APART * narrowest)
        for segment in range(size - 1):
            half = 0.5 * (points[segment + 1] - points[segment])
            if half <= 0.0:
                continue
            middle = 0.5 * (points[segment + 1] + points[segment])
            for node in range(NODES.shape[0]):
                value = middle + half * NODES[node]
                product = half * WEIGHTS[node]
                for k in range(count):
                    z = (value - mean[k]) / spread[k]
                    before[k] = product
                    below[k] = 0.5 * math.erfc(-z * 0.7071067811865476)
                    density[k] = math.exp(-0.5 * z * z) / spread[k] if abs(z) < 6.0 else 0.0
                    product *= below[k]
                after = 1.0
                for k in range(count - 1, -1, -1):
                    chance[k] += density[k] * before[k] * after
                    after *= below[k]
        total = 0.0
        for k in range(count):
            total += chance[k]
        for k in range(count):
            out[index[k], i] = chance[k] / total if total > 0.0 else 1.0 / count
    return out
