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
from mevflow.operators.errors import MevflowError, UsageError
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


def _changed(log: Log, **given: Any) -> Log:
    """A log with one value of an array set: ``rewards={3: nan}``."""
    arrays = {name: getattr(log, name).copy() for name in given}
    for name, values in given.items():
        for at, value in values.items():
            arrays[name][at] = value
    return replace(log, **arrays)


@pytest.mark.parametrize("by_episode", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -0.5, 1e308])
def test_what_is_no_log_is_refused_and_nothing_is_estimated(value: float, by_episode: bool) -> None:
    """A chance of zero made an infinite weight, and every comparison with what followed was false: all passed."""
    log, target, _ = made_up(1)
    chosen = (5, int(log.arms[5]))
    cases = [
        evaluate(_changed(log, chances={chosen: value}), target, by_episode),
        evaluate(log, _changed(replace(log, chances=target), chances={chosen: value}).chances, by_episode)
        if value != 0.0
        else None,
        evaluate(_changed(log, rewards={5: value}), target, by_episode) if not math.isfinite(value) else None,
    ]
    for found in filter(None, cases):
        assert not found.support.enough
        assert found.support.needed is None
        assert found.estimates == ()


def _log(chances: list[list[float]], arms: list[int], rewards: list[float]) -> Log:
    count = len(arms)
    return Log(
        contexts=np.ones((count, 1)),
        chances=np.array(chances),
        arms=np.array(arms),
        rewards=np.array(rewards),
        episodes=np.arange(count),
        names=("0.5", "skip")[-len(chances[0]) :] if chances else (),
    )


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (_log([[0.5, 0.5]], [0], [1.0]), "worth 1 decisions"),
        (_log([[1.0]] * 300, [0] * 300, [0.0] * 300), "no decision had a choice"),
        (_log([[0.0, 1.0]] * 300, [1] * 300, [0.0] * 300), "no decision had a choice"),
        (_log([[0.05, 0.95]] * 300, [1] * 300, [0.0] * 300), "mean weight"),
        (replace(_log([[1.0]], [0], [1.0]), **{n: np.empty((0, 2)) for n in ("chances", "contexts")},
                 **{n: np.empty(0, np.int64) for n in ("arms", "episodes")}, rewards=np.empty(0)), "no decision"),
    ],
    ids=["one row", "one arm", "skip alone eligible", "all skips", "nothing"],
)  # fmt: skip
@pytest.mark.parametrize("target", ["uniform", "tip-thompson"])
def test_the_smallest_logs_are_refused_in_words(log: Log, said: str, target: str) -> None:
    for by_episode in (False, True):
        found = evaluate(log, chances_of(log, target), by_episode, once=True)
        assert not found.support.enough
        assert said in "; ".join(found.support.refusals)


def test_decisions_without_chances_are_refused_before_a_policy_runs_on_them() -> None:
    with pytest.raises(MevflowError, match="1 logged decisions have no chances"):
        chances_of(_log([[0.0, 0.0], [0.5, 0.5]], [0, 1], [0.0, 0.0]), "arm:0.5")


def test_how_many_more_is_said_where_more_would_do_and_only_there() -> None:
    """It was 0 where a single reward was too large a part, and a number where more of the same is refused as well."""
    many = _log([[0.5, 0.5]] * 400, [0, 1] * 200, [0.1, 0.0] * 200)
    always = chances_of(many, "uniform")
    assert support(many, always).needed == 0
    rich = _changed(many, rewards={0: 30.0})
    needed = support(rich, always).needed
    assert needed is not None
    assert needed >= 200
    few = _log([[0.5, 0.5]] * 50, [0, 1] * 25, [0.1, 0.0] * 25)
    assert support(few, chances_of(few, "uniform")).needed == 50
    wrong = replace(many, chances=np.tile([0.25, 0.75], (400, 1)))
    assert "mean weight" in support(wrong, chances_of(wrong, "arm:0.5")).refusals[0]
    assert support(wrong, chances_of(wrong, "arm:0.5")).needed is None
