"""The Native encoder: what it writes is what the engine reads."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.operators.stage import StageContext
from mevflow.sinks.clickhouse import native
from mevflow.sinks.clickhouse.block import InsertBlock
from mevflow.sinks.clickhouse.columns import (
    Address,
    Amount,
    BatchRows,
    ColumnError,
    Enumerated,
    Identifier,
    Many,
    Number,
    Text,
    Word,
)
from mevflow.sinks.clickhouse.tables import TABLES
from tests.sinks.clickhouse.rows import batch_of, swap

_LIMITS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_TEXTS = st.lists(st.text(max_size=5) | st.text(min_size=100, max_size=300), max_size=12)
_ROWS = st.lists(_TEXTS, min_size=1, max_size=6)


def rows_of(array, chains=None):
    return BatchRows({"x": array}, chains, len(array))


def shown(client, column, array, chains=None, how="x"):
    """The column's values as ClickHouse shows them."""
    encoded = column.encode(rows_of(array, chains))
    data = b"".join(native.block([("x", encoded)], len(array)))
    name = "t_native_values"
    client.command(f"CREATE OR REPLACE TABLE {name} (x {encoded.type}) ENGINE = Memory")
    client.raw_insert(name, ["x"], data, fmt="Native")
    return [row[0] for row in client.query(f"SELECT {how} FROM {name}").result_rows]


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_strings_stand_behind_their_lengths(values):
    lengths, data = native.raw_bytes(pa.array(values, pa.binary()))
    assert native.prefixed(lengths, data) == b"".join(native.varint(len(value)) + value for value in values)


@given(st.lists(st.binary(max_size=5) | st.none(), max_size=20), st.integers(0, 5))
def test_slices_and_nulls_give_their_own_bytes(values, start):
    lengths, data = native.raw_bytes(pa.array(values, pa.binary()).slice(start))
    plain = [value or b"" for value in values[start:]]
    assert lengths.tolist() == [len(value) for value in plain]
    assert data.tobytes() == b"".join(plain)


@_LIMITS
@given(values=_TEXTS.filter(bool))
def test_text_and_words(clickhouse_client, values):
    for column in (Text("x", "x"), Word("x", "x")):
        assert shown(clickhouse_client, column, pa.array(values, pa.utf8())) == values


@_LIMITS
@given(values=_ROWS)
def test_arrays_of_words(clickhouse_client, values):
    array = pa.array([[], *values], pa.list_(pa.utf8())).slice(1)
    assert shown(clickhouse_client, Many("x", "x", Word("x", "x")), array) == values


@_LIMITS
@given(values=st.lists(st.integers(0, (1 << 128) - 1) | st.none(), min_size=1, max_size=20))
def test_unsigned_amounts(clickhouse_client, values):
    array = pa.array([b"" if value is None else value.to_bytes(16, "little") for value in values], pa.binary())
    assert shown(clickhouse_client, Amount("x", "x"), array) == [value or 0 for value in values]


@_LIMITS
@given(values=st.lists(st.integers(-(1 << 127), (1 << 127) - 1), min_size=1, max_size=20))
def test_signed_amounts(clickhouse_client, values):
    array = pa.array([value.to_bytes(16, "little", signed=True) for value in values], pa.binary())
    assert shown(clickhouse_client, Amount("x", "x", "Int128"), array) == values


@_LIMITS
@given(values=st.lists(st.integers(0, (1 << 160) - 1), min_size=1, max_size=9))
def test_prices_of_20_bytes(clickhouse_client, values):
    array = pa.array([value.to_bytes(20, "little") for value in values], pa.binary())
    assert shown(clickhouse_client, Amount("x", "x", "UInt256"), array) == values


@pytest.mark.parametrize("count", [1, 256, 257, 70_000])
def test_dictionaries_of_every_width(clickhouse_client, count):
    values = [str(number) for number in range(count)] * 2
    how = "(count(), uniqExact(x), sum(toUInt64(x)))"
    array = pa.array(values)
    (found,) = shown(clickhouse_client, Word("x", "x"), array, how=how)
    assert found == (2 * count, count, count * (count - 1))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Bool", [True, False, None]),
        ("Int32", [-(1 << 31), 5, None]),
        ("UInt64", [(1 << 64) - 1, 0, None]),
        ("Float64", [0.1, -1e300, None]),
        ("UInt8", [255, 0, None]),
    ],
)
def test_numbers(clickhouse_client, kind, values):
    wide = {"UInt8": pa.uint32(), "UInt64": pa.uint64()}.get(kind)
    expected = [value or 0 for value in values]
    assert shown(clickhouse_client, Number("x", "x", kind), pa.array(values, wide)) == expected


def test_addresses_read_as_their_chain_writes_them(clickhouse_client):
    array = pa.array([b"\0" * 32, b"\xab" * 20, b"\xab" * 32, b""], pa.binary())
    chains = np.array([1, 2, 2, 1], np.int32)
    expected = ["1" * 32, "0x" + "ab" * 20, "0x" + "ab" * 32, ""]
    for low in (True, False):
        assert shown(clickhouse_client, Address("x", "x", low), array, chains) == expected


def test_ids_and_enums(clickhouse_client):
    array = pa.array([bytes(range(16)), b""], pa.binary())
    assert shown(clickhouse_client, Identifier("x", "x"), array) == ["000102030405060708090a0b0c0d0e0f", ""]
    codes = pa.array([1, 0, 1], pa.int32())
    assert shown(clickhouse_client, Enumerated("x", "x", ("none", "one")), codes) == ["one", "none", "one"]


@pytest.mark.parametrize(
    ("column", "array"),
    [
        (Amount("x", "x"), pa.array([b"1" * 17], pa.binary())),
        (Amount("x", "x", "Int128"), pa.array([b"1" * 8], pa.binary())),
        (Amount("x", "x"), pa.array([b"1" * 8, b"1" * 16], pa.binary())),
        (Enumerated("x", "x", ("none", "one")), pa.array([2], pa.int32())),
        (Number("x", "x", "UInt8"), pa.array([256], pa.uint32())),
    ],
)
def test_values_that_do_not_fit_name_their_column(column, array):
    with pytest.raises(ColumnError) as caught:
        column.encode(rows_of(array))
    assert caught.value.column == "x"


def test_what_no_row_of_a_block_sets_is_not_sent():
    one, other = batch_of([swap(1, tick=0)]), batch_of([swap(2, tick=0, fee_pips=5)])
    batches = [batch.take(pa.array([0] * 10_000)) for batch in (one, other)]  # too many to be joined
    block = InsertBlock(TABLES["mevflow.v1.Swap"], batches, StageContext("topo", "raw"), "writer", 7)
    names, pieces = block.encode()
    assert {"reserve_a", "sqrt_price_x96", "tick", "tip_lamports"}.isdisjoint(names)
    assert {"amount_in", "fee_pips", "_ingest_seq"} <= set(names)
    data = b"".join(pieces)
    assert [data.count(name) for name in (b"fee_pips", b"reserve_a")] == [2, 0]
    assert not Number("x", "x", "Float64").encode(rows_of(pa.array([-0.0]))).unset


def test_a_table_takes_zero_for_what_is_not_sent(clickhouse_client, clickhouse_database):
    """A default of its own, or NULL, would be another value."""
    kept = clickhouse_client.query(
        "SELECT table, name, default_kind, type LIKE 'Nullable%' FROM system.columns WHERE database = {db:String}",
        parameters={"db": clickhouse_database},
    ).result_rows
    zero = {(table, name) for table, name, default, nullable in kept if not default and not nullable}
    for table in TABLES.values():
        for column in table.columns:
            if isinstance(column, Number) or type(column) is Amount:
                assert (table.name, column.name) in zero
