"""Measured outcomes: on time, early, twice, corrected, never; and what the policy has learned from them in the end."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mevflow.operators.decide import emit
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.learn.policy import Policy
from mevflow.operators.stage import Command, StageContext
from tests.operators.decide.opportunities import batch, number, opportunity
from tests.operators.decide.test_stage import END, OPENED, rows


def stage(**given: Any) -> BanditDecide:
    """With the port attached; the arm 0.25 is drawn for OPENED."""
    inputs = frozenset({"in", "outcomes"})
    settings = {"arms": ("0.25",), "fallback": {"arm": "0.25", "below": 1_000}, "exploration": 1e-9} | given
    return BanditDecide(BanditSettings(**settings), StageContext("test", "decided", inputs=inputs))


def outcome(decision: bytes, kind: str = "landed", usd: float = 5.0, **given: Any) -> dict[str, Any]:
    """One located outcome row."""
    blank: dict[Any, Any] = {pa.binary(): b"", pa.utf8(): "", pa.bool_(): False}
    row = {field.name: blank.get(field.type, 0) for field in emit.OUTCOME}
    row |= {"decision_id": decision, "kind": kind, "reward_usd": usd, "chain": 1, "source_topic": "outcomes-proto"}
    return row | {"realized_profit": number(5_000_000)} | given


def tell(one: BanditDecide, *given: dict[str, Any]) -> list[tuple[str, pa.RecordBatch]]:
    return list(one.process("outcomes", pa.RecordBatch.from_pylist(list(given), schema=emit.OUTCOME)))


def counters(one: BanditDecide) -> Any:
    return msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].counters


def policy(one: BanditDecide) -> Policy:
    made = BanditSettings(arms=one.settings.arms, policy=one.settings.policy).spec.make()
    made.restore(msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].policy)
    return made


def decided(one: BanditDecide) -> bytes:
    (row,) = rows(one.process("in", batch(OPENED)), "decisions")
    assert row["arm"] == "0.25"
    identifier: bytes = row["decision_id"]
    return identifier


LATER = opportunity(slot=200, cycle=(8, 9), new_episode=True)


def test_a_measured_outcome_goes_before_the_rule() -> None:
    one = stage()
    identifier = decided(one)
    assert tell(one, outcome(identifier, "missed", -0.25, evidence="bundle=dropped")) == []
    (row,) = rows(one.process("in", batch(LATER)), "outcomes")
    assert (row["kind"], row["reward_usd"], row["measured"]) == ("missed", -0.25, True)
    assert "bundle=dropped" in row["evidence"]


@pytest.mark.parametrize(("default", "kind"), [("rule", "landed"), ("missed", "missed"), ("expired", "expired")])
def test_where_none_came_the_default_is_taken(default: str, kind: str) -> None:
    one = stage(attribution={"default": default, "window_slots": 50})
    decided(one)
    assert rows(one.process("in", batch(opportunity(slot=149, cycle=(5, 6), new_episode=True))), "outcomes") == []
    (row,) = rows(one.process("in", batch(opportunity(slot=151, cycle=(6, 7), new_episode=True))), "outcomes")
    assert (row["kind"], row["measured"]) == (kind, False)
    known = {"landed": 7_500_000, "missed": 0}
    assert row["realized_profit"] == (number(known[kind]) if kind in known else b"")
    assert policy(one).updates == (0 if default == "expired" else 1)


def test_a_measured_outcome_that_does_not_say_what_was_realised_is_no_zero() -> None:
    one = stage()
    identifier = decided(one)
    tell(one, outcome(identifier, realized_profit=b""))
    (row,) = rows(one.process("in", batch(LATER)), "outcomes")
    assert (row["kind"], row["reward_usd"], row["realized_profit"]) == ("landed", 5.0, b"")
    (row,) = rows(tell(one, outcome(identifier, revision=3, realized_profit=number(4))), "outcomes")
    assert row["realized_profit"] == number(4)
    (row,) = rows(tell(one, outcome(identifier, revision=4, realized_profit=b"")), "outcomes")
    assert row["realized_profit"] == b""


def test_an_outcome_may_come_before_its_decision() -> None:
    late, early = stage(), stage()
    identifier = decided(late)
    tell(late, outcome(identifier))
    tell(early, outcome(identifier))
    restored = stage()
    restored.restore(early.snapshot())
    assert decided(restored) == identifier
    for one in (late, restored):
        (row,) = rows(one.process("in", batch(LATER)), "outcomes")
        assert (row["reward_usd"], row["measured"]) == (5.0, True)
    assert counters(restored).told_early == 1


def test_duplicates_teach_nothing_and_a_higher_revision_replaces() -> None:
    one = stage()
    identifier = decided(one)
    for revision, usd in ((1, 5.0), (1, 7.0), (0, 9.0), (2, 3.0)):
        tell(one, outcome(identifier, usd=usd, revision=revision))
    (row,) = rows(one.process("in", batch(LATER)), "outcomes")
    assert (row["reward_usd"], row["revision"]) == (3.0, 2)
    assert counters(one).told_twice == 2


@pytest.mark.parametrize(
    "name", ["tip-linucb", "tip-thompson", "tip-exp3", "tip-thompson-discounted", "tip-thompson-window"]
)
def test_a_correction_leaves_the_policy_as_if_it_had_known(name: str) -> None:
    wrong, right = stage(policy=name), stage(policy=name)
    for one, usd in ((wrong, -0.5), (right, 4.0)):
        tell(one, outcome(decided(one), usd=usd))
        list(one.process("in", batch(LATER, opportunity(slot=260, cycle=(3, 9), new_episode=True))))
    identifier = rows(stage(policy=name).process("in", batch(OPENED)), "decisions")[0]["decision_id"]
    out = tell(wrong, outcome(identifier, usd=4.0, revision=1))
    (row,) = rows(out, "outcomes")
    assert (row["reward_usd"], row["revision"], row["measured"]) == (4.0, 1, True)
    assert [event["kind"] for event in rows(out, "events")] == ["correction"]
    assert tell(wrong, outcome(identifier, usd=4.0, revision=1)) == []  # the same again
    x, eligible = (
        np.array(rows(stage().process("in", batch(OPENED)), "decisions")[0]["features"])[:, None],
        np.ones((2, 1), bool),
    )
    ours, truth = (policy(one).propose(x, eligible) for one in (wrong, right))
    assert np.allclose(ours.expected, truth.expected, atol=1e-12)
    assert policy(wrong).updates == policy(right).updates


def test_a_measurement_after_the_rule_has_spoken_is_a_correction() -> None:
    one = stage()
    identifier = decided(one)
    (row,) = rows(one.process("in", batch(LATER)), "outcomes")
    assert (row["measured"], row["revision"]) == (False, 0)
    (row,) = rows(tell(one, outcome(identifier, "missed", -0.1)), "outcomes")
    assert (row["kind"], row["measured"], row["revision"]) == ("missed", True, 1)
    assert (counters(one).corrections, counters(one).uncorrected) == (1, 0)


def test_a_deferred_decision_counts_when_it_was_activated() -> None:
    for activated in (True, False):
        one = stage(attribution={"activation": "deferred"})
        (row,) = rows(one.process("in", batch(OPENED)), "decisions")
        assert row["activation"] == "deferred"
        if activated:
            tell(one, outcome(row["decision_id"], "activated", 0.0))
        (settled,) = rows(one.process("in", batch(LATER)), "outcomes")
        assert (settled["kind"], settled["activated"]) == (("landed", True) if activated else ("inactive", False))
        assert policy(one).updates == int(activated)


def test_what_is_kept_is_bounded_and_what_is_no_outcome_is_a_dead_letter() -> None:
    one = stage(attribution={"keep": 5})
    tell(one, *(outcome(i.to_bytes(16, "little")) for i in range(20)))
    state = msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1]
    assert len(state.early) == 5
    assert state.counters.told_forgotten == 15
    items = [opportunity(slot=300 + 20 * i, cycle=(i, 99), new_episode=True) for i in range(30)]
    list(one.process("in", batch(*items)))
    assert len(msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].done) == 5
    bad = [
        outcome(b"short"),
        outcome(b"i" * 16, "won"),
        outcome(b"i" * 16, usd=float("nan")),
        outcome(b"i" * 16, chain=9),
    ]
    letters = rows(tell(one, *bad), "errors")
    assert [letter["reason"] for letter in letters] == ["bad_outcome"] * 4
    assert list(one.on_watermark("in", END))


def test_what_a_relearn_forgot_is_not_unlearned_once_more() -> None:
    """Also where the alarm falls among rewards that are settled together; the snapshot can still be read."""
    one = stage(on_drift="relearn", drift_threshold=0.5)
    items = [opportunity(tx_index=i, cycle=(i, 99), new_episode=True) for i in range(90)]
    identifiers = [row["decision_id"] for row in rows(one.process("in", batch(*items)), "decisions")]
    tell(one, *(outcome(identifier, usd=9.0) for identifier in identifiers))
    events = [row["kind"] for row in rows(one.process("in", batch(LATER)), "events")]
    assert "drift" in events
    after = len(events) - 1 - events[::-1].index("drift")
    tell(one, *(outcome(identifier, "missed", -9.0, revision=1) for identifier in identifiers))
    learned = policy(one).snapshot()
    assert counters(one).corrections == 90
    assert counters(one).uncorrected == sum(kind == "reward" for kind in events[:after])
    restored = stage(on_drift="relearn", drift_threshold=0.5)
    restored.restore(one.snapshot())
    assert policy(restored).snapshot() == learned


def _learned_one(**given: Any) -> tuple[BanditDecide, bytes]:
    """A stage that has learned one measured win of the arm 0.25, and the decision's id."""
    one = stage(**given)
    identifier = decided(one)
    tell(one, outcome(identifier, "landed", 5.0))
    list(one.process("in", batch(LATER)))
    assert policy(one).updates == 1
    return one, identifier


def _command(version: int, kind: str, **payload: Any) -> Command:
    return Command(f"c{version}", kind, "decided", version, json.dumps(payload).encode())


def _applied(one: BanditDecide, *commands: Command) -> None:
    for each in commands:
        ack = one.on_control(each)
        assert ack is not None
        assert ack.status == "APPLIED", ack


def _arms(version: int, name: str, *arms: str) -> Command:
    return _command(version, "policy", policy=name, arms=[*arms, "skip"], exploration=0.05)


def _restarted(one: BanditDecide) -> BanditDecide:
    again = BanditDecide(one.settings, one.context)
    again.restore(one.snapshot())
    return again


@pytest.mark.parametrize("name", ["tip-linucb", "tip-thompson", "tip-exp3", "tip-thompson-window"])
def test_a_lesson_of_an_arm_that_was_retired_and_came_back_is_not_unlearned(name: str) -> None:
    """Taken from an arm that knew nothing, it left what no rewards could have made: refused at every later start."""
    one, identifier = _learned_one(policy=name, arms=("0.25", "0.5"))
    _applied(one, _arms(1, name, "0.5"), _arms(2, name, "0.25", "0.5"))
    tell(one, outcome(identifier, "missed", -9.0, revision=1))
    assert counters(one).uncorrected == 1
    _restarted(one)


def test_a_lesson_of_an_arm_that_left_the_file_and_came_back_is_not_unlearned() -> None:
    one, identifier = _learned_one(arms=("0.25", "0.5"))
    for arms in (("0.5",), ("0.25", "0.5")):
        other = BanditDecide(one.settings.model_copy(update={"arms": (*arms, "skip"), "fallback": None}), one.context)
        other.restore(one.snapshot())
        one = other
    tell(one, outcome(identifier, "missed", -9.0, revision=1))
    assert counters(one).uncorrected == 1
    _restarted(one)


def test_a_model_that_counts_as_many_lessons_has_not_learned_the_same_ones() -> None:
    one, identifier = _learned_one(arms=("0.25", "0.5"))
    other = BanditSettings(arms=("0.25", "0.5")).spec.make()
    other.update(np.ones((1, other.features)), np.array([1]), np.array([0.5]), np.array([1.0]))
    state = base64.b64encode(other.snapshot(1)).decode()
    _applied(one, _command(1, "model", policy="tip-linucb", state=state))
    tell(one, outcome(identifier, "missed", -9.0, revision=1))
    assert counters(one).uncorrected == 1
    assert msgspec.msgpack.decode(one.snapshot(), type=StageState).markets[1].policy == other.snapshot(1)
    _restarted(one)


def test_a_lesson_that_the_next_policy_has_kept_is_unlearned() -> None:
    one, identifier = _learned_one(arms=("0.25", "0.5"))
    _applied(one, _arms(1, "tip-linucb", "0.1", "0.25"))
    tell(one, outcome(identifier, "missed", -9.0, revision=1))
    assert counters(one).uncorrected == 0
    _restarted(one)


def test_a_fallback_that_the_file_gives_or_changes_takes_effect_on_what_runs() -> None:
    before, _ = _learned_one(arms=("0.25", "0.5"), fallback=None)
    for below, fixed in ((1, False), (1_000, True)):
        given = {"arms": ("0.25", "0.5"), "fallback": {"arm": "0.5", "below": below}}
        after = stage(**given)
        after.restore(before.snapshot())
        (row,) = rows(after.process("in", batch(opportunity(slot=400, cycle=(7, 9), new_episode=True))), "decisions")
        chances = dict(zip(row["arms"], row["arm_propensities"], strict=True))
        assert (chances["0.5"] > 0.99) is fixed
