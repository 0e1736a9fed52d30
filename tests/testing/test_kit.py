"""The kit catches what it promises to: a part that breaks a rule is refused by exactly that rule."""

from __future__ import annotations

import pickle
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mevflow.operators.errors import StateError
from mevflow.operators.learn.means import MeanPolicy
from mevflow.operators.learn.ucb1 import Ucb1
from mevflow.operators.stage import Settings, Stage, StageContext, Watermark
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Poll, Source
from mevflow.testing import (
    END,
    ContractBroken,
    PolicyCase,
    SinkCase,
    SourceCase,
    StageCase,
    check_policy,
    check_sink,
    check_source,
    check_stage,
)

NUMBERS = pa.schema([("n", pa.int64()), ("timestamp_us", pa.int64())], metadata={b"message": b"test.Number"})
CONTEXT = StageContext("test", "tried")


def _kind(value: object) -> str:
    return value.__name__ if isinstance(value, type) else ""


def numbers(*values: int) -> pa.RecordBatch:
    column = pa.array(values, pa.int64())
    return pa.RecordBatch.from_arrays([column, column], schema=NUMBERS)


class RunningSum(Stage):
    """Keeps every rule; each class below breaks one."""

    use = "test.sum"

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.sum = 0

    @classmethod
    def input_schemas(cls, settings):
        return {"in": NUMBERS}

    @classmethod
    def output_schemas(cls, settings):
        return {"out": NUMBERS}

    def process(self, port, batch):
        values = batch.column("n").to_numpy()
        if len(values):
            sums = self.sum + np.cumsum(values)
            self.sum = int(sums[-1])
            yield "out", pa.RecordBatch.from_arrays([pa.array(sums), batch.column(1)], schema=NUMBERS)

    def snapshot(self):
        return msgspec.msgpack.encode({"version": 1, "sum": str(self.sum)})

    def restore(self, state):
        try:
            self.sum = int(msgspec.msgpack.decode(state)["sum"])
        except (msgspec.DecodeError, KeyError) as error:
            raise StateError(f"not a snapshot: {error}") from None


class WrongSchema(RunningSum):
    def process(self, port, batch):
        for out, given in super().process(port, batch):
            yield out, given.replace_schema_metadata(None)


class ReadsTheClock(RunningSum):
    def process(self, port, batch):
        self.sum += int(time.time()) > 2_000_000_000
        return super().process(port, batch)


class DrawsGlobally(RunningSum):
    def process(self, port, batch):
        random.random()
        return super().process(port, batch)


class OpensAFile(RunningSum):
    def process(self, port, batch):
        Path(__file__).read_text()
        return super().process(port, batch)


class CountsBatches(RunningSum):
    def process(self, port, batch):
        self.sum += 1
        return super().process(port, batch)


class ForgetsItsState(RunningSum):
    def snapshot(self):
        return msgspec.msgpack.encode({"version": 1, "sum": "0"})


class Pickles(RunningSum):
    def snapshot(self):
        return pickle.dumps(self.sum)

    def restore(self, state):
        self.sum = pickle.loads(state)


class TakesAnything(RunningSum):
    def restore(self, state):
        try:
            super().restore(state)
        except StateError:
            self.sum = 0


class WritesIntoItsInput(RunningSum):
    def process(self, port, batch):
        if batch.num_rows:
            column = batch.column(0)
            raw = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column)]
            writable = np.lib.stride_tricks.as_strided(raw, writeable=False)
            pointer = writable.ctypes.data
            import ctypes

            ctypes.c_int64.from_address(pointer).value ^= 1 << 40
        return super().process(port, batch)


class SaysSomethingToNothing(RunningSum):
    def process(self, port, batch):
        if not batch.num_rows:
            yield "out", numbers(0)
        yield from super().process(port, batch)


class Hoards(RunningSum):
    """Remembers every row, in a place that no snapshot shows."""

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.seen: list[dict] = []

    def process(self, port, batch):
        self.seen += batch.to_pylist()
        return super().process(port, batch)


class HoardsInItsSnapshot(RunningSum):
    def process(self, port, batch):
        self.kept = getattr(self, "kept", b"") + bytes(8 * batch.num_rows)
        return super().process(port, batch)

    def snapshot(self):
        return msgspec.msgpack.encode({"version": 1, "sum": str(self.sum), "kept": getattr(self, "kept", b"")})

    def restore(self, state):
        super().restore(state)
        self.kept = msgspec.msgpack.decode(state)["kept"]


def stage_case(kind: type[Stage]) -> StageCase:
    def feed():
        return [("in", numbers(*range(1, 65))), ("in", Watermark(50)), ("in", numbers(70, 71, 75)), ("in", END)]

    return StageCase("tried", lambda: kind(Settings(), CONTEXT), feed)


def test_a_stage_that_keeps_every_rule_passes():
    check_stage(stage_case(RunningSum))


STAGE_BREAKERS = [
    (WrongSchema, "ports_carry_what_they_declare"),
    (ReadsTheClock, "same_input_gives_same_output"),
    (DrawsGlobally, "same_input_gives_same_output"),
    (OpensAFile, "same_input_gives_same_output"),
    (CountsBatches, "no_cut_of_the_input_changes_the_output"),
    (ForgetsItsState, "a_restored_stage_goes_on"),
    (Pickles, "snapshots_are_free_of_pickle"),
    (TakesAnything, "foreign_state_is_refused"),
    (WritesIntoItsInput, "inputs_stay_as_they_were"),
    (SaysSomethingToNothing, "an_empty_batch_gives_nothing|no_cut_of_the_input"),
    (Hoards, "memory_is_bounded"),
    (HoardsInItsSnapshot, "memory_is_bounded"),
]


@pytest.mark.parametrize(("kind", "rule"), STAGE_BREAKERS, ids=_kind)
def test_a_stage_that_breaks_a_rule_is_refused_by_it(kind, rule):
    with pytest.raises(ContractBroken, match=f"tried: ({rule})"):
        check_stage(stage_case(kind))


class Count(Source):
    """Keeps every rule; each class below breaks one."""

    use = "test.count"

    @classmethod
    def output_schemas(cls, settings):
        return {"out": NUMBERS}

    def open(self, state):
        try:
            self.next = msgspec.json.decode(state, type=int) if state else 0
        except msgspec.DecodeError as error:
            raise StateError(f"not a position: {error}") from None

    def poll(self):
        if self.next >= 40:
            return Poll(watermark=END, ended=True)
        self.next += 10
        return Poll([("out", numbers(*range(self.next - 10, self.next)))], Watermark(self.next))

    def snapshot(self):
        return msgspec.json.encode(self.next)


class GivesTwice(Count):
    def snapshot(self):
        return msgspec.json.encode(max(0, self.next - 10))


class HastyWatermark(Count):
    def poll(self):
        poll = super().poll()
        return poll if poll.ended else Poll(poll.batches, Watermark(self.next + 5))


class EndsWithoutAWord(Count):
    def poll(self):
        poll = super().poll()
        return Poll(ended=True) if poll.ended else poll


class TakesAnyPosition(Count):
    def open(self, state):
        try:
            super().open(state)
        except StateError:
            self.next = 0


def source_case(kind: type[Source]) -> SourceCase:
    return SourceCase("tried", lambda: kind(Settings(), CONTEXT), rows=40)


def test_a_source_that_keeps_every_rule_passes():
    check_source(source_case(Count))


SOURCE_BREAKERS = [
    (GivesTwice, "a_resumed_source_gives_exactly_the_rest"),
    (HastyWatermark, "watermarks_hold"),
    (EndsWithoutAWord, "watermarks_hold"),
    (TakesAnyPosition, "foreign_state_is_refused"),
]


@pytest.mark.parametrize(("kind", "rule"), SOURCE_BREAKERS, ids=_kind)
def test_a_source_that_breaks_a_rule_is_refused_by_it(kind, rule):
    with pytest.raises(ContractBroken, match=f"tried: {rule}"):
        check_source(source_case(kind))


class Shelf(Sink):
    """Keeps every rule: what was written since the last snapshot is cut off on a restart."""

    use = "test.shelf"
    rows: ClassVar[list[int]] = []

    def open(self, state):
        try:
            size = msgspec.json.decode(state, type=int) if state else 0
        except msgspec.DecodeError as error:
            raise StateError(f"not a size: {error}") from None
        del self.rows[size:]

    def write(self, batch):
        self.rows.extend(batch.column("n").to_pylist())

    def snapshot(self):
        return msgspec.json.encode(len(self.rows))


class Appends(Shelf):
    def open(self, state):
        pass


class LosesTheLast(Shelf):
    def write(self, batch):
        super().write(batch.slice(0, max(0, batch.num_rows - 1)))


def sink_case(kind: type[Shelf], delivery="once") -> SinkCase:
    return SinkCase(
        "tried",
        lambda: kind(Settings(), CONTEXT),
        lambda: [numbers(n, n + 1) for n in range(0, 10, 2)],
        read=lambda: list(kind.rows),
        clear=kind.rows.clear,
        delivery=delivery,
    )


def test_a_sink_that_keeps_every_rule_passes():
    check_sink(sink_case(Shelf))


SINK_BREAKERS = [(Appends, "a_restart_keeps_the_promise"), (LosesTheLast, "a_snapshot_makes_everything_durable")]


@pytest.mark.parametrize(("kind", "rule"), SINK_BREAKERS, ids=_kind)
def test_a_sink_that_breaks_a_rule_is_refused_by_it(kind, rule):
    with pytest.raises(ContractBroken, match=f"tried: {rule}"):
        check_sink(sink_case(kind))


class Overconfident(Ucb1):
    def propose(self, x, eligible):
        given = super().propose(x, eligible)
        return replace(given, propensities=np.where(given.propensities == given.propensities.max(axis=0), 1.0, 0.0))


class HoardsRewards(Ucb1):
    def update(self, x, arms, rewards, propensities):
        self.kept = [*getattr(self, "kept", []), x.copy()]
        super().update(x, arms, rewards, propensities)


POLICY_BREAKERS = [(Overconfident, "propensities_are_a_distribution"), (HoardsRewards, "memory_is_bounded")]


@pytest.mark.parametrize(("kind", "rule"), POLICY_BREAKERS, ids=_kind)
def test_a_policy_that_breaks_a_rule_is_refused_by_it(kind: type[MeanPolicy], rule):
    with pytest.raises(ContractBroken, match=f"tried: {rule}"):
        check_policy(PolicyCase("tried", kind))
