"""The contract that every stage keeps, over the table in stage_cases.py."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.codec import ERRORS
from mevflow.operators.errors import StateError
from mevflow.operators.stage import Stage, Watermark
from tests.operators.stage_cases import CASES, Case, Item

EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


class Outputs:
    """What a stage gave, port by port in order; checked against what it declares."""

    def __init__(self) -> None:
        self._batches: dict[str, list[pa.RecordBatch]] = defaultdict(list)

    def give(self, stage: Stage, items: list[Item]) -> Outputs:
        """Feed the stage and keep what comes."""
        for port, item in items:
            given = stage.on_watermark(port, item) if isinstance(item, Watermark) else stage.process(port, item)
            for out, batch in given:
                self._batches[out].append(batch)
        return self

    @property
    def batches(self) -> list[tuple[str, pa.RecordBatch]]:
        """Every batch with its port."""
        return [(port, batch) for port, batches in self._batches.items() for batch in batches]

    def tables(self) -> dict[str, pa.Table]:
        """One table a port, dictionaries decoded and chunks joined, so that equality is of values."""
        return {port: _plain(pa.Table.from_batches(batches)) for port, batches in self._batches.items() if batches}


def _plain(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return table.combine_chunks()


def assert_same(found: dict[str, pa.Table], expected: dict[str, pa.Table]) -> None:
    """Equal ports, rows, order and values to the last bit."""
    assert {port for port, table in found.items() if table.num_rows} == {
        port for port, table in expected.items() if table.num_rows
    }
    for port, table in expected.items():
        if table.num_rows and not found[port].equals(table):
            pairs = zip(found[port].to_pylist(), table.to_pylist(), strict=True)
            assert [pair for pair in pairs if pair[0] != pair[1]][:1] == [], port


def cut(items: list[Item], at: list[int]) -> list[Item]:
    """The same rows in other batches: every batch cut at ``at`` modulo its length."""
    pieces: list[Item] = []
    for port, item in items:
        if isinstance(item, Watermark):
            pieces.append((port, item))
            continue
        cuts = sorted({0, item.num_rows, *(position % (item.num_rows + 1) for position in at)})
        pieces += [(port, item.slice(a, b - a)) for a, b in pairwise(cuts)]
    return pieces


@EVERY
def test_ports_carry_what_they_declare(case: Case) -> None:
    stage = case.make()
    wanted = stage.input_schemas(stage.settings)
    declared = stage.output_schemas(stage.settings)
    for port, item in case.feed():
        schema = wanted[port]
        if isinstance(item, pa.RecordBatch) and schema is not None:
            assert item.schema.equals(schema), f"the case feeds {port} what it does not take"
    given = Outputs().give(stage, case.feed()).batches
    assert given, "the case's feed brings nothing out"
    for port, batch in given:
        batch.validate(full=True)
        assert batch.schema.equals(declared[port], check_metadata=True), port


@EVERY
@settings(max_examples=12, deadline=None)
@given(at=st.lists(st.integers(0, 1 << 16), max_size=12))
def test_no_cut_of_the_input_changes_the_output(case: Case, at: list[int]) -> None:
    whole = Outputs().give(case.make(), case.feed()).tables()
    assert_same(Outputs().give(case.make(), cut(case.feed(), at)).tables(), whole)


@EVERY
def test_rows_one_by_one_give_the_same(case: Case) -> None:
    whole = Outputs().give(case.make(), case.feed()).tables()
    assert_same(Outputs().give(case.make(), cut(case.feed(), list(range(1 << 10)))).tables(), whole)


@EVERY
@settings(max_examples=12, deadline=None)
@given(at=st.lists(st.integers(0, 1 << 16), max_size=4), where=st.integers(0, 1 << 16))
def test_a_restored_stage_goes_on_as_if_nothing_had_happened(case: Case, at: list[int], where: int) -> None:
    items = cut(case.feed(), at)
    split = where % (len(items) + 1)
    straight = case.make()
    whole = Outputs().give(straight, items).tables()
    before, after = case.make(), case.make()
    outputs = Outputs().give(before, items[:split])
    after.restore(before.snapshot())
    assert_same(outputs.give(after, items[split:]).tables(), whole)
    # The snapshot is state, not a handle: what the first one does now must not reach the second.
    assert after.snapshot() == straight.snapshot()


@EVERY
def test_inputs_stay_as_they_were(case: Case) -> None:
    items = case.feed()

    def frozen() -> list[bytes]:
        return [bytes(item.serialize()) for _, item in items if isinstance(item, pa.RecordBatch)]

    before = frozen()
    Outputs().give(case.make(), items)
    assert frozen() == before


@EVERY
def test_an_empty_batch_gives_nothing(case: Case) -> None:
    for port, item in case.feed():
        if isinstance(item, pa.RecordBatch):
            given = Outputs().give(case.make(), [(port, item.slice(0, 0))]).batches
            assert [batch.num_rows for _, batch in given if batch.num_rows] == []


@EVERY
def test_foreign_state_is_refused(case: Case) -> None:
    stage = case.make()
    if stage.snapshot():
        with pytest.raises(StateError):
            stage.restore(b"\xc1 no snapshot")


@pytest.mark.parametrize("case", [case for case in CASES if case.bad_feed], ids=lambda case: case.name)
def test_bad_rows_become_dead_letters_and_the_rest_goes_on(case: Case) -> None:
    assert case.bad_feed is not None
    tables = Outputs().give(case.make(), case.bad_feed()).tables()
    errors = tables.pop("errors")
    assert errors.num_rows == case.bad_rows
    assert errors.schema.names == ERRORS.names
    for row in errors.to_pylist():
        assert row["reason"]
        assert row["detail"]
        assert row["stage"]
        assert row["topic"] == "dex-swaps-proto"
        assert row["offset"] >= 0
    assert sum(table.num_rows for table in tables.values()) > 0
    assert_same(Outputs().give(case.make(), cut(case.bad_feed(), [1, 3, 7])).tables(), tables | {"errors": errors})
