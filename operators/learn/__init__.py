"""Bandit policies, one a file, by the name that topology files and control commands use."""

from __future__ import annotations

from mevflow.operators.errors import UsageError
from mevflow.operators.learn.epsilon import EpsilonGreedy
from mevflow.operators.learn.exp3 import Exp3
from mevflow.operators.learn.kernels import draw
from mevflow.operators.learn.lints import LinThompson
from mevflow.operators.learn.linucb import LinUcb
from mevflow.operators.learn.policy import Policy, Proposal
from mevflow.operators.learn.squarecb import SquareCb
from mevflow.operators.learn.thompson import GaussianThompson
from mevflow.operators.learn.ucb1 import Ucb1

__all__ = ["POLICIES", "Policy", "Proposal", "draw", "make_policy"]

POLICIES: dict[str, type[Policy]] = {
    kind.name: kind for kind in (LinUcb, LinThompson, SquareCb, EpsilonGreedy, Ucb1, GaussianThompson, Exp3)
}


def make_policy(name: str, arms: int, features: int, exploration: float, options: dict[str, float]) -> Policy:
    """A fresh policy by name. Raises UsageError that says what is wrong with name, floor or option."""
    if name not in POLICIES:
        raise UsageError(f"unknown policy {name!r}", hint=f"one of {', '.join(POLICIES)}", key="policy")
    kind = POLICIES[name]
    if not 0.0 < exploration <= 1.0:
        raise UsageError(f"exploration {exploration} is not in (0, 1]", key="exploration")
    for key, value in options.items():
        if key not in kind.options:
            known = ", ".join(kind.options) or "none"
            raise UsageError(f"{name} has no option {key!r}", hint=f"its options: {known}", key="options")
        _, lowest, highest = kind.options[key]
        if not lowest <= value <= highest:
            raise UsageError(f"{key} {value} is not in [{lowest}, {highest}]", key="options")
    return kind(arms, features, exploration, **options)
