"""Bandit policies, one a file, by the name that topology files and control commands use.

policy.py      what every policy is; state.py what its snapshot holds; probe.py whether a state can be decided with
kernels.py     drawing, mixing, the chance of being best; betas.py that of Beta variables
regression.py  the linear policies' sums
drift.py       has the market moved?
the rest       a policy each
"""

from __future__ import annotations

from collections.abc import Sequence

from mevflow.operators.errors import UsageError
from mevflow.operators.learn.auction import TipAuction
from mevflow.operators.learn.beta import BetaThompson
from mevflow.operators.learn.epsilon import EpsilonGreedy
from mevflow.operators.learn.exp3 import Exp3
from mevflow.operators.learn.kernels import draw
from mevflow.operators.learn.lints import LinThompson
from mevflow.operators.learn.linucb import LinUcb
from mevflow.operators.learn.policy import Policy, Proposal
from mevflow.operators.learn.random import UniformRandom
from mevflow.operators.learn.squarecb import SquareCb
from mevflow.operators.learn.thompson import DiscountedThompson, GaussianThompson
from mevflow.operators.learn.ucb1 import Ucb1
from mevflow.operators.learn.window import WindowThompson

__all__ = ["POLICIES", "SPECIAL", "Policy", "Proposal", "draw", "make_policy"]

POLICIES: dict[str, type[Policy]] = {
    kind.name: kind
    for kind in (
        LinUcb,
        LinThompson,
        SquareCb,
        EpsilonGreedy,
        Ucb1,
        GaussianThompson,
        DiscountedThompson,
        WindowThompson,
        BetaThompson,
        Exp3,
    )
}

#: What is asked for by name too, but does not learn which of any arms is best: one knows that arms are bids, the other
#: learns nothing.
SPECIAL: dict[str, type[Policy]] = {kind.name: kind for kind in (TipAuction, UniformRandom)}


def make_policy(
    name: str,
    arms: int,
    features: int,
    exploration: float,
    options: dict[str, float],
    hold: int = 0,
    arm_names: Sequence[str] = (),
) -> Policy:
    """A fresh policy by name. Raises UsageError that says what is wrong with name, floor or option.

    ``hold`` and ``arm_names``: see :class:`~mevflow.operators.learn.policy.Policy`.
    """
    known_policies = POLICIES | SPECIAL
    if name not in known_policies:
        raise UsageError(f"unknown policy {name!r}", hint=f"one of {', '.join(known_policies)}", key="policy")
    kind = known_policies[name]
    if not 0.0 < exploration <= 1.0:
        raise UsageError(f"exploration {exploration} is not in (0, 1]", key="exploration")
    for key, value in options.items():
        if key not in kind.options:
            known = ", ".join(kind.options) or "none"
            raise UsageError(f"{name} has no option {key!r}", hint=f"its options: {known}", key="options")
        _, lowest, highest = kind.options[key]
        if not lowest <= value <= highest:
            raise UsageError(f"{key} {value} is not in [{lowest}, {highest}]", key="options")
    policy = kind(arms, features, exploration, hold, **options)
    policy.arm_names = arm_names
    return policy
