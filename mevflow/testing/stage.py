"""The contract of a stage, rule by rule."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pyarrow as pa

from mevflow.operators.codec import ERRORS
from mevflow.operators.stage import Ack, Command, Stage, Watermark
from mevflow.testing.errors import FOREIGN_STATE, ContractBroken, check_all, demand, refused
from mevflow.testing.feed import Item, Outputs, assert_same, cut, demand_schema, later, random_cut
from mevflow.testing.memory import traced
from mevflow.testing.surroundings import changed_surroundings

_TRIES = 12
#: Stretches of an endless stream: memory is looked at over the second and over the last eight.
_WARM, _LONG = 16, 32
_SLACK_BYTES = 48 << 10
_SNAPSHOT_SLACK_BYTES = 2 << 10


@dataclass(frozen=True)
class StageCase:
    """A stage, a feed of good rows, and a feed that holds ``bad_rows`` bad ones among good ones.

    ``make`` gives a fresh stage with the same settings and context each time. ``feed`` touches all of the stage's
    state, holds two chains or partitions where that matters, and ends with a final watermark on every input.
    ``endless(n)`` is the n-th stretch of a stream without end, with keys that do not come again where the stage
    bounds their number by a setting (make it small); by default it is the feed, later and later.
    """

    name: str
    make: Callable[[], Stage]
    feed: Callable[[], list[Item]]
    bad_feed: Callable[[], list[Item]] | None = None
    bad_rows: int = 0
    endless: Callable[[int], list[Item]] | None = None

    def whole(self) -> dict[str, pa.Table]:
        """What the stage gives for the feed as it is."""
        return Outputs().give(self.make(), self.feed()).tables()


def ports_carry_what_they_declare(case: StageCase) -> None:
    """The feed fits the declared inputs; every output batch is valid and has exactly the declared schema."""
    stage = case.make()
    wanted, declared = stage.input_schemas(stage.settings), stage.output_schemas(stage.settings)
    for port, item in case.feed():
        demand(port in wanted, f"the case feeds {port!r}; inputs are {sorted(wanted)}")
        schema = wanted[port]
        if isinstance(item, pa.RecordBatch) and schema is not None:
            demand(item.schema.equals(schema), f"the case feeds {port!r} what it does not take")
    given = Outputs().give(stage, case.feed()).batches
    demand(bool(given), "the case's feed brings nothing out")
    for port, batch in given:
        demand(port in declared, f"it emits on {port!r}; declared are {sorted(declared)}")
        demand_schema(batch, declared[port], port)


def same_input_gives_same_output(case: StageCase) -> None:
    """Two stages agree, under another clock too, without I/O and without global random numbers."""
    whole = case.whole()
    items, stage = case.feed(), case.make()
    for port, item in items:  # nothing is opened or drawn while the rows go through
        with changed_surroundings():
            given = stage.on_watermark(port, item) if isinstance(item, Watermark) else stage.process(port, item)
            list(given)
    other = case.make()
    with changed_surroundings():
        outputs = Outputs().give(other, items)
    assert_same(outputs.tables(), whole)
    demand(other.snapshot() == stage.snapshot(), "two stages with the same input have other snapshots")


def no_cut_of_the_input_changes_the_output(case: StageCase) -> None:
    """Any cut of the input into batches gives the same rows, one by one too."""
    whole, random = case.whole(), Random(1)
    assert_same(Outputs().give(case.make(), cut(case.feed(), range(1 << 10))).tables(), whole)
    for _ in range(_TRIES):
        assert_same(Outputs().give(case.make(), random_cut(case.feed(), random)).tables(), whole)


def a_restored_stage_goes_on(case: StageCase) -> None:
    """Restored in mid-stream, a fresh stage goes on as if nothing had happened."""
    random = Random(2)
    for attempt in range(_TRIES):
        items = cut(case.feed(), [random.randrange(1 << 16) for _ in range(4)])
        split = random.randrange(len(items) + 1) if attempt else 0
        straight, before, after = case.make(), case.make(), case.make()
        whole = Outputs().give(straight, items).tables()
        outputs = Outputs().give(before, items[:split])
        state = before.snapshot()
        after.restore(state)
        demand(after.snapshot() == state, "a restored stage has another snapshot than the one it was given")
        assert_same(outputs.give(after, items[split:]).tables(), whole)
        # The snapshot is state, not a handle: what the first one does now must not reach the second.
        Outputs().give(before, items[split:])
        demand(after.snapshot() == straight.snapshot(), f"restored after item {split}, it ends in another state")


def snapshots_are_free_of_pickle(case: StageCase) -> None:
    """A snapshot is data: nothing in it runs code when it is read."""
    stage = case.make()
    Outputs().give(stage, case.feed())
    state = stage.snapshot()
    demand(isinstance(state, bytes), f"a snapshot is {type(state).__name__}, not bytes")
    if re.match(rb"\x80[\x02-\x05]", state):
        try:
            list(pickletools.genops(state))
        except Exception:
            return
        raise ContractBroken("the snapshot is a pickle")


def foreign_state_is_refused(case: StageCase) -> None:
    """What is no snapshot, or half of one, raises StateError."""
    stage = case.make()
    Outputs().give(stage, case.feed())
    state = stage.snapshot()
    if state:
        with refused("a foreign snapshot"):
            case.make().restore(FOREIGN_STATE)
        with refused("half a snapshot"):
            case.make().restore(state[: len(state) // 2])


def inputs_stay_as_they_were(case: StageCase) -> None:
    """Input batches are never changed."""
    items = case.feed()

    def frozen() -> list[bytes]:
        return [bytes(item.serialize()) for _, item in items if isinstance(item, pa.RecordBatch)]

    before = frozen()
    Outputs().give(case.make(), items)
    demand(frozen() == before, "an input batch was changed in place")


def an_empty_batch_gives_nothing(case: StageCase) -> None:
    """No rows in, no rows out."""
    for port, item in case.feed():
        if isinstance(item, pa.RecordBatch):
            given = Outputs().give(case.make(), [(port, item.slice(0, 0))]).batches
            demand(not any(batch.num_rows for _, batch in given), f"an empty batch on {port!r} gives rows")


def bad_rows_become_dead_letters(case: StageCase) -> None:
    """A bad row is a row of ``errors`` with its coordinates and its reason, and the rest goes on."""
    if case.bad_feed is None:
        return
    try:
        outputs = Outputs().give(case.make(), case.bad_feed())
    except Exception as error:
        raise ContractBroken(f"a bad row raises {type(error).__name__}: {error}") from error
    for port, batch in outputs.batches:
        if port == "errors":
            demand_schema(batch, ERRORS, port)
    tables = outputs.tables()
    demand("errors" in tables, "bad rows gave no row of 'errors'")
    errors = tables.pop("errors")
    demand(errors.num_rows == case.bad_rows, f"{errors.num_rows} dead letters for {case.bad_rows} bad rows")
    demand(errors.schema.names == ERRORS.names, f"'errors' has the columns {errors.schema.names}")
    for row in errors.to_pylist():
        empty = [name for name in ("reason", "detail", "stage", "topic") if not row[name]]
        demand(not empty, f"a dead letter without {', '.join(empty)}: {row}")
        demand(row["offset"] >= 0, f"a dead letter without its offset: {row}")
    demand(sum(table.num_rows for table in tables.values()) > 0, "the good rows among bad ones gave nothing")
    again = Outputs().give(case.make(), cut(case.bad_feed(), [1, 3, 7])).tables()
    assert_same(again, tables | {"errors": errors})


def an_unknown_command_changes_nothing(case: StageCase) -> None:
    """A command of a kind that the stage does not know is answered by None or a refusal."""
    stage = case.make()
    before = stage.snapshot()
    answer = stage.on_control(Command("c", "NO_SUCH_KIND", stage.context.node, 1))
    demand(answer is None or isinstance(answer, Ack), f"on_control gives {answer!r}, not an Ack or None")
    demand(answer is None or answer.status != "APPLIED", "it applies a command of an unknown kind")
    demand(stage.snapshot() == before, "a command that was not applied changed the state")


def counts_only_grow(case: StageCase) -> None:
    """``counts`` gives numbers by name. None of them falls, and no name goes."""
    stage, before = case.make(), dict[str, float]()
    for port, item in case.feed():
        Outputs().give(stage, [(port, item)])
        counts = dict(stage.counts())
        wrong = [name for name, count in counts.items() if not isinstance(count, int | float) or count != count]
        demand(not wrong, f"it counts {wrong[:1]} by what is no number")
        fallen = [name for name, count in before.items() if counts.get(name, -1) < count]
        demand(not fallen, f"its count {fallen[:1]} has fallen or is gone")
        before = counts


def memory_is_bounded(case: StageCase) -> None:
    """However long the stream, neither the snapshot nor what the stage holds grows."""
    stage = case.make()
    feed = case.feed()
    endless = case.endless or (lambda number: later(feed, number))
    held: list[int] = []
    sizes: list[int] = []
    with traced() as now:
        for number in range(_LONG):
            for port, item in endless(number):
                given = stage.on_watermark(port, item) if isinstance(item, Watermark) else stage.process(port, item)
                for _ in given:
                    pass
            given = item = None  # type: ignore[assignment]
            sizes.append(len(stage.snapshot()))
            held.append(now())
    for what, series, slack in (("snapshot", sizes, _SNAPSHOT_SLACK_BYTES), ("memory", held, _SLACK_BYTES)):
        then, end = max(series[_WARM // 2 : _WARM]), max(series[-_WARM // 2 :])
        demand(
            end <= then + slack,
            f"its {what} grows with the stream: {then:,} bytes after {_WARM} stretches, {end:,} after {_LONG}",
        )


STAGE_RULES: dict[str, Callable[[StageCase], None]] = {
    rule.__name__: rule
    for rule in (
        ports_carry_what_they_declare,
        inputs_stay_as_they_were,
        same_input_gives_same_output,
        no_cut_of_the_input_changes_the_output,
        a_restored_stage_goes_on,
        snapshots_are_free_of_pickle,
        foreign_state_is_refused,
        an_empty_batch_gives_nothing,
        bad_rows_become_dead_letters,
        an_unknown_command_changes_nothing,
        counts_only_grow,
        memory_is_bounded,
    )
}


def check_stage(case: StageCase) -> None:
    """Try every rule. Raises ContractBroken that names the first one that the stage breaks."""
    check_all(STAGE_RULES, case)
