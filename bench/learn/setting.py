"""What the learning benches share: policies with the stage's defaults, and a figure beside its bar."""

from __future__ import annotations

from typing import Any

from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.learn import Policy, make_policy


def default_policy(name: str, arms: int, features: int, **options: float) -> Policy:
    """A policy as ``bandit.decide`` makes it when nothing but its name is given."""
    stage = BanditSettings()
    return make_policy(name, arms, features, stage.exploration, options, stage.exploration_hold)


def figure(name: str, value: float, unit: str, against: str, bar: float, lower: bool = False) -> dict[str, Any]:
    """A figure whose ratio is 1 or more when it reaches its bar; ``lower``: less is better."""
    ratio = bar / value if lower and value else value / bar if bar else None
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio and round(ratio, 3)}
