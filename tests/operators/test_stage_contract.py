"""Every stage of the catalogue keeps the contract of ``mevflow.testing``, over the table in stage_cases.py."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.flows.spec import catalogue
from mevflow.testing import STAGE_RULES, Outputs, StageCase, assert_same, cut
from tests.operators.stage_cases import CASES

#: Of the policies that one stage runs, those whose stage is tried for long: each policy has a contract of its own, with
#: memory and cuts among its rules (tests/operators/learn).
_TRIED_LONG = {"bandit.decide tip-linucb", "bandit.decide tip-auction"}
LONG = [case for case in CASES if not case.name.startswith("bandit.decide tip-") or case.name in _TRIED_LONG]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EVERY
@pytest.mark.parametrize("rule", [rule for rule in STAGE_RULES if rule != "memory_is_bounded"])
def test_contract(case: StageCase, rule: str) -> None:
    STAGE_RULES[rule](case)


@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
def test_memory_is_bounded(case: StageCase) -> None:
    STAGE_RULES["memory_is_bounded"](case)


@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
@settings(max_examples=12, deadline=None)
@given(at=st.lists(st.integers(0, 1 << 16), max_size=12))
def test_no_cut_that_hypothesis_finds_changes_the_output(case: StageCase, at: list[int]) -> None:
    assert_same(Outputs().give(case.make(), cut(case.feed(), at)).tables(), case.whole())


def test_the_cases_cover_every_stage_of_the_catalogue() -> None:
    parts = {use: catalogue.part(use) for use in catalogue.BUILT_IN}
    stages = {use for use, kind in parts.items() if catalogue.role(kind) == "stage"}
    assert {case.make().use for case in CASES} == stages
