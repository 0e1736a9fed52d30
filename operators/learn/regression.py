"""Ridge regressions of reward on standardised contexts, one an arm, compiled.

What is kept of every arm are plain sums over its contexts, ``G = sum x x'`` and ``b = sum reward x``, in the units
that contexts come in. Standardised contexts are ``z = T x``: less the mean and by the spread of everything seen, which
is a linear map because feature 0 is the constant 1. So the regression in ``z`` follows exactly from the sums,
``A = ridge I + T G T'``, under whatever mean, spread and ridge are in force: none of them is baked into what was
learned.

Columns (contexts) are computed one by one in a written order, so no result depends on its neighbours.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from mevflow.operators.learn.kernels import Bools, Floats, Ints

_jit: Any = numba.njit(cache=True, nogil=True)

#: Contexts are cut off at so many spreads from their mean, so that one outlier cannot throw a score anywhere.
LIMIT = 4.0

#: The frame is fitted anew when the number of contexts has grown by this factor.
_GROWTH = 1.1

#: Imagined contexts with spread 1: what a frame of few contexts leans on.
_PRIOR = 10.0


@_jit
def accumulate(
    gram: Floats, moment: Floats, pulls: Floats, seen: Floats, frame: Floats, x: Floats, arms: Ints, rewards: Floats
) -> bool:
    """Add contexts ``x[i, features]`` with their rewards, in order. Gives whether the frame has moved.

    ``seen[0]`` and ``seen[1]`` are sums of features and of their squares, ``seen[2, 0]`` how many contexts there were;
    ``frame[0]`` is the mean, ``frame[1]`` the spread, ``frame[2, 0]`` the number of contexts they are of, and
    ``frame[3, 0]`` is 1 when there is none.
    """
    features = x.shape[1]
    moved = False
    for i in range(arms.shape[0]):
        arm = arms[i]
        pulls[arm] += 1.0
        for j in range(features):
            moment[arm, j] += rewards[i] * x[i, j]
            for k in range(features):
                gram[arm, j, k] += x[i, j] * x[i, k]
            seen[0, j] += x[i, j]
            seen[1, j] += x[i, j] * x[i, j]
        seen[2, 0] += 1.0
        if seen[2, 0] > frame[2, 0] * _GROWTH:
            _fit(seen, frame)
            moved = True
    return moved


@_jit
def _fit(seen: Floats, frame: Floats) -> None:
    count = seen[2, 0]
    frame[2, 0] = count
    if seen[0, 0] != count or seen[1, 0] != count:
        # Feature 0 is no constant, so means cannot be taken out: contexts stay as they come.
        frame[0], frame[1], frame[3, 0] = 0.0, 1.0, 1.0
        return
    frame[3, 0] = 0.0
    for j in range(1, seen.shape[1]):
        mean = seen[0, j] / count
        variance = seen[1, j] / count - mean * mean
        frame[0, j] = mean
        # A feature that never varied has no spread of its own.
        varied = variance > 1e-12 * (1.0 + mean * mean)
        frame[1, j] = math.sqrt((count * variance + _PRIOR) / (count + _PRIOR)) if varied else 1.0


@_jit
def standardise(x: Floats, frame: Floats) -> Floats:
    """Contexts ``x[features, n]`` in the frame, cut off at ``LIMIT``; feature 0 as it is."""
    features, n = x.shape
    limit = LIMIT if frame[3, 0] == 0.0 else np.inf
    out = np.empty((features, n))
    for j in range(features):
        for i in range(n):
            z = (x[j, i] - frame[0, j]) / frame[1, j]
            out[j, i] = z if j == 0 else min(max(z, -limit), limit)
    return out


@_jit
def solve(
    gram: Floats,
    moment: Floats,
    frame: Floats,
    ridge: float,
    root: Floats,
    coefficients: Floats,
    explained: Floats,
    stale: Bools,
) -> bool:
    """Bring ``root``, ``coefficients`` and ``explained`` of the stale arms up to date; none is stale then.

    ``root = L^-1`` (lower) where ``A = L L'`` (Cholesky), so that ``A^-1 = root' root``. ``explained`` is
    ``b' A^-1 b``: what the regression takes off the sum of squared rewards. False: a singular arm.
    """
    arms, features, _ = gram.shape
    a = np.empty((features, features))
    b = np.empty(features)
    for arm in range(arms):
        if not stale[arm]:
            continue
        _framed(gram[arm], moment[arm], frame, a, b)
        for j in range(features):
            a[j, j] += ridge
        if not _inverse_root(a, root[arm]):
            return False
        explained[arm] = 0.0
        for j in range(features):
            total = 0.0
            for k in range(j + 1):
                total += root[arm, j, k] * b[k]
            a[0, j] = total  # L^-1 b
            explained[arm] += total * total
        for k in range(features):
            total = 0.0
            for j in range(k, features):
                total += root[arm, j, k] * a[0, j]
            coefficients[arm, k] = total
        stale[arm] = False
    return True


@_jit
def _framed(gram: Floats, moment: Floats, frame: Floats, a: Floats, b: Floats) -> None:
    """``a = T gram T'`` and ``b = T moment`` (lower triangle of ``a``)."""
    features = moment.shape[0]
    for j in range(features):
        b[j] = (moment[j] - frame[0, j] * moment[0]) / frame[1, j]
        for k in range(j + 1):
            # The mean of feature 0 is 0, so nothing is taken from it.
            value = gram[j, k] - frame[0, j] * gram[0, k] - frame[0, k] * gram[j, 0]
            value += frame[0, j] * frame[0, k] * gram[0, 0]
            a[j, k] = value / (frame[1, j] * frame[1, k])


@_jit
def _inverse_root(a: Floats, root: Floats) -> bool:
    """``root = L^-1`` of ``a = L L'``; overwrites the lower triangle of ``a`` by ``L``. False: not definite."""
    n = a.shape[0]
    for j in range(n):
        pivot = a[j, j]
        for k in range(j):
            pivot -= a[j, k] * a[j, k]
        if not (pivot > 1e-300 and pivot < 1e300):
            return False
        pivot = math.sqrt(pivot)
        a[j, j] = pivot
        for i in range(j + 1, n):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = total / pivot
    for j in range(n):
        root[j, j] = 1.0 / a[j, j]
        for i in range(j + 1, n):
            total = 0.0
            for k in range(j, i):
                total += a[i, k] * root[k, j]
            root[i, j] = -total / a[i, i]
            root[j, i] = 0.0
    return True


@_jit
def combine(weights: Floats, z: Floats) -> Floats:
    """``weights[arms, features] @ z[features, n]``."""
    arms, features = weights.shape
    n = z.shape[1]
    out = np.empty((arms, n))
    for arm in range(arms):
        for i in range(n):
            total = 0.0
            for feature in range(features):
                total += weights[arm, feature] * z[feature, i]
            out[arm, i] = total
    return out


@_jit
def deviations(root: Floats, z: Floats) -> Floats:
    """``sqrt(z' A^-1 z)`` for ``root[arms, features, features]`` (see :func:`solve`), as ``[arms, n]``."""
    arms, features, _ = root.shape
    n = z.shape[1]
    out = np.empty((arms, n))
    for arm in range(arms):
        for i in range(n):
            total = 0.0
            for j in range(features):
                row = 0.0
                for k in range(j + 1):
                    row += root[arm, j, k] * z[k, i]
                total += row * row
            out[arm, i] = math.sqrt(total)
    return out
