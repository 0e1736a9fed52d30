"""River models: what the stage's pipelines cost, what river's own page says, and how promotions err."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from river import datasets

from mevflow.bench.learn.setting import figure
from mevflow.operators.model.challenge import Challenge, needed
from mevflow.operators.model.contest import Contest
from mevflow.operators.model.pipelines import recipe_of

_LINEAR = "StandardScaler | LogisticRegression"
_TREE = "StandardScaler | HoeffdingAdaptiveTreeClassifier"
_RUNS, _ROWS, _POWER_RUNS, _POWER_ROWS = 1_000, 2_000, 40, 20_000


def figures() -> list[dict[str, Any]]:
    """Each beside its bar."""
    accuracy = phishing()
    found = [figure("Phishing, StandardScaler | LogisticRegression", accuracy, "%", "river's page 89.28 %", 89.28)]
    for name, pipeline in (("logistic", _LINEAR), ("adaptive tree", _TREE)):
        p99_ms, rate = cost(pipeline)
        found.append(figure(f"{name}: P99 of a score", p99_ms, "ms", "aim of 1 ms", 1.0, lower=True))
        found.append(figure(f"{name}: scores with lessons", rate, "rows/CPU s", "", 0.0))
    found.append(figure("A/A, promoted in 1,000 runs", false_promotions(), "of runs", "aim of .05", 0.05, lower=True))
    found.append(figure("a 2 % gain, found within 20,000 rows", power(), "of runs", "aim of .8", 0.8))
    return found


def phishing() -> float:
    """Accuracy by progressive validation, percent."""
    contest, right, rows = Contest({"champion": recipe_of(_LINEAR)}), 0, 0
    for row, label in datasets.Phishing():
        score, said = contest.scores(row)
        right += (score > 0.5) == label
        rows += 1
        contest.learn(row, said, float(label))
    return 100.0 * right / rows


def cost(pipeline: str, rows: int = 5_000) -> tuple[float, float]:
    """P99 of a score in milliseconds of this thread, and rows scored and learned a CPU second."""
    contest = Contest({"champion": recipe_of(pipeline)})
    rng = np.random.default_rng(1)
    names = [f"f{i}" for i in range(7)]
    took, begun = [], time.thread_time()
    for values in rng.normal(size=(rows, 7)).tolist():
        row = dict(zip(names, values, strict=True))
        before = time.thread_time()
        _, said = contest.scores(row)
        took.append(time.thread_time() - before)
        contest.learn(row, said, float(values[0] + values[1] * values[2] > 0.0))
    return float(np.quantile(took, 0.99)) * 1e3, rows / (time.thread_time() - begun)


def false_promotions() -> float:
    """Runs in which one of two equal candidates ever replaces the other, looked at after each of 2,000 rows."""
    bar = needed(0.05, 1, 1)
    rng = np.random.default_rng(2)
    return float(np.mean([_reaches(rng.normal(0.0, 0.04, _ROWS), bar) for _ in range(_RUNS)]))


def power() -> float:
    """Runs in which a log loss of .600 against .588 is found; the differences' spread is fifteen times their mean."""
    bar = needed(0.05, 1, 1)
    rng = np.random.default_rng(3)
    return float(np.mean([_reaches(rng.normal(0.012, 0.18, _POWER_ROWS) / 4.6, bar) for _ in range(_POWER_RUNS)]))


def _reaches(differences: np.ndarray, bar: float) -> bool:
    challenge = Challenge()
    for difference in differences.tolist():
        challenge.update(difference)
        if challenge.evidence >= bar:
            return True
    return False
