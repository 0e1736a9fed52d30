"""What is stored and what comes meet in one stream; whatever is not shown is counted."""

import contextlib
import time

import pytest

from mevflow.flows.messages import tail
from mevflow.flows.messages.conditions import parse
from mevflow.flows.messages.look import MessageFilter
from mevflow.flows.messages.tail import TailRequest, TopicTail
from mevflow.operators.codec import codec
from mevflow.operators.errors import UsageError
from mevflow.v1.market_pb2 import Swap
from tests.flows.messages.test_browse import NAME, records

SWAPS = MessageFilter(NAME)


@pytest.fixture
def topic(make_topic, send):
    name = make_topic(3)
    send(name, records(60))
    return name


@pytest.fixture
def follow(kafka_broker):
    """Open tails; close them at the end."""
    with contextlib.ExitStack() as stack:

        def make(topic, by=SWAPS, **more):
            made = TopicTail(kafka_broker, TailRequest(topic, by, **more))
            stack.callback(made.close)
            made.open()
            return made

        yield make


class Sums:
    """What a tail has given so far."""

    def __init__(self, of):
        self.of, self.rows, self.next = of, [], {}
        self.received = self.matched = self.sampled = self.dropped = self.undecodable = 0

    def until(self, enough):
        """Take until ``enough(self)``; by progress alone, for two minutes at most."""
        late = time.monotonic() + 120
        while not enough(self):
            assert time.monotonic() < late, vars(self)
            batch = self.of.take(0.2)
            self.rows += batch.rows
            self.next = batch.next
            for name in ("received", "matched", "sampled", "dropped", "undecodable"):
                setattr(self, name, getattr(self, name) + getattr(batch, name))
        return self

    @property
    def slots(self):
        return sorted(row["fields"].get("slot", 0) for row in self.rows)


def test_what_is_stored_and_what_comes_meet_without_gap_or_double(follow, topic, send):
    seen = Sums(follow(topic, start="earliest", rate=1_000))
    for first in range(60, 260, 20):  # the topic grows while it is read
        seen.until(lambda sums, first=first: sums.received >= first - 40)
        send(topic, records(20, first))
    seen.until(lambda sums: sums.received >= 260)
    assert seen.slots == list(range(260))
    assert (seen.received, seen.matched, seen.sampled, seen.dropped) == (260, 260, 0, 0)


def test_it_goes_on_where_it_was(follow, topic, send):
    first = Sums(follow(topic, start="earliest", rate=7, every=True)).until(lambda sums: len(sums.rows) >= 10)
    send(topic, records(40, 60))
    again = Sums(follow(topic, places=first.next, rate=1_000)).until(lambda sums: sums.received + first.received >= 100)
    assert sorted(first.slots + again.slots) == list(range(100))
    assert first.received + again.received == 100


def test_from_now_from_a_time_and_of_some_partitions(follow, topic, send):
    now = follow(topic, rate=1_000)
    late = follow(topic, from_us=1_050_000, rate=1_000)
    one = follow(topic, start="newest", partitions=frozenset({1}), rate=1_000)
    send(topic, records(3, 60))
    assert Sums(now).until(lambda sums: sums.received >= 3).slots == [60, 61, 62]
    assert Sums(late).until(lambda sums: sums.received >= 13).slots == list(range(50, 63))
    assert Sums(one).until(lambda sums: sums.received >= 21).slots == list(range(1, 63, 3))
    with pytest.raises(UsageError, match="no partition 7"):
        follow(topic, partitions=frozenset({7}))


def test_filters_are_judged_on_columns_and_the_rest_is_counted(follow, topic):
    by = MessageFilter(NAME, (parse("slot >= 30", codec(NAME)),), pool=b"\x02" * 32)
    seen = Sums(follow(topic, by, start="earliest", rate=1_000)).until(lambda sums: sums.received >= 60)
    assert seen.slots == [slot for slot in range(30, 60) if slot % 5 == 2]
    assert (seen.received, seen.matched) == (60, 6)


def test_beyond_its_rate_rows_are_left_out_evenly_and_counted(follow, make_topic, send):
    topic = make_topic(1)
    send(topic, records(3_000, partitions=1))
    seen = Sums(follow(topic, start="earliest", rate=10)).until(lambda sums: sums.received >= 3_000)
    assert seen.matched == len(seen.rows) + seen.sampled == 3_000
    assert 10 <= len(seen.rows) < 3_000
    assert len(set(seen.slots)) == len(seen.rows)


def test_with_every_none_is_left_out(follow, topic):
    seen = Sums(follow(topic, start="earliest", rate=40, every=True)).until(lambda sums: len(sums.rows) >= 60)
    assert (seen.slots, seen.sampled) == (list(range(60)), 0)


def test_large_batches_are_cut_and_nothing_is_lost(follow, topic, monkeypatch):
    monkeypatch.setattr(tail, "MAX_BATCH_ROWS", 7)
    of = follow(topic, start="earliest", rate=1_000)
    seen = Sums(of).until(lambda sums: sums.received >= 60)
    assert (seen.slots, seen.sampled) == (list(range(60)), 0)


def test_who_is_far_behind_goes_on_at_the_end(follow, make_topic, send):
    topic = make_topic(1)
    send(topic, records(2_000, partitions=1))
    seen = Sums(follow(topic, start="earliest", rate=5, every=True, keep_up=500))
    seen.until(lambda sums: sums.dropped)
    assert seen.dropped + seen.received == 2_000
    send(topic, records(1, 2_000, partitions=1))
    assert seen.until(lambda sums: sums.received + sums.dropped >= 2_001).slots[-1] == 2_000


def test_what_does_not_decode_or_is_very_long_is_shown_by_its_beginning(follow, make_topic, send):
    topic = make_topic(1)
    long = Swap(slot=2, signature=b"x" * 70_000).SerializeToString()
    send(topic, [(0, 1, Swap(slot=1).SerializeToString()), (0, 2, b"\xff<b>"), (0, 3, long)])
    seen = Sums(follow(topic, start="earliest")).until(lambda sums: sums.received >= 3)
    assert seen.rows[0]["fields"] == {"slot": 1}
    assert seen.rows[1]["hex"] == b"\xff<b>".hex()
    assert len(seen.rows[2]["hex"]) == 128
    assert seen.undecodable >= 1
    plain = Sums(follow(topic, MessageFilter(), start="earliest")).until(lambda sums: sums.received >= 3)
    assert [row["bytes"] for row in plain.rows][:2] == [2, 4]
