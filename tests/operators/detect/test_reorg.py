"""A fork or a skipped slot is taken back: state and open episodes are as if it had never been read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.detect.report.cycles import Cycle
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import items, make, run, until
from tests.operators.detect.market_messages import SLOT_US, batch, pair_market, swap
from tests.operators.detect.random_curves import CURVES
from tests.operators.detect.random_market import PLAIN, START_US, RandomMarket

EVERYTHING = list(until(1 << 62))


def back(
    slot: int, kind: int = market.PoolUpdate.KIND_REORG, chain: int = market.CHAIN_SOLANA, fork: int = 0
) -> market.PoolUpdate:
    return market.PoolUpdate(chain=chain, slot=slot, timestamp_us=START_US + slot * SLOT_US, kind=kind, fork=fork)


def of_fork(batches: list[pa.RecordBatch], fork: int) -> list[pa.RecordBatch]:
    """Rows as those of a fork."""
    column = batches[0].schema.field("fork")
    at = [each.schema.get_field_index("fork") for each in batches]
    return [
        each.set_column(place, column, pa.array([fork] * each.num_rows, column.type))
        for place, each in zip(at, batches, strict=True)
    ]


def open_now(stage: ArbitrageDetect) -> dict[Cycle, bytes]:
    """What pays, without cycles through DLMM: its fee goes with time, and theirs is that when the fork was heard of."""
    info = stage._market.book.info
    return {
        cycle: episode.amounts
        for cycle, episode in stage._reporter.episodes.open.items()
        if not any(isinstance(info[number].curve, DlmmState) for number in {leg >> 1 for leg in cycle})
    }


def state(stage: ArbitrageDetect) -> list[object]:
    book = stage._market.book
    names = [name for name in book.pools.dtype.names or () if name != "warm"]
    ticks = [None if info.ticks is None else list(info.ticks) for info in book.info]
    rows = [book.pools[name][: book.count].tolist() for name in names]
    return [rows, ticks, [info.curve for info in book.info], book.cycles.best[: 2 * len(book.cycles.pairs)].tolist()]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    share=st.floats(0.2, 0.9),
    restart=st.booleans(),
    kinds=st.sampled_from((PLAIN, PLAIN + CURVES)),
)
@example(seed=205, share=0.625, restart=False, kinds=PLAIN + CURVES)
@example(seed=4, share=0.625, restart=False, kinds=PLAIN + CURVES)
def test_a_fork_leaves_no_trace(seed: int, share: float, restart: bool, kinds: tuple[str, ...]) -> None:
    batches = RandomMarket(seed, pools=7, events=40, kinds=kinds).batches()
    slots = np.unique(np.concatenate([each.column("slot").to_numpy() for each in batches]))
    first = int(slots[int(share * len(slots))])
    before = [each.filter(pc.less(each.column("slot"), first)) for each in batches]
    after = [each.filter(pc.greater_equal(each.column("slot"), first)) for each in batches]
    # The other fork: the same states at other places.
    order = np.random.default_rng(seed).permutation(after[-1].num_rows)
    other = after[-1].take(pa.array(order))
    for name in ("slot", "tx_index", "ix_index", "timestamp_us"):
        other = other.set_column(other.schema.get_field_index(name), other.schema.field(name), after[-1].column(name))
    straight, forked = make(), make()
    run(straight, [*items(before), *EVERYTHING], end=False)
    run(forked, [*items(before), *EVERYTHING, *items([*after[:-1], other]), *EVERYTHING], end=False)
    if restart:
        again = make()
        again.restore(forked.snapshot())
        forked = again
    run(forked, [*items([batch(back(first))]), *EVERYTHING], end=False)
    assert state(forked) == state(straight)
    assert open_now(forked) == open_now(straight)
    new = run(straight, [*items(after), *EVERYTHING], end=False)
    anew = run(forked, [*items(after), *EVERYTHING], end=False)
    assert state(forked) == state(straight)
    assert open_now(forked) == open_now(straight)
    assert anew.get("swaps") == new.get("swaps")
    for table in (new, anew):
        assert "opportunities" not in table or not pc.any(table["opportunities"].column("late")).as_py()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 32), share=st.floats(0.2, 0.9), swaps_first=st.booleans(), kinds=st.just(PLAIN))
@example(seed=205, share=0.625, swaps_first=True, kinds=PLAIN + CURVES)
@example(seed=205, share=0.625, swaps_first=False, kinds=PLAIN + CURVES)
def test_either_topic_may_be_the_first_to_know_of_a_fork(
    seed: int, share: float, swaps_first: bool, kinds: tuple[str, ...]
) -> None:
    batches = RandomMarket(seed, pools=7, events=40, kinds=kinds).batches()
    slots = np.unique(np.concatenate([each.column("slot").to_numpy() for each in batches]))
    first = int(slots[int(share * len(slots))])
    before = [each.filter(pc.less(each.column("slot"), first)) for each in batches]
    after = [each.filter(pc.greater_equal(each.column("slot"), first)) for each in batches]
    straight, forked = make(), make()
    run(straight, [*items(before), *EVERYTHING, *items(after), *EVERYTHING], end=False)
    *updates, swaps = of_fork(after, 8)
    told = items([batch(back(first, fork=8))])
    run(forked, [*items(of_fork(before, 7)), *EVERYTHING], end=False)
    if swaps_first:
        overtaken = run(forked, [*items([swaps]), *EVERYTHING], end=False)
        assert not overtaken.get("swaps")
        run(forked, [*told, *items(updates), *EVERYTHING], end=False)
    else:
        run(forked, [*told, *items([*updates, swaps]), *EVERYTHING], end=False)
    run(forked, [*items(of_fork(after, 7)), *EVERYTHING], end=False)  # what was under way of the fork that is left
    assert state(forked) == state(straight)
    assert open_now(forked) == open_now(straight)


def test_a_skipped_slot_leaves_what_came_after() -> None:
    first, second, wide, *_ = pair_market()  # slot 3 opens a gap
    stage = make()
    run(stage, [*items([batch(first, second, wide)]), *EVERYTHING], end=False)
    assert open_now(stage)
    found = run(stage, [*items([batch(back(3, market.PoolUpdate.KIND_SKIPPED))]), *EVERYTHING], end=False)
    assert [row["closed"] for row in found["opportunities"].to_pylist()] == [True]
    assert not open_now(stage)
    run(stage, [*items([batch(swap(4, b"p", (10**12, 102_000 * 10**6)))]), *EVERYTHING], end=False)
    run(stage, [*items([batch(back(3, market.PoolUpdate.KIND_SKIPPED))]), *EVERYTHING], end=False)
    assert open_now(stage), "slot 4 stands"


def test_what_still_waits_of_an_undone_slot_is_dropped() -> None:
    first, second, wide, *_ = pair_market()
    stage = make()
    run(stage, [*items([batch(first, second, wide)]), *items([batch(back(3))]), *EVERYTHING], end=False)
    assert not open_now(stage)


@pytest.mark.parametrize("reorg_slots", [0, 1])
def test_no_more_is_kept_than_was_asked(reorg_slots: int) -> None:
    stage = make(reorg_slots=reorg_slots)
    for message in pair_market():
        run(stage, [*items([batch(message)]), *EVERYTHING], end=False)
    stage.snapshot()
    assert stage._market._journal.noted == reorg_slots


def test_another_chain_is_left_alone() -> None:
    stage = make()
    run(stage, [*items([batch(*pair_market())]), *EVERYTHING], end=False)
    known = state(stage)
    run(stage, [*items([batch(back(1, chain=market.CHAIN_ETHEREUM))]), *EVERYTHING], end=False)
    assert state(stage) == known


def test_the_highest_slot_there_can_be() -> None:
    stage = make()
    top = (1 << 64) - 1
    last = swap(top, b"p", (1, 1), timestamp_us=START_US)
    gone = market.PoolUpdate(chain=last.chain, slot=top, timestamp_us=START_US, kind=market.PoolUpdate.KIND_REORG)
    run(stage, [*items([batch(*pair_market(), last)]), *EVERYTHING], end=False)
    run(stage, [*items([batch(gone)]), *EVERYTHING], end=False)
    assert int(stage._market.book.pools[0]["slot"]) < top
