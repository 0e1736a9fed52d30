"""Pages of a real topic meet without a gap or a double, also while it grows."""

import pytest

from mevflow.flows.messages import browse
from mevflow.flows.messages.browse import PageRequest, read_page
from mevflow.flows.messages.conditions import parse
from mevflow.flows.messages.look import MessageFilter
from mevflow.flows.messages.record import read_record
from mevflow.operators.codec import codec
from mevflow.operators.errors import UsageError
from mevflow.v1.market_pb2 import Swap

NAME = "mevflow.v1.Swap"
SWAPS = MessageFilter(NAME)


def records(count, first=0, partitions=3):
    return [
        (n % partitions, 1_000 + n, Swap(slot=n, chain=1, pool=bytes([n % 5]) * 32).SerializeToString())
        for n in range(first, first + count)
    ]


def slots(page):
    return [row["fields"].get("slot", 0) for row in page.rows]


def all_pages(bootstrap, **asked):
    """Every page from the first on, until nothing is behind."""
    found, places = [], None
    while True:
        page = read_page(bootstrap, PageRequest(**asked, places=places) if places else PageRequest(**asked))
        found.append(page)
        places = page.next
        if not page.behind:
            return found


@pytest.fixture
def topic(make_topic, send):
    name = make_topic(3)
    send(name, records(100))
    return name


def test_newest_and_earliest_and_a_time(kafka_broker, topic):
    page = read_page(kafka_broker, PageRequest(topic, SWAPS, limit=9))
    assert sorted(slots(page)) == list(range(91, 100))
    assert (page.read, page.shown, page.skipped, page.behind) == (9, 9, 91, 0)
    page = read_page(kafka_broker, PageRequest(topic, SWAPS, limit=500, start="earliest"))
    assert slots(page) == list(range(100))
    page = read_page(kafka_broker, PageRequest(topic, SWAPS, limit=500, from_us=1_090_000))
    assert slots(page) == list(range(90, 100))
    page = read_page(kafka_broker, PageRequest(topic, SWAPS, start="earliest", partitions=frozenset({1})))
    assert slots(page) == list(range(1, 100, 3))


@pytest.mark.parametrize("limit", [17, 100])
def test_pages_meet_without_gap_or_double_while_the_topic_grows(kafka_broker, topic, send, limit):
    found = all_pages(kafka_broker, topic=topic, by=SWAPS, limit=limit, start="earliest")
    send(topic, records(20, 100))
    tail = read_page(kafka_broker, PageRequest(topic, SWAPS, limit=500, places=found[-1].next))
    assert sorted(slot for page in [*found, tail] for slot in slots(page)) == list(range(120))
    assert sum(page.read for page in [*found, tail]) == 120
    assert max(page.shown for page in found) <= limit


def test_filters_are_judged_before_rows_are_made(kafka_broker, topic, monkeypatch):
    of = codec(NAME)
    asked = {"topic": topic, "start": "earliest", "limit": 4}
    by = MessageFilter(NAME, (parse("slot >= 50", of),), b"\x02" * 32)
    found = all_pages(kafka_broker, by=by, **asked)
    assert sorted(slot for page in found for slot in slots(page)) == [slot for slot in range(50, 100) if slot % 5 == 2]
    assert sum(page.read for page in found) == 100
    monkeypatch.setattr(browse, "MAX_ROWS", 30)  # what one page looks at is bounded; the next goes on
    found = all_pages(kafka_broker, by=MessageFilter(NAME, (parse("slot = 99", of),)), **asked)
    assert [slot for page in found for slot in slots(page)] == [99]
    assert all(page.read <= 30 for page in found)
    assert len(found) == 4


def test_what_does_not_decode_is_shown_with_its_bytes_and_why(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(
        topic, [(0, 1, Swap(slot=1).SerializeToString()), (0, 2, b"\xff\xff"), (0, 3, Swap(slot=3).SerializeToString())]
    )
    page = read_page(kafka_broker, PageRequest(topic, SWAPS))
    assert [row.get("hex") for row in page.rows] == [None, "ffff", None]
    assert "protobuf" in page.rows[1]["error"]
    assert page.undecodable == 1
    page = read_page(kafka_broker, PageRequest(topic))
    assert [row["hex"] for row in page.rows][1] == "ffff"


def test_one_record_with_its_place(kafka_broker, topic):
    record = read_record(kafka_broker, topic, 2, 10)
    assert Swap.FromString(record.value).slot == 32
    assert record.timestamp_us == 1_032_000
    with pytest.raises(UsageError, match="not in the log"):
        read_record(kafka_broker, topic, 2, 10_000)


def test_no_such_topic(kafka_broker):
    with pytest.raises(UsageError):
        read_page(kafka_broker, PageRequest("t-nothing", SWAPS))
