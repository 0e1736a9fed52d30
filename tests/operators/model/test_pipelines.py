"""Pipelines by name: what may be asked for, and that it is river's own that one gets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from river import datasets

from mevflow.operators.errors import UsageError
from mevflow.operators.model.contest import Contest
from mevflow.operators.model.metrics import Progress
from mevflow.operators.model.pipelines import STEPS, learns_many, recipe_of, said, steps_of
from mevflow.operators.model.settings import ModelSettings

LINEAR = "StandardScaler | LogisticRegression"


def test_phishing_is_classified_as_river_says() -> None:
    """River's own page: progressive validation of this pipeline on its data set Phishing gives 89.28 %."""
    contest = Contest({"champion": recipe_of(LINEAR)})
    right = rows = 0
    for row, label in datasets.Phishing():
        score, said_of = contest.scores(row)
        # River says False for 0.5 as for less.
        right += (score > 0.5) == label
        rows += 1
        contest.learn(row, said_of, float(label))
    assert f"{right / rows:.2%}" == "89.28%"
    assert contest.champion.progress.labels == rows == 1_250


@pytest.mark.parametrize(
    "given",
    [
        "",
        "LogisticRegression | StandardScaler",
        "StandardScaler",
        "StandardScaler | StandardScaler | LogisticRegression",
        "__import__('os')",
        "linear_model.LogisticRegression",
        ["StandardScaler", {"LogisticRegression": {"lr": "0.1"}}],
        ["StandardScaler", {"LogisticRegression": {"lr": float("nan")}}],
        ["StandardScaler", {"LogisticRegression": {"loss": 1}}],
        [{"HoeffdingTreeClassifier": {"max_depth": 10**9}}],
        [{"HoeffdingTreeClassifier": {"max_depth": 2.5}}],
        [{"HoeffdingTreeClassifier": {"max_depth": True}}],
        [{"HoeffdingTreeClassifier": {"max_depth": float("nan")}}],
        [{"HoeffdingTreeClassifier": {"grace_period": float("inf")}}],
        [{"HoeffdingTreeClassifier": {"grace_period": 10**400}}],
        [{"LogisticRegression": {"optimizer": "rmsprop"}}],
        [["LogisticRegression", {}], 3],
        {"LogisticRegression": {}},
        None,
        [[[]]],
    ],
)
def test_what_is_no_pipeline_is_refused(given: Any) -> None:
    with pytest.raises(UsageError):
        recipe_of(given)
    with pytest.raises(ValidationError):
        ModelSettings(chain="solana", target="survives", champion=given)


def test_every_step_is_made_with_its_defaults_and_named_again() -> None:
    for name, step in STEPS.items():
        chain = [name] if step.kind != "scaler" else [name, "LogisticRegression"]
        recipe = recipe_of(chain)
        assert len(steps_of(recipe)) == len(chain)
        assert said(recipe) == " | ".join(chain)
        assert recipe_of(list(recipe)) == recipe


def test_a_target_wants_its_kind_and_a_large_lesson_wants_learn_many() -> None:
    for wrong in (
        {"target": "decay", "champion": LINEAR},
        {"target": "survives", "champion": "LinearRegression"},
        {"target": "survives", "champion": "HoeffdingTreeClassifier", "learn_batch": 8},
        {"target": "survives", "champion": LINEAR, "challengers": {"fresh": LINEAR}},
        {"target": "survives", "champion": LINEAR, "challengers": dict.fromkeys("abcd", LINEAR)},
        {"target": "survives", "champion": LINEAR, "chain": "nowhere"},
    ):
        with pytest.raises(ValidationError):
            ModelSettings.model_validate({"chain": "solana", **wrong})
    assert learns_many(recipe_of(LINEAR))
    assert not learns_many(recipe_of("MinMaxScaler | LogisticRegression"))


def test_the_figures_are_those_of_their_definitions() -> None:
    progress = Progress()
    pairs = [(0.9, 1.0), (0.8, 0.0), (0.3, 0.0), (0.6, 1.0), (0.1, 0.0)]
    for score, label in pairs:
        progress.update(score, label)
    # Five of the six pairs of a positive and a negative are in order.
    assert progress.roc_auc == pytest.approx(5 / 6)
    assert progress.mae == pytest.approx(sum(abs(s - y) for s, y in pairs) / 5)
    assert progress.ece == pytest.approx((0.1 + 0.8 + 0.3 + 0.4 + 0.1) / 5)
    again = Progress()
    again.restore(progress.snapshot())
    assert again.snapshot() == progress.snapshot()
