"""Reading mev-inspect-py's swaps."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.label.mev_inspect import read_mev_inspect
from mevflow.operators.parse.errors import ParseError

LINE = {
    "transaction_hash": "0x01",
    "transaction_position": 3,
    "block_number": 9,
    "trace_address": [0, 2],
    "contract_address": "0x02",
    "from_address": "0x03",
    "to_address": "0x04",
    "token_in_address": "0x05",
    "token_in_amount": 10**30,
    "token_out_address": "0x06",
    "token_out_amount": "7",
    "error": None,
}


def test_a_line() -> None:
    read = read_mev_inspect([json.dumps(LINE).encode(), b"\n"])
    [one] = read.blocks[9]
    assert (one.place, one.amount_in, one.amount_out, one.payer, one.recipient) == ((0, 2), 10**30, 7, b"\3", b"\4")
    assert read.hashes[9] == {3: b"\1"}


def test_what_was_undone_is_counted_and_left_out() -> None:
    read = read_mev_inspect([json.dumps({**LINE, "error": "Reverted"}).encode()])
    assert (read.swaps, read.undone, read.blocks[9]) == (1, 1, [])


@pytest.mark.parametrize(
    "change",
    [
        {"token_in_amount": -1},
        {"token_in_amount": 1.5},
        {"token_in_amount": None},
        {"contract_address": "02"},
        {"trace_address": ["x"]},
        {"transaction_position": True},
    ],
)
def test_a_wrong_value_names_its_line(change: dict[str, object]) -> None:
    lines = [json.dumps(LINE).encode(), json.dumps({**LINE, **change}).encode()]
    with pytest.raises(ParseError) as wrong:
        read_mev_inspect(lines, "swaps.jsonl")
    assert (wrong.value.file, wrong.value.line) == ("swaps.jsonl", 2)


def test_two_transactions_at_one_place_are_refused() -> None:
    lines = [json.dumps(one).encode() for one in (LINE, {**LINE, "transaction_hash": "0xff"})]
    with pytest.raises(ParseError, match="two transactions"):
        read_mev_inspect(lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(LINE)), inner, max_size=6),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(LINE)), JSON), st.binary(max_size=40))
def test_nothing_raises_anything_else(change: dict[str, object], noise: bytes) -> None:
    for line in (json.dumps({**LINE, **change}).encode(), noise):
        with suppress(ParseError):
            read_mev_inspect([line])
