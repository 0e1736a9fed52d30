"""Estimates against the truth of made-up logs and the published values of Open Bandit Data; what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mevflow.bench.learn import openbandit
from mevflow.bench.learn.evaluation import PUBLISHED, coverage, made_up, misses, relative_value
from mevflow.learning.evaluation import estimators
from mevflow.learning.evaluation.gate import support
from mevflow.learning.evaluation.log import Log, balanced_weights
from mevflow.learning.evaluation.report import evaluate
from mevflow.learning.evaluation.sequences import confidence_sequence
from mevflow.learning.evaluation.targets import chances_of
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.errors import UsageError
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from tests.operators.decide.opportunities import stream


@pytest.mark.parametrize("campaign", PUBLISHED)
def test_open_bandit_values_are_the_published_ones_to_the_digit(campaign: str) -> None:
    value, ess = PUBLISHED[campaign]
    log = openbandit.load("bts", campaign)
    weights = log.uniform_weights()
    assert round(estimators.snips(weights, log.click), 5) == value
    assert round(estimators.effective(weights)) == ess


def test_the_relative_value_of_bernoulli_ts_is_that_of_obp() -> None:
    assert relative_value() == pytest.approx(1.198126, abs=0.001)


def test_every_estimate_is_near_the_truth_where_the_log_covers_the_target() -> None:
    found = {}
    for seed in range(8):
        log, target, truth = made_up(seed)
        for estimate in evaluate(log, target).estimates:
            found.setdefault(estimate.method, []).append(estimate.value - truth)
    for method, errors in found.items():
        assert abs(np.mean(errors)) < 0.04, method
    assert np.std(found["dr"]) < np.std(found["ips"])


def test_an_interval_that_holds_at_any_look_does_where_the_normal_one_does_not() -> None:
    missed, _ = misses(60)
    assert missed["sequence"] <= 0.05
    assert missed["normal"] > 0.2


def test_doubly_robust_intervals_cover_at_one_look() -> None:
    assert coverage(60) >= 0.88  # 0.95 of 200 runs: see the bench


def test_a_sequence_narrows_and_stays_within_its_range() -> None:
    rng = np.random.default_rng(3)
    lower, upper = confidence_sequence(rng.uniform(-1, 1, 20_000) * 0.5 + 0.2, -1.0, 1.0)
    assert (np.diff(lower) >= 0).all()
    assert (np.diff(upper) <= 0).all()
    assert lower[0] >= -1.0
    assert upper[0] <= 1.0
    assert lower[-1] < 0.2 < upper[-1]
    assert upper[-1] - lower[-1] < 0.05


def uniform_log(campaign: str) -> tuple[Log, np.ndarray]:
    """Impressions as a log: the other items share what the shown one's propensity leaves."""
    data = openbandit.load("bts", campaign)
    rows, items = len(data.item), data.items
    chances = np.repeat(((1.0 - data.propensity) / (items - 1))[:, None], items, axis=1)
    chances[np.arange(rows), data.item] = data.propensity
    log = Log(np.ones((rows, 1)), chances, data.item, data.click, np.arange(rows))
    return log, np.full(chances.shape, 1.0 / items)


def test_the_campaign_with_a_weight_of_21_739_is_refused() -> None:
    found = support(*uniform_log("women"))
    assert not found.enough
    assert found.largest_weight == pytest.approx(1 / 46 / 1e-6, rel=0.01)
    assert any("of all weight" in reason for reason in found.refusals)
    assert found.needed is not None
    assert found.needed > 10_000


def test_weight_on_decisions_without_a_choice_is_no_support() -> None:
    """As on a log where only skip was eligible in most rows: plain ESS says 31 of 63, all of it from those."""
    rng = np.random.default_rng(1)
    chances = np.zeros((63, 2))
    chances[:31, 1] = 1.0
    chances[31:] = [0.999, 0.001]
    arms = np.where(np.arange(63) < 31, 1, 0)
    log = Log(np.ones((63, 1)), chances, arms, rng.normal(size=63), np.arange(63), ("0.5", "skip"))
    target = chances_of(log, "arm:skip")
    assert estimators.effective(log.weights(target)) == pytest.approx(31.0)
    found = support(log, target)
    assert found.effective == 0.0
    assert found.choices == 32
    assert not found.enough
    assert found.needed is None


def test_wrong_propensities_are_noticed_by_the_mean_weight() -> None:
    log, target, _ = made_up(2)
    wrong = replace(log, chances=np.full(log.chances.shape, 0.25))
    assert support(log, target).enough
    assert any("mean weight" in reason for reason in support(wrong, target).refusals)


def test_totals_by_episode_are_those_that_the_target_itself_brings() -> None:
    """Within 2 % over many logs of one record: a policy that bids is done with an episode where one that skips is not.

    The truth is the stage itself, bidding 0.5 always, on the same synthetic record.
    """
    record = stream(400, seed=12)
    truth = stored_log(record, fallback={"arm": "0.5", "below": 1 << 40}, exploration=1e-12, policy="tip-random")
    brought = truth.rewards.sum()
    estimates, naive = [], []
    for seed in range(250):
        log = stored_log(record, policy="tip-random", seed=seed)
        found = evaluate(log, chances_of(log, "arm:0.5"), by_episode=True)
        estimates.append(found.estimates[0].value * found.units)
        single = evaluate(log, chances_of(log, "arm:0.5"))
        naive.append(single.estimates[0].value * single.units)
    assert np.mean(estimates) == pytest.approx(brought, rel=0.02)
    assert abs(np.mean(naive) / brought - 1) > 0.02


def stored_log(record: pa.RecordBatch, **given: Any) -> Log:
    """What the stage decides and settles on a record, two arms and skip, as the evaluation reads it."""
    stage = BanditDecide(
        BanditSettings(**({"arms": ("0.5",), "exploration": 1.0} | given)), StageContext("test", "decided")
    )
    out = [*stage.process("in", record), *stage.on_watermark("in", Watermark(CAUGHT_UP_US, final=True))]
    made = {row["decision_id"]: row for port, b in out if port == "decisions" for row in b.to_pylist()}
    told = {row["decision_id"]: row for port, b in out if port == "outcomes" for row in b.to_pylist()}
    rows = [(row, told[key]) for key, row in made.items()]
    names = ("0.5", "skip")
    chances = np.array(
        [[dict(zip(r["arms"], r["arm_propensities"], strict=True)).get(n, 0.0) for n in names] for r, _ in rows]
    )
    _, episodes = np.unique([row["episode_id"] for row, _ in rows], return_inverse=True)
    return Log(
        contexts=np.array([row["features"] for row, _ in rows]),
        chances=chances,
        arms=np.array([names.index(row["arm"]) for row, _ in rows]),
        rewards=np.array([outcome["reward_usd"] for _, outcome in rows]),
        episodes=episodes,
        names=names,
    )


def test_weights_over_several_loggers_do_not_explode() -> None:
    target = np.array([0.5, 0.5])
    by_logger = np.array([[0.001, 0.5], [0.5, 0.5]])
    weights = balanced_weights(target, by_logger, np.array([100, 100]))
    assert weights == pytest.approx([0.5 / 0.2505, 1.0])


def test_a_target_runs_on_the_record_and_learns_from_the_past_alone() -> None:
    log, _, _ = made_up(5, 600)
    log = replace(log, names=("a", "b", "c", "d"))
    whole = chances_of(log, "tip-linucb")
    half = {name: getattr(log, name)[:300] for name in ("contexts", "chances", "arms", "rewards", "episodes")}
    assert np.array_equal(chances_of(replace(log, **half), "tip-linucb"), whole[:300])
    assert np.allclose(whole.sum(axis=1), 1.0)
    with pytest.raises(UsageError, match="no policy is called"):
        chances_of(log, "tip-nothing")


def test_with_once_there_are_normal_intervals_for_all() -> None:
    log, target, _ = made_up(6)
    for estimate in evaluate(log, target, once=True).estimates:
        assert not math.isnan(estimate.low)
        assert estimate.low < estimate.value < estimate.high
