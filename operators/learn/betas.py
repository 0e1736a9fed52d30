"""The probability that each of several Beta variables is the largest, by the quadrature of normal ones.

See :func:`mevflow.operators.learn.kernels.best_probabilities` for the integral; distribution functions are regularised
incomplete beta functions by Lentz's continued fraction (Press et al., Numerical Recipes, 6.4).
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from mevflow.operators.learn.kernels import BREAKPOINTS, NODES, WEIGHTS, Bools, Floats

_jit: Any = numba.njit(cache=True, nogil=True)


@_jit
def best_beta_probabilities(alphas: Floats, betas: Floats, eligible: Bools) -> Floats:
    """Probability that each eligible arm's Beta variable is the largest; ``eligible[arms, n]``, parameters >= 1."""
    arms, n = eligible.shape
    out = np.zeros((arms, n))
    points = np.empty(arms * BREAKPOINTS.shape[0] + 2)
    below, density, before, chance = np.empty(arms), np.empty(arms), np.empty(arms), np.empty(arms)
    for i in range(n):
        size = 2
        points[0], points[1] = 0.0, 1.0
        for k in range(arms):
            chance[k] = 0.0
            if eligible[k, i]:
                weight = alphas[k] + betas[k]
                mean = alphas[k] / weight
                spread = math.sqrt(mean * (1.0 - mean) / (weight + 1.0))
                for step in BREAKPOINTS:
                    points[size] = min(max(mean + step * spread, 0.0), 1.0)
                    size += 1
        points[:size].sort()
        for segment in range(size - 1):
            half = 0.5 * (points[segment + 1] - points[segment])
            if half <= 0.0:
                continue
            middle = 0.5 * (points[segment + 1] + points[segment])
            for node in range(NODES.shape[0]):
                value = middle + half * NODES[node]
                product = half * WEIGHTS[node]
                for k in range(arms):
                    before[k] = product
                    if eligible[k, i]:
                        below[k] = beta_below(alphas[k], betas[k], value)
                        density[k] = math.exp(_log_density(alphas[k], betas[k], value))
                        product *= below[k]
                after = 1.0
                for k in range(arms - 1, -1, -1):
                    if eligible[k, i]:
                        chance[k] += density[k] * before[k] * after
                        after *= below[k]
        total, count = 0.0, 0
        for k in range(arms):
            if eligible[k, i]:
                total += chance[k]
                count += 1
        for k in range(arms):
            if eligible[k, i]:
                out[k, i] = chance[k] / total if total > 0.0 else 1.0 / count
    return out


@_jit
def _log_density(alpha: float, beta: float, value: float) -> float:
    scale = math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta)
    return scale + (alpha - 1.0) * math.log(value) + (beta - 1.0) * math.log1p(-value)


@_jit
def beta_below(alpha: float, beta: float, value: float) -> float:
    """The regularised incomplete beta function by Lentz's continued fraction (Numerical Recipes, 6.4)."""
    if value <= 0.0:
        return 0.0
    if value >= 1.0:
        return 1.0
    front = math.exp(_log_density(alpha, beta, value)) * value * (1.0 - value)
    if value < (alpha + 1.0) / (alpha + beta + 2.0):
        return front * _fraction(alpha, beta, value) / alpha
    return 1.0 - front * _fraction(beta, alpha, 1.0 - value) / beta


@_jit
def _fraction(alpha: float, beta: float, value: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 - (alpha + beta) * value / (alpha + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 10_000):
        even = m * (beta - m) * value / ((alpha + 2 * m - 1.0) * (alpha + 2 * m))
        d = 1.0 + even * d
        c = 1.0 + even / c
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = c if abs(c) > tiny else tiny
        result *= d * c
        odd = -(alpha + m) * (alpha + beta + m) * value / ((alpha + 2 * m) * (alpha + 2 * m + 1.0))
        d = 1.0 + odd * d
        c = 1.0 + odd / c
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = c if abs(c) > tiny else tiny
        result *= d * c
        if abs(d * c - 1.0) < 1e-10:
            break
    return result
