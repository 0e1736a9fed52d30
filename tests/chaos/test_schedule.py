"""What the campaign rests on: a seed says all, and every difference is counted."""

import random
from collections import Counter

from tests.chaos.answer import Answer, difference
from tests.chaos.faults import FAULTS, schedule
from tests.chaos.stream import MONTH_END_US, stream


def test_a_seed_gives_the_same_schedule_and_the_same_stream():
    assert schedule("keep", random.Random(5), 20) == schedule("keep", random.Random(5), 20)
    assert {name for _, name, _ in schedule("keep", random.Random(5), 400)} <= set(FAULTS)
    fed = stream("keep", 1)
    times = [record.time_ms * 1000 for chunk in [fed.bulk, *fed.tail] for record in chunk]
    assert min(times) < MONTH_END_US < max(times)
    stream.cache_clear()
    again = stream("keep", 1)
    assert [record for chunk in again.tail for record in chunk] == [record for chunk in fed.tail for record in chunk]


def test_a_difference_is_counted_both_ways():
    wanted = Answer({"t": Counter({b"a": 1, b"b": 1})}, {"u": frozenset((b"x",))}, 0)
    found = difference(Answer({"t": Counter({b"a": 2})}, {"u": frozenset((b"y",))}, 0), wanted)
    assert (found.lost, found.doubled, len(found.where)) == (2, 2, 2)
