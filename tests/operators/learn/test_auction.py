"""The auction policy: what one outcome says about other bids, and exact chances on its grid."""

from __future__ import annotations

import numpy as np

from mevflow.operators.learn import draw, make_policy
from mevflow.operators.learn.auction import TipAuction

ARMS = [f"{share:.2f}" for share in np.arange(1, 20) / 20] + ["skip"]


def auction() -> TipAuction:
    policy = make_policy("tip-auction", len(ARMS), 1, 0.05, {}, hold=4, arm_names=ARMS)
    assert isinstance(policy, TipAuction)
    return policy


def bid(policy: TipAuction, arm: str, won: bool, times: int) -> None:
    arms = np.full(times, ARMS.index(arm))
    policy.update(np.ones((times, 1)), arms, np.full(times, 0.4 if won else -0.01), np.full(times, 0.1))


def test_a_win_speaks_for_higher_bids_and_a_loss_against_lower_ones() -> None:
    policy = auction()
    bid(policy, "0.50", True, 60)
    below = policy.below()
    assert (below[ARMS.index("0.50") : -1] > 0.9).all()
    bid(policy, "0.30", False, 60)
    below = policy.below()
    assert (below[: ARMS.index("0.30") + 1] < 0.1).all()
    assert (np.diff(below[:-1]) >= -1e-12).all()


def test_draws_follow_the_logged_chances_over_changing_sets_of_bids() -> None:
    """Chi-square of 100,000 draws; the 0.001 quantile of so many degrees of freedom is far away."""
    from scipy.stats import chi2

    rng = np.random.default_rng(5)
    policy = auction()
    for arm, won in (("0.30", False), ("0.50", True), ("0.40", True), ("0.40", False)):
        bid(policy, arm, won, 10)
    eligible = rng.random((len(ARMS), 100_000)) < 0.8
    eligible[-1] = True
    chances = policy.propose(np.ones((1, 100_000)), eligible).propensities
    drawn = np.bincount(draw(chances, rng.integers(0, 1 << 63, 100_000).astype(np.uint64)), minlength=len(ARMS))
    hoped = chances.sum(axis=1)
    statistic = ((drawn - hoped) ** 2 / hoped).sum()
    assert chi2.sf(statistic, len(ARMS) - 1) > 0.001


def test_it_finds_the_bid_just_above_the_rivals() -> None:
    rng = np.random.default_rng(7)
    policy, eligible = auction(), np.ones((len(ARMS), 1), np.bool_)
    for _ in range(1_500):
        chances = policy.propose(np.ones((1, 1)), eligible).propensities
        arm = draw(chances, rng.integers(0, 1 << 63, 1).astype(np.uint64))
        won = ARMS[arm[0]] != "skip" and float(ARMS[arm[0]]) > rng.normal(0.32, 0.02)
        policy.update(np.ones((1, 1)), arm, np.array([0.5 if won else -0.01]), chances[arm, 0])
    assert ARMS[int(chances[:, 0].argmax())] in ("0.35", "0.40")
