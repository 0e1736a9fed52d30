"""Episodes open once, are told of when amounts change, and end when their cycle pays no more."""

import msgspec

from mevflow.operators.amounts import u128
from mevflow.operators.detect.report.episodes import Episodes

#: Cycles of two legs: pools 1 and 2, 2 and 3, 4 and 5.
ONE, TWO, THREE = (2, 5), (4, 7), (8, 11)


def amounts(*numbers):
    return b"".join(map(u128, numbers))


def test_a_cycle_that_pays_opens_once_and_is_told_when_it_changes():
    kept = Episodes()
    episode, new = kept.report(ONE, 10, 100, amounts(5, 6))
    assert new
    assert (episode.opened_slot, episode.opened_us, episode.rows) == (10, 100, 0)
    assert kept.report(ONE, 11, 110, amounts(5, 6)) is None
    again, new = kept.report(ONE, 12, 120, amounts(5, 7))
    assert again is episode
    assert not new
    assert (episode.opened_slot, episode.opened_us, episode.rows, episode.amounts) == (10, 100, 1, amounts(5, 7))


def test_only_what_goes_through_the_pool_and_pays_no_more_ends_oldest_first():
    kept = Episodes()
    kept.report(TWO, 10, 100, amounts(1))
    kept.report(ONE, 9, 90, amounts(1))
    kept.report(THREE, 8, 80, amounts(1))
    assert kept.ended(9, set()) == []
    assert kept.ended(2, {ONE, TWO}) == []
    assert [each.cycle for each in kept.ended(2, set())] == [ONE, TWO]
    assert set(kept.open) == {THREE}
    assert kept.ended(1, set()) == kept.ended(3, set()) == []
    assert kept.report(ONE, 20, 200, amounts(1))[1]


def test_of_the_same_age_the_lower_cycle_ends_first():
    kept = Episodes()
    kept.report(TWO, 1, 7, amounts(1))
    kept.report(ONE, 1, 7, amounts(1))
    assert [each.cycle for each in kept.ended(2, set())] == [ONE, TWO]


def test_a_snapshot_keeps_amounts_beyond_64_bits():
    kept, other = Episodes(), Episodes()
    kept.report(ONE, 10, 100, amounts((1 << 128) - 1, 0))
    kept.report(ONE, 11, 101, amounts(1 << 100, 1))
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(kept.snapshot())))
    assert other.open == kept.open
    assert other.report(ONE, 12, 102, amounts(1 << 100, 1)) is None
    assert [each.rows for each in other.ended(2, set())] == [1]
