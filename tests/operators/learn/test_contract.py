"""Every policy keeps the contract of ``mevflow.testing``."""

from __future__ import annotations

import pytest

from mevflow.operators.learn import POLICIES
from mevflow.testing import POLICY_RULES, PolicyCase


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("rule", POLICY_RULES)
def test_contract(name: str, rule: str) -> None:
    POLICY_RULES[rule](PolicyCase(name, POLICIES[name]))
