"""Champion and challengers: who is promoted, when, and what a drift does."""

from __future__ import annotations

import random

import pytest

from mevflow.operators.model.challenge import Challenge, needed
from mevflow.operators.model.contest import BASE_RATE, Candidate, Contest, Happening
from mevflow.operators.model.pipelines import Recipe, recipe_of

SLOW = recipe_of([{"LogisticRegression": {"lr": 1e-6, "intercept_lr": 0.0}}])
QUICK = recipe_of([{"LogisticRegression": {"lr": 0.1}}])


def run(contest: Contest, count: int, turn: int = -1, seed: int = 1) -> list[Happening]:
    """Feed labels that follow from the first feature; from row ``turn`` on, the other way round."""
    rng = random.Random(seed)
    happened: list[Happening] = []
    for i in range(count):
        row = {"a": rng.gauss(0.0, 1.0), "b": rng.gauss(0.0, 1.0)}
        label = float((row["a"] + rng.gauss(0.0, 0.5) > 0) ^ (0 <= turn <= i))
        _, said = contest.scores(row)
        happened += contest.learn(row, said, label)
    return happened


def test_a_better_challenger_is_promoted_once_and_a_worse_one_never() -> None:
    contest = Contest({"champion": SLOW, "quick": QUICK})
    promoted = [one for one in run(contest, 1_000) if one.kind == "promotion"]
    assert [one.candidate for one in promoted] == ["quick"]
    assert contest.champion.name == "quick"
    assert [one.name for one in contest.candidates] == ["quick", "champion"]
    other = Contest({"champion": QUICK, "slow": SLOW})
    assert not any(one.kind == "promotion" for one in run(other, 1_000))


def test_equal_candidates_change_places_in_at_most_alpha_of_runs() -> None:
    """Looked at after every row. Losses of both are independent of equal distribution: the widest differences."""
    wrong = 0
    bar = needed(0.05, 1, 1)
    for seed in range(200):
        rng, challenge = random.Random(seed), Challenge()
        for _ in range(1_000):
            challenge.update(rng.random() - rng.random())
            if challenge.evidence >= bar:
                wrong += 1
                break
    assert wrong <= 200 * 0.05


def test_a_gain_of_two_percent_is_found_within_20000_rows() -> None:
    """Log losses about 0.6, with differences that spread fifteen times as far as their mean."""
    found = 0
    bar = needed(0.05, 3, 1)
    for seed in range(20):
        rng, challenge = random.Random(seed), Challenge()
        for _ in range(20_000):
            challenge.update(rng.gauss(0.012, 0.18) / 4.6)
            if challenge.evidence >= bar:
                found += 1
                break
    assert found >= 16


def test_all_reigns_together_err_with_alpha() -> None:
    assert sum(2.718281828459045 ** -needed(0.05, 1, reign) for reign in range(1, 10_000)) <= 0.05


@pytest.mark.parametrize("action", ["alert", "shadow-reset", "fallback"])
def test_a_drift_is_told_and_does_what_it_should(action: str) -> None:
    contest = Contest({"champion": recipe_of([{"LogisticRegression": {"lr": 1e-3}}])}, on_drift=action)  # type: ignore[arg-type]
    happened = run(contest, 3_000, turn=1_500)
    kinds = [one.kind for one in happened]
    assert "drift" in kinds
    if action == "alert":
        assert len(contest.candidates) == 1
    if action == "shadow-reset":
        # A fresh start learns the new sense at once, and takes over under the champion's name.
        assert [one.candidate for one in happened if one.kind == "promotion"][:1] == ["fresh"]
        assert contest.champion.name == "champion"


def test_while_it_is_not_trusted_the_base_rate_speaks() -> None:
    contest = Contest({"champion": QUICK}, on_drift="fallback", fallback_labels=10**6)
    assert contest.speaker == BASE_RATE
    run(contest, 500)
    assert contest.speaker == "champion"
    run(contest, 1_500, turn=0, seed=2)
    assert contest.speaker == BASE_RATE
    score, said = contest.scores({"a": 3.0, "b": 0.0})
    assert score == pytest.approx(0.5, abs=0.1)
    assert said[contest.champion.serial] != score


def test_a_snapshot_keeps_what_is_asked_for_still() -> None:
    contest = Contest({"champion": SLOW, "quick": QUICK})
    run(contest, 1_000)
    state = contest.snapshot()
    same = Contest({"champion": SLOW, "quick": QUICK})
    same.restore(state)
    assert same.snapshot() == state
    # The file asks for another challenger beside: who was promoted stays on top.
    more = Contest({"champion": SLOW, "quick": QUICK, "new": SLOW})
    more.restore(state)
    assert [one.name for one in more.candidates] == ["quick", "champion", "new"]
    assert more.champion.learned == 1_000
    # It no longer asks for the champion: the one that it names leads.
    less = Contest({"champion": SLOW})
    less.restore(state)
    assert [one.name for one in less.candidates] == ["champion"]
    assert less.champion.learned == 1_000


def test_lessons_of_several_rows_are_the_same_however_rows_come() -> None:
    contest = Contest({"champion": recipe_of("StandardScaler | LogisticRegression")}, batch=16)
    run(contest, 100)
    assert contest.champion.learned == 96
    again = Contest({"champion": recipe_of("StandardScaler | LogisticRegression")}, batch=16)
    again.restore(contest.snapshot())
    row = {"a": 1.0, "b": -1.0}
    for _ in range(12):
        assert contest.scores(row) == again.scores(row)
        for one in (contest, again):
            one.learn(row, one.scores(row)[1], 1.0)
    assert contest.snapshot() == again.snapshot()


#: Steps so large that its weights leave what a number can be within some rows.
DIVERGES = recipe_of([{"LinearRegression": {"lr": 10.0, "l2": 10.0}}])
STEADY = recipe_of("StandardScaler | LinearRegression")


def taught(contest: Contest, count: int, seed: int = 1) -> list[Happening]:
    """Feed shares that follow from a feature of the size 1,000."""
    rng = random.Random(seed)
    happened: list[Happening] = []
    for _ in range(count):
        row = {"a": 1_000.0 * rng.gauss(0.0, 1.0)}
        happened += contest.learn(row, contest.scores(row)[1], float(row["a"] > 0))
    return happened


@pytest.mark.parametrize("rows", [1, 60, 130, 160, 200, 300])
def test_a_pipeline_that_diverges_begins_anew_and_what_is_kept_of_it_can_be_read(rows: int) -> None:
    """Weights that are no numbers were kept, and refused at the next start: again and again."""
    contest = Contest({"champion": DIVERGES, "steady": STEADY})
    happened = taught(contest, rows)
    again = Contest({"champion": DIVERGES, "steady": STEADY})
    state = contest.snapshot()
    again.restore(state)
    assert again.snapshot() == state
    assert taught(contest, 30, seed=2) == taught(again, 30, seed=2)
    assert contest.snapshot() == again.snapshot()
    if rows >= 200:
        assert {(one.kind, one.candidate) for one in happened} >= {("reset", "champion")}


def _brought(recipe: Recipe, name: str) -> Candidate:
    one = Candidate(name, recipe, -1)
    one.model_id = b"m" * 32
    return one


def test_a_champion_by_command_that_fails_gives_way_to_the_one_before_it() -> None:
    contest = Contest({"champion": STEADY})
    taught(contest, 50)
    contest.admit(_brought(DIVERGES, "sent"), champion=True)
    assert contest.champion.name == "sent"
    again = Contest({"champion": STEADY})
    again.restore(contest.snapshot())
    for one in (contest, again):
        happened = taught(one, 300, seed=3)
        assert [(each.kind, each.candidate) for each in happened if each.kind == "reset"] == [("reset", "sent")]
        assert one.champion.name == "champion"
        assert one.champion.recipe == STEADY
        assert 50 < one.champion.learned < 350
        assert not one.champion.model_id
    assert contest.snapshot() == again.snapshot()


def test_a_challenger_by_command_that_fails_begins_anew_and_stays_after_a_restart() -> None:
    contest = Contest({"champion": STEADY})
    contest.admit(_brought(DIVERGES, "sent"), champion=False)
    assert "reset" in {one.kind for one in taught(contest, 200)}
    again = Contest({"champion": STEADY})
    again.restore(contest.snapshot())
    assert [one.name for one in again.candidates] == ["champion", "sent"]
    assert not again.candidates[1].model_id


def test_an_error_that_is_not_rivers_is_nobodys_to_take() -> None:
    contest = Contest({"champion": STEADY})

    def interrupted(row: object) -> float:
        raise KeyboardInterrupt

    contest.champion.score = interrupted  # type: ignore[assignment, method-assign]
    with pytest.raises(KeyboardInterrupt):
        contest.scores({"a": 1.0})
