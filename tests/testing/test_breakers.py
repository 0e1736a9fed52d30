"""Every rule of the kit has a part that breaks it, and is refused by it: here those that `test_kit` does not show."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mevflow.operators.codec import COORDINATES
from mevflow.operators.dead_letters import ERRORS, dead_letters
from mevflow.operators.errors import StateError
from mevflow.operators.learn.ucb1 import Ucb1
from mevflow.operators.stage import Ack, Settings
from mevflow.testing import END, ContractBroken, PolicyCase, check_policy, check_sink, check_source, check_stage
from mevflow.testing.policy import POLICY_RULES
from mevflow.testing.sink import SINK_RULES
from mevflow.testing.source import SOURCE_RULES
from mevflow.testing.stage import STAGE_RULES, StageCase
from tests.testing import test_kit as kit
from tests.testing.test_kit import CONTEXT, NUMBERS, Count, RunningSum, Shelf, numbers

LOCATED = pa.schema([*NUMBERS, *COORDINATES], metadata=NUMBERS.metadata)


def located(*values: int) -> pa.RecordBatch:
    column = pa.array(values, pa.int64())
    topic = pa.DictionaryArray.from_arrays(pa.array([0] * len(values), pa.int8()), pa.array(["numbers"]))
    columns = [column, column, topic, pa.array([0] * len(values), pa.int32()), pa.array(range(len(values)), pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=LOCATED)


class Positive(RunningSum):
    """A number below zero is a dead letter; keeps every rule."""

    use = "test.positive"

    @classmethod
    def input_schemas(cls, settings):
        return {"in": LOCATED}

    @classmethod
    def output_schemas(cls, settings):
        return {"out": LOCATED, "errors": ERRORS}

    def letters(self, rows):
        return dead_letters(self.context, rows, "negative", "it is below zero", pa.array([b""] * rows.num_rows))

    def process(self, port, batch):
        good = pa.compute.greater_equal(batch.column("n"), 0)
        for out, rows in (("out", batch.filter(good)), ("errors", batch.filter(pa.compute.invert(good)))):
            if rows.num_rows:
                yield out, rows if out == "out" else self.letters(rows)


class DropsBadRows(Positive):
    def process(self, port, batch):
        return ((out, rows) for out, rows in super().process(port, batch) if out == "out")


class LettersWithoutAReason(Positive):
    def letters(self, rows):
        return dead_letters(self.context, rows, "", "", pa.array([b""] * rows.num_rows))


class StopsAtABadRow(Positive):
    def letters(self, rows):
        raise ValueError("below zero")


class GivesUpTheGoodRowsBeside(Positive):
    def process(self, port, batch):
        if pa.compute.any(pa.compute.less(batch.column("n"), 0)).as_py():
            yield "errors", self.letters(batch.filter(pa.compute.less(batch.column("n"), 0)))
        else:
            yield from super().process(port, batch)


class ObeysAnything(RunningSum):
    def on_control(self, command):
        return Ack("APPLIED")


class RefusesAndChanges(RunningSum):
    def on_control(self, command):
        self.sum += 1
        return Ack("REJECTED", "UNKNOWN")


class CountsDownwards(RunningSum):
    def counts(self):
        return {"left": -self.sum}


class CountsInWords(RunningSum):
    def counts(self):
        return {"rows": "many"}


def bad_case(kind) -> StageCase:
    return StageCase(
        "tried",
        lambda: kind(Settings(), CONTEXT),
        lambda: [("in", located(1, 2, 3)), ("in", END)],
        bad_feed=lambda: [("in", located(1, -2, 3)), ("in", located(-4)), ("in", END)],
        bad_rows=2,
    )


def test_a_stage_that_tells_bad_rows_passes():
    check_stage(bad_case(Positive))


STAGE_BREAKERS = [
    (DropsBadRows, "bad_rows_become_dead_letters"),
    (LettersWithoutAReason, "bad_rows_become_dead_letters"),
    (StopsAtABadRow, "bad_rows_become_dead_letters"),
    (GivesUpTheGoodRowsBeside, "bad_rows_become_dead_letters"),
    (ObeysAnything, "an_unknown_command_changes_nothing"),
    (RefusesAndChanges, "an_unknown_command_changes_nothing"),
    (CountsDownwards, "counts_only_grow"),
    (CountsInWords, "counts_only_grow"),
]


@pytest.mark.parametrize(("kind", "rule"), STAGE_BREAKERS)
def test_a_stage_is_refused_by_the_rule_that_it_breaks(kind, rule):
    case = bad_case(kind) if issubclass(kind, Positive) else kit.stage_case(kind)
    with pytest.raises(ContractBroken, match=f"tried: ({rule})"):
        check_stage(case)


class OtherSchema(Count):
    def poll(self):
        poll = super().poll()
        return replace(poll, batches=[(port, rows.replace_schema_metadata(None)) for port, rows in poll.batches])


class ReusesItsBuffer(Count):
    """Gives views of one buffer, which the next poll fills anew."""

    def open(self, state):
        super().open(state)
        self.buffer = np.zeros(10, np.int64)

    def poll(self):
        poll = super().poll()
        if not poll.batches:
            return poll
        self.buffer[:] = range(self.next - 10, self.next)
        column = pa.Array.from_buffers(pa.int64(), 10, [None, pa.py_buffer(self.buffer)])
        return replace(poll, batches=[("out", pa.RecordBatch.from_arrays([column, column], schema=NUMBERS))])


class KeepsWhatItGave(Count):
    def open(self, state):
        found = msgspec.json.decode(state) if state and state[:1] == b"{" else None
        super().open(msgspec.json.encode(found["next"]) if found else state)
        self.gave = found["gave"] if found else ""

    def poll(self):
        poll = super().poll()
        self.gave += "x" * 1_000 * len(poll.batches)
        return poll

    def snapshot(self):
        return msgspec.json.encode({"next": self.next, "gave": self.gave})


SOURCE_BREAKERS = [
    (OtherSchema, "batches_are_as_declared"),
    (ReusesItsBuffer, "given_batches_stay_as_they_were"),
    (KeepsWhatItGave, "the_position_stays_small"),
]


@pytest.mark.parametrize(("kind", "rule"), SOURCE_BREAKERS)
def test_a_source_is_refused_by_the_rule_that_it_breaks(kind, rule):
    with pytest.raises(ContractBroken, match=f"tried: ({rule})"):
        check_source(kit.source_case(kind))


class TakesOthers(Shelf):
    @classmethod
    def accepts(cls, settings, message):
        return message != "test.Number"


class Doubles(Shelf):
    def write(self, batch):
        super().write(batch)
        raw = np.frombuffer(batch.column(0).buffers()[1], np.int64)
        import ctypes

        ctypes.c_int64.from_address(raw.ctypes.data).value *= 2


class SaysThatNothingCame(Shelf):
    def write(self, batch):
        super().write(batch if batch.num_rows else numbers(0))


class OpensAtAnything(Shelf):
    def open(self, state):
        try:
            super().open(state)
        except StateError:
            self.rows.clear()


class KeepsWhatItWrote(Shelf):
    def open(self, state):
        try:
            super().open(state and str(len(msgspec.json.decode(state))).encode())
        except (msgspec.DecodeError, TypeError) as error:
            raise StateError(str(error)) from None

    def snapshot(self):
        return msgspec.json.encode(["x" * 1_000] * len(self.rows)) if self.rows else b"[]"


SINK_BREAKERS = [
    (TakesOthers, "it_takes_what_it_accepts"),
    (Doubles, "inputs_stay_as_they_were|a_restart_keeps_the_promise"),
    (SaysThatNothingCame, "nothing_written_is_nothing_sent"),
    (OpensAtAnything, "foreign_state_is_refused"),
    (KeepsWhatItWrote, "the_state_stays_small"),
]


@pytest.mark.parametrize(("kind", "rule"), SINK_BREAKERS)
def test_a_sink_is_refused_by_the_rule_that_it_breaks(kind, rule):
    Shelf.rows.clear()
    with pytest.raises(ContractBroken, match=f"tried: ({rule})"):
        check_sink(kit.sink_case(kind))


class LooksAtNeighbours(Ucb1):
    def propose(self, x, eligible):
        given = super().propose(x, eligible)
        return replace(given, scores=given.scores + x.shape[1])


class LearnsFromTheFirst(Ucb1):
    def update(self, x, arms, rewards, propensities):
        super().update(x[:1], arms[:1], rewards[:1], propensities[:1])


class DiffersByInstance(Ucb1):
    made = count()

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.mine = next(self.made) % 7

    def update(self, x, arms, rewards, propensities):
        super().update(x, arms, rewards * (1 - self.mine * 1e-6), propensities)


class LosesItsCount(Ucb1):
    def restore(self, state):
        super().restore(state)
        self.updates = 0


class TakesAnyModel(Ucb1):
    def restore(self, state):
        try:
            super().restore(state)
        except StateError:
            self.updates = 0


class NeverLearns(Ucb1):
    def judge(self, x, eligible):
        given = super().judge(x, eligible)
        return replace(given, preference=eligible / eligible.sum(axis=0))


POLICY_BREAKERS = [
    (LooksAtNeighbours, "a_row_does_not_depend_on_its_neighbours"),
    (LearnsFromTheFirst, "rewards_together_teach_what_they_teach_one_by_one"),
    (DiffersByInstance, "it_is_deterministic|rewards_together_teach"),
    (LosesItsCount, "a_restored_policy_goes_on"),
    (TakesAnyModel, "foreign_state_is_refused"),
    (NeverLearns, "it_learns"),
]


@pytest.mark.parametrize(("kind", "rule"), POLICY_BREAKERS)
def test_a_policy_is_refused_by_the_rule_that_it_breaks(kind, rule):
    with pytest.raises(ContractBroken, match=f"tried: ({rule})"):
        check_policy(PolicyCase("tried", kind))


@pytest.mark.parametrize(
    ("rules", "breakers"),
    [
        (STAGE_RULES, kit.STAGE_BREAKERS + STAGE_BREAKERS),
        (SOURCE_RULES, kit.SOURCE_BREAKERS + SOURCE_BREAKERS),
        (SINK_RULES, kit.SINK_BREAKERS + SINK_BREAKERS),
        (POLICY_RULES, kit.POLICY_BREAKERS + POLICY_BREAKERS),
    ],
    ids=["stage", "source", "sink", "policy"],
)
def test_every_rule_has_a_part_that_breaks_it(rules, breakers):
    shown = "|".join(rule for _, rule in breakers)
    assert [rule for rule in rules if not re.fullmatch(shown, rule)] == []
