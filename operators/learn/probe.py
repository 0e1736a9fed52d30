"""Whether a learned state can be decided with: tried on contexts before it is accepted."""

from __future__ import annotations

import numpy as np

from mevflow.operators.errors import StateError
from mevflow.operators.learn.kernels import proper
from mevflow.operators.learn.policy import Policy
from mevflow.operators.learn.state import MAX_UPDATES

_CONTEXTS = 64

#: No score that ranks arms by rewards in [-1, 1] needs to be larger; UCB1's untried arms have 1e9.
_LARGEST_SCORE = 2e9

#: Rewards that a state must leave room for: it may not be refused after a restart for what it learned since.
_ROOM = 10**12


def probe(policy: Policy) -> None:
    """Let a policy decide on made-up contexts, small ones and large ones, and learn from one of them.

    Raises StateError when it raises, when a column is no distribution over its eligible arms, or when a score is
    without measure, or when what it has learned then would be refused. The policy given stays as it was.
    """
    if policy.updates > MAX_UPDATES - _ROOM:
        raise StateError(f"updates is {policy.updates}: there is no room left to learn", key=policy.name)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(policy.features, _CONTEXTS)) * 10.0 ** rng.integers(-3, 4, _CONTEXTS)
    x[0] = 1.0
    eligible = rng.random((policy.arms, _CONTEXTS)) < 0.5
    eligible[-1] = True
    eligible[:, 0] = True
    try:
        twin = _twin(policy)
        for _ in range(2):
            proposal = twin.propose(x, eligible)
            column = proper(proposal.propensities, eligible)
            if column < _CONTEXTS:
                raise StateError("chances of a context are no distribution over its eligible arms", key=policy.name)
            largest = np.abs(np.where(eligible, proposal.scores, 0.0)).max()
            if not (largest <= _LARGEST_SCORE and np.isfinite(proposal.expected).all()):
                raise StateError(f"a score is {largest:.4g}", key=policy.name)
            chance = proposal.propensities[0, :1]
            twin.update(np.ascontiguousarray(x[:, :1].T), np.zeros(1, np.int64), np.ones(1), chance)
        _twin(twin)
    except (ArithmeticError, ValueError, IndexError) as error:
        raise StateError(f"the state cannot be decided with: {error}", key=policy.name) from None


def _twin(policy: Policy) -> Policy:
    twin = type(policy)(policy.arms, policy.features, policy.exploration, policy.hold, **policy.option)
    twin.arm_names = policy.arm_names
    twin.restore(policy.snapshot())
    return twin
