"""The probability that each of several normal variables is the largest, for Thompson sampling's propensities.

``P(k is best) = E_z[ prod_j Phi((m_k + s_k z - m_j) / s_j) ]`` with ``z`` standard normal, by Gauss-Hermite
quadrature with a fixed set of nodes, then normalised. A Thompson policy draws its arm from *these* numbers
and not by sampling posteriors, so the logged propensity is exact for the policy that runs; the quadrature's error
makes it a slightly different policy from ideal Thompson sampling and never a wrongly logged one.
"""

from __future__ import annotations

import numpy as np

from operators.learn.policy import Bools, Floats, column_sum

#: Nodes for a standard normal, and their weights (they sum to 1).
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def normal_cdf(x: Floats) -> Floats:
    """Phi, absolute error below 1e-7 (Abramowitz and Stegun 26.2.17)."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(x))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-0.5 * x * x) * (poly * 0.3989422804014327)
    return np.where(x >= 0.0, 1.0 - upper, upper)


def best_probabilities(means: Floats, spreads: Floats, eligible: Bools) -> Floats:
    """Probability that each eligible arm of a column is the best; all arguments are ``[arms, n]``, spreads > 0."""
    arms = means.shape[0]
    result = np.zeros_like(means)
    for arm in range(arms):
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            value = means[arm] + spreads[arm] * node
            beats = np.full_like(value, weight)
            for other in range(arms):
                if other != arm:
                    beats *= np.where(eligible[other], normal_cdf((value - means[other]) / spreads[other]), 1.0)
            result[arm] += beats
    result *= eligible
    return result / column_sum(result)
