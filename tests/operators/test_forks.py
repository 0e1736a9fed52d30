"""Rows of two forks on two topics, in any order of arrival: what comes out is the chain as it stands."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.forks import PATIENCE_SLOTS, REACH_SLOTS
from mevflow.operators.merge import ChainMerge
from mevflow.operators.stage import CAUGHT_UP_US, Watermark
from tests.operators.test_merge import PORTS, names
from tests.operators.test_merge import SCHEMA as WITHOUT

SCHEMA = WITHOUT.append(pa.field("fork", pa.uint64()))
END = Watermark(CAUGHT_UP_US, final=True)


def rows(*slots: int, fork: int, chain: int = 2) -> pa.RecordBatch:
    found = [
        {"chain": chain, "slot": slot, "tx_index": 0, "ix_index": 0, "timestamp_us": slot, "fork": fork}
        | {"name": f"{slot}/{fork}"}
        for slot in slots
    ]
    return pa.RecordBatch.from_pylist(found, schema=SCHEMA)


def merge(**given: Any) -> ChainMerge:
    return ChainMerge({"updates": SCHEMA, "swaps": SCHEMA}, **given)


def released(into: ChainMerge) -> list[str]:
    first = into.advance("updates", Watermark(CAUGHT_UP_US), PORTS)
    return names(first) + names(into.advance("swaps", Watermark(CAUGHT_UP_US), PORTS))


@given(st.permutations(["old updates", "old swaps", "reorg", "new updates", "new swaps"]), st.booleans())
def test_every_order_of_arrival_gives_the_chain_as_it_stands(order: list[str], restarts: bool) -> None:
    """What the old fork gave from slot 5 on is taken back, nothing of it comes later, and nothing of the new before."""
    into, given, undone = merge(), [], False
    into.add("swaps", rows(1, 2, fork=7))
    given += released(into)
    for step in order:
        if step == "reorg":
            if into.undo(2, 5, 1 << 62, fork=8):
                given = [name for name in given if int(name.split("/")[0]) < 5]
            undone = True
        else:
            age, port = step.split()
            into.add(port, rows(4, 5, 6, fork=7) if age == "old" else rows(5, 6, 7, fork=8))
        if restarts:
            again = merge()
            again.restore(into.snapshot())
            into = again
        now = released(into)
        assert undone or all(name.endswith("/7") for name in now)
        given += now
    assert sorted(given) == ["1/7", "2/7", "4/7", "4/7", "5/8", "5/8", "6/8", "6/8", "7/8", "7/8"]
    assert into.waiting == 0


def test_a_fork_that_is_told_twice_takes_nothing_back_twice() -> None:
    into = merge()
    into.add("swaps", rows(1, 2, fork=7))
    assert into.undo(2, 2, 1 << 62, fork=8)
    into.add("swaps", rows(2, 3, fork=8))
    assert not into.undo(2, 2, 1 << 62, fork=8)
    assert released(into) == ["1/7", "2/8", "3/8"]


def test_who_begins_in_the_middle_waits_for_nothing_and_takes_nothing_back() -> None:
    into = merge()
    into.add("swaps", rows(5, 6, fork=9))
    assert released(into) == ["5/9", "6/9"]
    assert not into.undo(2, 5, 1 << 62, fork=9)


def test_a_fork_that_is_never_told_of_stops_nothing_for_ever() -> None:
    for told, end in ((True, PATIENCE_SLOTS), (False, 1)):
        into = merge(told=told)
        into.add("swaps", rows(1, fork=7))
        into.add("swaps", rows(2, fork=8))
        into.add("swaps", rows(2 + end, fork=8))
        assert released(into) == ["1/7", "2/8", f"{2 + end}/8"]
    into = merge()
    into.add("swaps", rows(1, fork=7))
    into.add("swaps", rows(2, fork=8))
    assert released(into) == ["1/7"]
    assert into.advance("swaps", END, PORTS) is None
    assert names(into.advance("updates", END, PORTS)) == ["2/8"]


def test_where_nobody_tells_forks_a_row_that_says_so_acts_as_before() -> None:
    into = merge()
    into.add("swaps", rows(4, 5, fork=0))
    assert into.undo(2, 5, 1 << 62)
    into.add("swaps", rows(5, 6, fork=0))
    assert released(into) == ["4/0", "5/0", "6/0"]


def test_a_fork_reaches_no_other_chain_and_not_for_ever() -> None:
    """A source that was set back numbers anew from below: what it reads of new blocks is not of an old fork."""
    into = merge()
    into.add("swaps", rows(1, fork=7))
    into.undo(2, 2, 1 << 62, fork=8)
    into.add("swaps", rows(3, 2 + REACH_SLOTS, fork=7))
    into.add("swaps", rows(3, fork=7, chain=56))
    assert released(into) == ["1/7", f"{2 + REACH_SLOTS}/7", "3/7"]


def test_a_snapshot_from_before_forks_were_numbered_is_taken() -> None:
    old = ChainMerge({"updates": WITHOUT, "swaps": WITHOUT})
    old.add("swaps", rows(3, fork=0).select(WITHOUT.names))
    into = merge()
    into.restore(old.snapshot().replace(b"\xa7version\x02", b"\xa7version\x01"))
    assert released(into) == ["3/0"]
