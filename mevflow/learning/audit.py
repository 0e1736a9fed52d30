"""Are the logged chances those that arms were drawn with? Every decision is asked, and all of them together.

One by one: chances are a distribution over the eligible arms, none is below its floor, the chosen arm's is the one that
was logged, and the draw gives the arm again. Together: each arm was chosen as often as its chances say (z scores).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mevflow.operators.errors import MevflowError
from mevflow.operators.learn import draw

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_DECISIONS = """
SELECT decision_id, arm, propensity, exploration, seed, arms, arm_propensities FROM mev_decisions FINAL
WHERE run_id = {run:String} AND topology = {topology:String}
ORDER BY timestamp, decision_id LIMIT {most:UInt64}
"""
MOST = 2_000_000
_ROUNDING = 1e-9
#: An arm chosen so far from what its chances say is a fault: less than once in 300,000 audits by chance.
_LARGEST_Z = 4.7


@dataclass(slots=True)
class PropensityAudit:
    """What was found. ``faults``: what is wrong -> ids of decisions, ten at most; ``counts``: how many there were.

    ``arms``: arm -> (chosen, expected, z); ``z`` is NaN for an arm that every decision was certain about.
    """

    decisions: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    arms: dict[str, tuple[int, float, float]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """No decision is wrong, and no arm was chosen too often or too seldom."""
        return not self.faults and all(not abs(z) > _LARGEST_Z for _, _, z in self.arms.values())

    def fault(self, what: str, identifier: str) -> None:
        """Note a decision."""
        self.counts[what] = self.counts.get(what, 0) + 1
        some = self.faults.setdefault(what, [])
        if len(some) < 10:
            some.append(identifier)


def audit(client: Client, topology: str, run_id: str = "") -> PropensityAudit:
    """Audit the decisions of a run. Raises MevflowError when there is none."""
    rows = client.query(_DECISIONS, {"run": run_id, "topology": topology, "most": MOST}).result_rows
    if not rows:
        raise MevflowError(f"no decision of {topology}", hint="mevflow evaluate says what there is", key=topology)
    found = PropensityAudit(len(rows))
    sums: dict[str, list[float]] = {}
    for row in rows:
        _one(found, sums, *row)
    for arm, (chosen, expected, variance) in sorted(sums.items()):
        z = (chosen - expected) / math.sqrt(variance) if variance > 0.0 else math.nan
        found.arms[arm] = (int(chosen), expected, z)
    return found


def _one(
    found: PropensityAudit,
    sums: dict[str, list[float]],
    identifier: str,
    arm: str,
    propensity: float,
    exploration: float,
    seed: int,
    arms: list[Any],
    chances: list[float],
) -> None:
    if len(arms) != len(chances) or arm not in arms or len(set(arms)) != len(arms):
        found.fault("the chosen arm is not among the eligible ones, or an arm has no chance", identifier)
        return
    if not abs(sum(chances) - 1.0) <= _ROUNDING or min(chances) < 0.0:
        found.fault("chances are no distribution", identifier)
    if min(chances) < exploration / len(arms) - _ROUNDING:
        found.fault("an eligible arm has less than its floor", identifier)
    if chances[arms.index(arm)] != propensity:
        found.fault("the logged propensity is not the chosen arm's chance", identifier)
    if arms[int(draw(np.array(chances)[:, None], np.array([seed], np.uint64))[0])] != arm:
        found.fault("the draw gives another arm", identifier)
    for name, chance in zip(arms, chances, strict=True):
        own = sums.setdefault(name, [0.0, 0.0, 0.0])
        own[0] += name == arm
        own[1] += chance
        own[2] += chance * (1.0 - chance)
