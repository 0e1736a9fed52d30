"""Topics that change or go bad while a source reads them, on a real broker: nothing lost, nothing doubled, all told."""

import time

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition

from mevflow.kafka.topics import TopicSpec, admin_client, create
from mevflow.operators.codec import unreadable
from mevflow.operators.errors import StateError
from mevflow.operators.stage import CAUGHT_UP_US
from mevflow.sources.kafka.extent import extent
from mevflow.sources.kafka.position import TopicClient
from tests.sources.kafka.test_source import caught_up, coordinates, open_source, polls, reader, table

__all__ = ["reader"]


def until(source, true, seconds=30.0):
    """Poll until ``true(standing)``; give all rows that came."""
    deadline = time.monotonic() + seconds
    rows = []
    while time.monotonic() < deadline:
        for _, batch in source.poll().batches:
            rows += batch.to_pylist()
        if true(source.standing()):
            return rows
        time.sleep(0.005)
    raise AssertionError(f"not within {seconds} s: {source.standing()}, {len(rows)} rows")


def delete(bootstrap, topic):
    with admin_client(bootstrap) as client:
        client.delete_topics([topic])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with admin_client(bootstrap) as client:
            if topic not in {found["name"] for found in client.describe_topics()}:
                return
        time.sleep(0.05)
    raise AssertionError(f"{topic} is still there")


def bomb(bootstrap, topic, records=70):
    """One batch of a few kilobytes that unpacks to as many megabytes as it has records."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 2_000,
            "compression.type": "zstd",
            "message.max.bytes": 200_000_000,
            "batch.size": 200_000_000,
            "queue.buffering.max.kbytes": 400_000,
            "log_level": 0,
        }
    )
    for _ in range(records):
        producer.produce(topic, bytes(1_000_000), partition=0, timestamp=2_000)
    assert producer.flush(30) == 0


def test_a_batch_that_cannot_be_unpacked_is_passed_by_and_told(kafka_broker, make_topic, send, reader):
    topic = make_topic(2)
    send(topic, [(0, 1_000, b"a"), (1, 1_000, b"b")])
    bomb(kafka_broker, topic)
    send(topic, [(0, 3_000, b"c")])
    source = open_source(kafka_broker, topic, start="earliest")
    seen = polls(source, lambda rows, _: rows >= 4)
    state = source.snapshot()
    notes = source.standing().notes
    source.close()
    rows = table(seen)
    assert sorted(row["value"] for row in rows) == [b"", b"a", b"b", b"c"]
    (why,) = {unreadable(batch) for poll in seen for _, batch in poll.batches} - {None}
    assert why.startswith(f"{topic}[0]@1..70: 70 records cannot be read: ")
    assert why in notes
    (bad,) = [row for row in rows if not row["value"]]
    assert (bad["source_partition"], bad["source_offset"], bad["timestamp_us"]) == (0, 1, 2_000_000)
    # a reader that resumes in the middle of the batch goes on past it too
    found = msgspec.json.decode(state)
    found["offsets"]["0"] = 40
    source = open_source(kafka_broker, topic, msgspec.json.encode(found))
    rows = table(polls(source, lambda rows, _: rows >= 2))
    source.close()
    assert [(row["source_offset"], row["value"]) for row in rows] == [(40, b""), (71, b"c")]


def test_a_batch_tells_its_extent(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(topic, [(0, 1_000 + n, b"%d" % n) for n in range(100)])
    client = TopicClient(kafka_broker, topic, "extent")
    host, port = client.leader(0)
    client.close()
    found, covered = extent(host, port, topic, 0, 0), 0
    while found is not None:
        assert found.first == covered
        assert found.time_ms == 1_000 + found.last
        covered = found.last + 1
        found = extent(host, port, topic, 0, covered)
    assert covered == 100
    assert extent(host, port, "no-such-topic", 0, 0) is None


def test_a_topic_made_anew_is_read_from_its_start_on_resume(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(topic, [(0, 1_000 + n, b"old %d" % n) for n in range(10)])
    source = open_source(kafka_broker, topic, start="earliest")
    assert len(table(polls(source, caught_up))) == 10
    state = source.snapshot()
    source.close()
    delete(kafka_broker, topic)
    create(kafka_broker, (TopicSpec(topic, 1),))
    send(topic, [(0, 2_000 + n, b"new %d" % n) for n in range(25)])
    source = open_source(kafka_broker, topic, state)
    rows = table(polls(source, caught_up))
    again = source.snapshot()
    assert "made anew" in source.standing().notes[0]
    source.close()
    assert [row["value"] for row in rows] == [b"new %d" % n for n in range(25)]
    source = open_source(kafka_broker, topic, again)
    assert table(polls(source, caught_up)) == []
    source.close()


def test_a_topic_deleted_while_it_is_read_is_waited_for(kafka_broker, make_topic, send, reader):
    topic = make_topic(2)
    send(topic, [(n % 2, 1_000 + n, b"old") for n in range(10)])
    source = open_source(kafka_broker, topic, start="earliest")
    assert len(until(source, lambda now: now.caught_up)) == 10
    delete(kafka_broker, topic)
    assert until(source, lambda now: any("waiting for it" in note for note in now.notes)) == []
    assert source.standing().caught_up is False
    create(kafka_broker, (TopicSpec(topic, 3),))
    send(topic, [(n % 3, 2_000 + n, b"%d" % n) for n in range(25)])
    rows = until(source, lambda now: now.caught_up)
    source.close()
    assert sorted(int(row["value"]) for row in rows) == list(range(25))


def test_partitions_added_while_running_are_read(kafka_broker, make_topic, send, reader):
    topic = make_topic(1)
    send(topic, [(0, 1_000, b"a")])
    source = open_source(kafka_broker, topic, start="latest")
    assert until(source, lambda now: now.caught_up) == []
    with admin_client(kafka_broker) as client:
        client.create_partitions({topic: 3})
    send(topic, [(2, 2_000, b"c"), (1, 2_000, b"b"), (0, 2_000, b"d")])
    rows = []
    rows += until(source, lambda now: any("grown from 1 to 3" in note for note in now.notes))
    rows += until(source, lambda now: now.caught_up)
    state = msgspec.json.decode(source.snapshot())
    source.close()
    assert sorted(coordinates(rows)) == [(0, 1, b"d"), (1, 0, b"b"), (2, 0, b"c")]
    assert state["offsets"] == {"0": 2, "1": 1, "2": 1}


def test_shards_that_divide_a_topic_divide_what_is_added_too(kafka_broker, make_topic, send, reader):
    topic = make_topic(2)
    send(topic, [(0, 1_000, b"a"), (1, 1_000, b"b")])
    shards = [open_source(kafka_broker, topic, start="earliest", share=(shard, 2)) for shard in range(2)]
    rows = [until(source, lambda now: now.caught_up) for source in shards]
    with admin_client(kafka_broker) as client:
        client.create_partitions({topic: 4})
    send(topic, [(2, 2_000, b"c"), (3, 2_000, b"d"), (0, 2_000, b"e")])
    for shard, source in enumerate(shards):
        rows[shard] += until(source, lambda now: any("grown from 2 to 4" in note for note in now.notes))
        rows[shard] += until(source, lambda now: now.caught_up)
        source.close()
    assert sorted(coordinates(rows[0])) == [(0, 0, b"a"), (0, 1, b"e"), (2, 0, b"c")]
    assert sorted(coordinates(rows[1])) == [(1, 0, b"b"), (3, 0, b"d")]


@pytest.fixture
def transaction(kafka_broker):
    producer = Producer({"bootstrap.servers": kafka_broker, "transactional.id": f"t-{time.time_ns()}", "linger.ms": 1})
    producer.init_transactions(30)
    producer.begin_transaction()
    yield producer
    producer.abort_transaction(30)


def test_an_open_transaction_is_the_end(kafka_broker, make_topic, send, transaction, reader):
    """It holds neither the watermark of a reader that starts on it nor of one that was there before."""
    topic = make_topic(1)
    send(topic, [(0, 1_000, b"a")])
    before = open_source(kafka_broker, topic, start="earliest")
    assert len(until(before, lambda now: now.caught_up)) == 1
    for value in (b"x", b"y"):
        transaction.produce(topic, value, partition=0, timestamp=2_000)
    transaction.flush(10)
    starts = open_source(kafka_broker, topic, start="earliest")
    for source in (before, starts):
        until(source, lambda now: now.caught_up and any("open transaction" in note for note in now.notes))
        assert source.standing().behind == 0
        assert source._watermark().hold_us == CAUGHT_UP_US
    transaction.commit_transaction(30)
    transaction.begin_transaction()
    for source in (before, starts):
        rows = until(source, lambda now: not any("open transaction" in note for note in now.notes) and now.caught_up)
        assert [row["value"] for row in rows] == [b"x", b"y"]
        source.close()


@pytest.mark.parametrize("on_gap", ["fail", "earliest"])
def test_retention_that_overtakes_a_running_reader_is_told(kafka_broker, make_topic, send, on_gap):
    topic = make_topic(1)
    send(topic, [(0, 1_000 + n, b"%d" % n) for n in range(50)])
    source = open_source(kafka_broker, topic, start="earliest", on_gap=on_gap)
    source.close()
    source = open_source(kafka_broker, topic, start="earliest", on_gap=on_gap)
    source._reader.close()  # as if nothing had been fetched yet
    with admin_client(kafka_broker) as client:
        client.delete_records({_kafka_place(topic): 40})
    source._reader = None
    source._begin(source._identity)
    if on_gap == "fail":
        with pytest.raises(StateError, match=rf"{topic}\[0\]@0: the log starts at 40: .* 40 offsets are lost"):
            polls(source, lambda rows, _: rows)
    else:
        rows = until(source, lambda now: now.caught_up)
        assert [row["source_offset"] for row in rows] == list(range(40, 50))
        assert f"{topic}[0]@0..39: retention has overtaken the reader" in source.standing().notes
    source.close()


def _kafka_place(topic):
    from kafka import TopicPartition as Place

    return Place(topic, 0)


def test_committed_offsets_carry_the_topic_id(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(topic, [(0, 1_000, b"a"), (0, 1_001, b"b")])
    source = open_source(kafka_broker, topic, start="earliest", group=f"g-{topic}")
    polls(source, caught_up)
    source.committed(source.snapshot())
    client = TopicClient(kafka_broker, topic, f"g-{topic}")
    deadline = time.monotonic() + 20
    while not (found := client.group_offsets([0], source._identity.topic_id)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == {0: 2}
    assert client.group_offsets([0], "the id of another") == {}
    client._consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)  # by another tool
    assert client.group_offsets([0], source._identity.topic_id) == {0: 1}
    client.close()
    source.close()


@pytest.mark.parametrize("time_ms", [(1 << 63) - 1, 253_402_300_800_000])
def test_a_time_outside_the_calendar_is_held_at_its_edge(kafka_broker, make_topic, send, reader, time_ms):
    topic = make_topic(1)
    send(topic, [(0, 1_000, b"a"), (0, time_ms, b"odd"), (0, 1_001, b"b")])
    source = open_source(kafka_broker, topic, start="earliest")
    rows = table(polls(source, caught_up))
    source.close()
    assert [row["timestamp_us"] for row in rows] == [1_000_000, 7_258_118_399_999_000, 1_001_000]


def test_caught_up_is_not_said_before_the_broker_has_told_the_ends(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(topic, [(0, 1_000, b"a")])
    source = open_source(kafka_broker, topic, start="earliest")
    source._watch.close()
    source._watch._thread.join()
    source._watch.view = None
    polls(source, caught_up)
    assert source.standing().caught_up is False
    assert "does not answer" in source.standing().notes[-1]
    source.close()
