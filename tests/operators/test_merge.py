"""Batches of several inputs come out as one stretch of chain order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.errors import StateError
from mevflow.operators.merge import ChainMerge, Stretch
from mevflow.operators.stage import CAUGHT_UP_US, Watermark

SCHEMA = pa.schema(
    [
        ("chain", pa.int32()),
        ("slot", pa.uint64()),
        ("tx_index", pa.uint32()),
        ("ix_index", pa.uint32()),
        ("timestamp_us", pa.int64()),
        ("name", pa.utf8()),
    ]
)
PORTS = frozenset(("updates", "swaps"))
Row = tuple[int, int, int, int, int, str]


def batch(*rows: Row) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else ([] for _ in SCHEMA)
    return pa.RecordBatch.from_arrays(
        [pa.array(list(column), field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def merge(lateness_us: int = 0) -> ChainMerge:
    return ChainMerge({"updates": SCHEMA, "swaps": SCHEMA}, lateness_us)


def at(slot: int, tx: int = 0, ix: int = 0, chain: int = 1, name: str = "") -> Row:
    return chain, slot, tx, ix, slot * 1_000, name or f"{chain}/{slot}/{tx}/{ix}"


def names(stretch: Stretch | None) -> list[str]:
    if stretch is None:
        return []
    columns = [one.column("name").to_pylist() for one in stretch.batches]
    return [columns[source][row] for source, row in zip(stretch.source, stretch.row, strict=True)]


def released(into: ChainMerge, hold_us: int) -> list[str]:
    """What both inputs' watermark lets go."""
    first = into.advance("updates", Watermark(hold_us), PORTS)
    return names(first) + names(into.advance("swaps", Watermark(hold_us), PORTS))


def test_rows_wait_for_every_input() -> None:
    into = merge()
    into.add("swaps", batch(at(5), at(7)))
    assert names(into.advance("swaps", Watermark(8_000), PORTS)) == []
    assert names(into.advance("updates", Watermark(6_000), PORTS)) == ["1/5/0/0"]
    assert into.waiting == 1
    assert names(into.advance("updates", Watermark(CAUGHT_UP_US), PORTS)) == ["1/7/0/0"]


def test_an_input_that_nothing_feeds_is_not_waited_for() -> None:
    into = merge()
    into.add("swaps", batch(at(5)))
    assert names(into.advance("swaps", Watermark(CAUGHT_UP_US), frozenset({"swaps"}))) == ["1/5/0/0"]


def test_a_row_at_the_hold_waits_because_its_like_may_still_come() -> None:
    into = merge()
    into.add("swaps", batch(at(5)))
    assert released(into, 5_000) == []
    assert released(into, 5_001) == ["1/5/0/0"]


def test_order_is_by_chain_slot_transaction_instruction() -> None:
    into = merge()
    into.add("swaps", batch(at(9, 1, 2), at(9, 1, 0), at(8, 7), at(2, chain=2), at(9, 0, 5)))
    assert released(into, CAUGHT_UP_US) == ["1/8/7/0", "1/9/0/5", "1/9/1/0", "1/9/1/2", "2/2/0/0"]


def test_an_update_goes_before_a_swap_of_the_same_place() -> None:
    into = merge()
    into.add("swaps", batch(at(5, name="swap")))
    into.add("updates", batch(at(5, name="update")))
    assert released(into, CAUGHT_UP_US) == ["update", "swap"]


def test_places_too_wide_for_64_bits_are_ordered_too() -> None:
    big = (1 << 63) - 1
    rows = [(1, big, 1, 1 << 31, 0, "d"), (1, 1, 1 << 31, 0, 0, "b"), (1, 1, 0, 0, 0, "a"), (1, big, 0, 0, 0, "c")]
    into = merge()
    into.add("swaps", batch(*rows))
    assert released(into, CAUGHT_UP_US) == ["a", "b", "c", "d"]


def test_lateness_is_by_chain() -> None:
    into = merge()
    into.add("swaps", batch(at(10), at(3, chain=2)))
    assert released(into, CAUGHT_UP_US) == ["1/10/0/0", "2/3/0/0"]
    into.add("swaps", batch(at(11), at(9), at(10), at(4, chain=2)))
    stretch = into.advance("swaps", Watermark(CAUGHT_UP_US), PORTS)
    assert stretch is not None
    assert dict(zip(names(stretch), stretch.late.tolist(), strict=True)) == {
        "1/9/0/0": True,
        "1/10/0/0": False,
        "1/11/0/0": False,
        "2/4/0/0": False,
    }
    assert into.late_rows == 1


def test_late_rows_come_first_and_do_not_move_the_mark() -> None:
    into = merge()
    into.add("swaps", batch(at(10)))
    released(into, CAUGHT_UP_US)
    into.add("swaps", batch(at(9)))
    stretch = into.advance("swaps", Watermark(CAUGHT_UP_US), PORTS)
    assert stretch is not None
    assert stretch.late.tolist() == [True]
    into.add("swaps", batch(at(9, 5), at(11)))
    stretch = into.advance("swaps", Watermark(CAUGHT_UP_US), PORTS)
    assert stretch is not None
    assert names(stretch) == ["1/9/5/0", "1/11/0/0"]
    assert stretch.late.tolist() == [True, False]


def test_lateness_holds_rows_back_until_all_is_caught_up() -> None:
    into = merge(lateness_us=2_000)
    into.add("swaps", batch(at(5)))
    assert released(into, 6_000) == []
    into.add("swaps", batch(at(4)))
    assert released(into, 7_001) == ["1/4/0/0", "1/5/0/0"]
    into.add("swaps", batch(at(8)))
    assert released(into, CAUGHT_UP_US) == ["1/8/0/0"]


def test_a_row_of_the_greatest_time_is_not_held_for_ever() -> None:
    into = merge(lateness_us=2_000)
    into.add("swaps", batch((1, 5, 0, 0, CAUGHT_UP_US, "last"), at(4)))
    assert released(into, 1 << 62) == ["1/4/0/0"]
    assert released(into, CAUGHT_UP_US) == ["last"]
    assert into.waiting == 0


rows_of = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(0, 2), st.integers(0, 2)), max_size=12, unique=True
)


timed_rows = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(0, 2), st.integers(1, 6)), max_size=14, unique=True
)


@given(rows=timed_rows, holds=st.lists(st.integers(0, 8), max_size=4))
def test_times_that_contradict_slots_give_one_order_whatever_the_watermarks(
    rows: list[tuple[int, ...]], holds: list[int]
) -> None:
    whole, cut = merge(), merge()
    for into in (whole, cut):
        into.add(
            "swaps", batch(*[(chain, slot, tx, 0, time, str(at)) for at, (chain, slot, tx, time) in enumerate(rows)])
        )
    wanted = released(whole, CAUGHT_UP_US)
    given_names: list[str] = []
    for hold in sorted(holds):
        given_names += released(cut, hold)
    given_names += released(cut, CAUGHT_UP_US)
    for chain in (1, 2):
        assert [n for n in given_names if rows[int(n)][0] == chain] == [n for n in wanted if rows[int(n)][0] == chain]
    assert cut.late_rows == 0


def test_a_row_without_a_time_takes_its_place_among_the_slots() -> None:
    into = merge()
    into.add("swaps", batch(at(5), (1, 7, 0, 0, 0, "timeless"), at(9), at(6)))
    assert released(into, CAUGHT_UP_US) == ["1/5/0/0", "1/6/0/0", "timeless", "1/9/0/0"]


def judged(into: ChainMerge, *rows: Row) -> dict[str, str]:
    into.add("swaps", batch(*rows))
    stretch = into.advance("swaps", Watermark(CAUGHT_UP_US), frozenset({"swaps"}))
    assert stretch is not None
    words = np.where(stretch.astray, "astray", np.where(stretch.late, "late", ""))
    return dict(zip(names(stretch), words.tolist(), strict=True))


FAR = (1 << 36) - 1


@pytest.mark.parametrize("together", [True, False])
def test_a_slot_far_ahead_is_astray_and_makes_nothing_late(together: bool) -> None:
    into = merge()
    rows = [at(9), at(10), (1, FAR, 0, 0, 11_000, "far"), at(12), at(13)]
    found = judged(into, *rows) if together else {}
    for row in () if together else rows:
        found |= judged(into, row)
    assert found == {"1/9/0/0": "", "1/10/0/0": "", "far": "astray", "1/12/0/0": "", "1/13/0/0": ""}
    again = merge()
    again.restore(into.snapshot())
    assert judged(again, at(11)) == {"1/11/0/0": "late"}
    assert judged(again, (1, FAR, 0, 0, 14_000, "one"), (1, FAR, 0, 1, 14_000, "two")) == dict.fromkeys(
        ("one", "two"), "astray"
    )


def test_the_first_row_of_a_chain_may_be_astray_without_harm() -> None:
    into = merge()
    assert judged(into, (1, FAR, 0, 0, 9_000, "far")) == {"far": ""}
    assert judged(into, at(10), at(11)) == {"1/10/0/0": "", "1/11/0/0": ""}
    assert judged(into, at(9)) == {"1/9/0/0": "late"}


@pytest.mark.parametrize("together", [True, False])
def test_a_slot_far_behind_is_late_and_makes_nothing_astray(together: bool) -> None:
    base = 300_000_000
    near = [(1, base + n // 4, n, 0, 10_000 + n, f"r{n}") for n in range(12)]
    low = [(1, 5, 0, 0, 10_006, "low"), (1, 5, 0, 0, 10_006, "again")]
    rows = [*near[:7], *low, *near[7:]]
    into, found = merge(), {}
    for part in [rows] if together else [[row] for row in rows]:
        found |= judged(into, *part)
    assert {name for name, said in found.items() if said} == {"low", "again"}
    assert found["low"] == found["again"] == "late"
    assert into.late_rows == 2


def test_a_first_row_far_behind_makes_nothing_astray() -> None:
    into = merge()
    rows = [(1, 5, 0, 0, 9_000, "low"), *[(1, 300_000_000, n, 0, 10_000 + n, f"r{n}") for n in range(5)]]
    assert set(judged(into, *rows).values()) == {""}


def test_a_time_far_ahead_makes_nothing_late() -> None:
    into = merge()
    assert judged(into, at(10), (1, 11, 0, 0, 1 << 60, "tomorrow")) == {"1/10/0/0": "", "tomorrow": ""}
    assert judged(into, at(12)) == {"1/12/0/0": ""}
    assert judged(into, at(13), at(11)) == {"1/11/0/0": "late", "1/13/0/0": ""}


def test_a_leap_that_goes_on_is_followed() -> None:
    into = merge()
    leapt = [(1, 1_000_000 + n, 0, 0, 11_000 + n, f"leap{n}") for n in range(3)]
    found = judged(into, at(9), at(10), *leapt)
    assert found == {"1/9/0/0": "", "1/10/0/0": "", "leap0": "astray", "leap1": "", "leap2": ""}
    later = (1, 500_000_000, 0, 0, 11_000 + 3_600_000_000 * 24 * 365, "a year later")
    assert judged(into, later) == {"a year later": ""}


@given(swaps=rows_of, updates=rows_of, cuts=st.lists(st.integers(0, 12), max_size=4), holds=st.lists(st.integers(0, 7)))
def test_cuts_and_watermarks_do_not_change_the_order_within_a_chain(
    swaps: list[tuple[int, ...]], updates: list[tuple[int, ...]], cuts: list[int], holds: list[int]
) -> None:
    into = merge()
    for port, keys in (("swaps", swaps), ("updates", updates)):
        rows = [(*key, key[1] * 1_000, f"{port[0]}{key}") for key in keys]
        edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
        for begin, end in pairwise(edges):
            into.add(port, batch(*rows[begin:end]))
    given_names: list[str] = []
    for hold in sorted(holds):
        given_names += released(into, hold * 1_000)
    given_names += released(into, CAUGHT_UP_US)
    for chain in (1, 2):
        mine = [name for name in given_names if name[1:].startswith(f"({chain},")]
        keyed = sorted([(key, 1, f"s{key}") for key in swaps] + [(key, 0, f"u{key}") for key in updates])
        assert mine == [name for key, _, name in keyed if key[0] == chain]
    assert into.late_rows == 0


def test_what_waits_and_where_the_order_stands_survive_a_restore() -> None:
    into = merge()
    into.add("swaps", batch(at(5), at(9)))
    released(into, 6_000)
    again = merge()
    again.restore(into.snapshot())
    again.add("updates", batch(at(4)))
    assert released(again, CAUGHT_UP_US) == ["1/4/0/0", "1/9/0/0"]
    assert again.late_rows == 1


def test_a_state_of_other_inputs_is_refused() -> None:
    other = ChainMerge({"swaps": SCHEMA})
    with pytest.raises(StateError):
        merge().restore(other.snapshot())
