"""The landing rule, case by case, and its money."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mevflow.operators.outcomes import Fate, Rival, judge, rewards_usd, tip_raw

OPEN = Fate(
    decided_slot=100,
    latency_slots=2,
    closed_slot=None,
    expected_usd=10.0,
    landing_usd=10.0,
    landed_cost_usd=0.5,
    missed_cost_usd=0.25,
    rival=Rival("unseen"),
    rival_share=0.5,
)


def test_a_cycle_that_still_pays_after_our_slot_is_landed() -> None:
    for closed in (None, 103):
        verdict = judge(replace(OPEN, closed_slot=closed), 0.25)
        assert (verdict.kind, verdict.reward_usd) == ("landed", 10.0 - 2.5 - 0.5)


def test_a_cycle_that_closed_before_our_slot_is_missed_at_the_price_of_a_failed_attempt() -> None:
    verdict = judge(replace(OPEN, closed_slot=101), 0.9)
    assert (verdict.kind, verdict.reward_usd) == ("missed", -0.25)
    assert "state=gone" in verdict.evidence


@pytest.mark.parametrize(("share", "kind"), [(0.25, "missed"), (0.5, "landed"), (0.75, "landed")])
def test_a_contested_slot_with_an_unknown_rival_goes_by_the_assumed_share(share: float, kind: str) -> None:
    verdict = judge(replace(OPEN, closed_slot=102), share)
    assert verdict.kind == kind
    assert "rival_bid=unknown assumed_rival_share=0.5" in verdict.evidence


def test_without_an_assumption_contested_bids_miss() -> None:
    assert judge(replace(OPEN, closed_slot=102, rival_share=math.nan), 0.9).kind == "missed"


@pytest.mark.parametrize(("share", "kind"), [(0.25, "missed"), (0.5, "landed")])
def test_a_rival_whose_bid_is_in_the_data_is_beaten_by_a_higher_one_only(share: float, kind: str) -> None:
    rival = Rival("round_trip", b"\x01\x02", bid_usd=4.0)
    verdict = judge(replace(OPEN, closed_slot=102, rival=rival), share)
    assert verdict.kind == kind
    assert "closed_by=round_trip signer=0102 rival_bid_usd=4" in verdict.evidence


def test_a_tip_above_the_profit_that_is_left_reverts() -> None:
    shrunk = replace(OPEN, landing_usd=3.0)
    assert judge(shrunk, 0.25).reward_usd == 3.0 - 2.5 - 0.5
    verdict = judge(shrunk, 0.5)
    assert (verdict.kind, verdict.reward_usd) == ("missed", -0.25)
    assert "reverted=profit_below_tip" in verdict.evidence


def test_a_skip_costs_and_earns_nothing() -> None:
    assert judge(replace(OPEN, closed_slot=101), 0.0).kind == "skipped"
    assert judge(OPEN, 0.0).reward_usd == 0.0


@settings(deadline=None)
@given(
    closed=st.one_of(st.none(), st.integers(100, 104)),
    landing=st.floats(0, 20),
    share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    bid=st.one_of(st.none(), st.floats(0, 20)),
)
def test_the_rewards_of_all_arms_agree_with_the_verdict_of_each(
    closed: int | None, landing: float, share: float, bid: float | None
) -> None:
    fate = replace(OPEN, closed_slot=closed, landing_usd=landing, rival=Rival("swap", b"", bid))
    verdict = judge(fate, share)
    columns = [np.array([value]) for value in (fate.state, 10.0, landing, fate.rival_usd)]
    costs = [np.array([value]) for value in (0.5, 0.25)]
    assert rewards_usd(*columns, 0.5, *costs, np.array([share])) == verdict.reward_usd
    if verdict.kind == "landed":
        assert verdict.reward_usd == landing - 0.5 - 10.0 * share
    else:
        assert verdict.reward_usd == (0.0 if share == 0.0 else -0.25)


@given(st.integers(-(1 << 127), (1 << 127) - 1), st.integers(0, 100))
def test_the_tip_is_the_exact_floor(net: int, percent: int) -> None:
    tip = tip_raw(net, Fraction(percent, 100))
    if net <= 0:
        assert tip == 0
    else:
        assert tip * 100 <= net * percent < (tip + 1) * 100
