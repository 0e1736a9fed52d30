"""Episodes open once, are told of when amounts change, and end when their cycle pays no more."""

import msgspec

from mevflow.operators.detect.report.episodes import Episodes

#: Cycles: pools, and whether the first mint goes in.
ONE, TWO, THREE = ((1, False), (2, True)), ((2, False), (3, True)), ((4, False), (5, True))


def test_a_cycle_that_pays_opens_once_and_is_told_when_it_changes():
    kept = Episodes()
    episode, new = kept.report(ONE, 10, 100, [5, 6])
    assert new
    assert (episode.opened_slot, episode.opened_us, episode.rows) == (10, 100, 0)
    assert kept.report(ONE, 11, 110, [5, 6]) is None
    again, new = kept.report(ONE, 12, 120, [5, 7])
    assert again is episode
    assert not new
    assert (episode.opened_slot, episode.opened_us, episode.rows, episode.amounts) == (10, 100, 1, [5, 7])


def test_only_what_goes_through_the_pool_and_pays_no_more_ends_oldest_first():
    kept = Episodes()
    kept.report(TWO, 10, 100, [1])
    kept.report(ONE, 9, 90, [1])
    kept.report(THREE, 8, 80, [1])
    assert kept.ended(9, set()) == []
    assert kept.ended(2, {ONE, TWO}) == []
    assert [each.cycle for each in kept.ended(2, set())] == [ONE, TWO]
    assert set(kept.open) == {THREE}
    assert kept.ended(1, set()) == kept.ended(3, set()) == []
    assert kept.report(ONE, 20, 200, [1])[1]


def test_of_the_same_age_the_lower_cycle_ends_first():
    kept = Episodes()
    kept.report(TWO, 1, 7, [1])
    kept.report(ONE, 1, 7, [1])
    assert [each.cycle for each in kept.ended(2, set())] == [ONE, TWO]


def test_a_snapshot_keeps_amounts_beyond_64_bits():
    kept, other = Episodes(), Episodes()
    kept.report(ONE, 10, 100, [(1 << 128) - 1, 0])
    kept.report(ONE, 11, 101, [1 << 100, 1])
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(kept.snapshot())))
    assert other.open == kept.open
    assert other.report(ONE, 12, 102, [1 << 100, 1]) is None
    assert [each.rows for each in other.ended(2, set())] == [1]
