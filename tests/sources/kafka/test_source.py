"""The Kafka source against a real broker: exact resumption, bounds, gaps, alignment, restarts."""

import random
import time

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mevflow.kafka import broker
from mevflow.kafka.topics import TopicSpec, create
from mevflow.operators.codec import RAW
from mevflow.operators.errors import StateError, UnreachableError, UsageError
from mevflow.operators.stage import CAUGHT_UP_US, StageContext
from mevflow.processes.addresses import free_port
from mevflow.processes.background import ProcessId
from mevflow.sources.kafka import reader as kafka_reader
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

CONTEXT = StageContext("test", "swaps")


def open_source(bootstrap, topic, state=None, **settings):
    source = KafkaSource(KafkaSourceSettings(bootstrap=bootstrap, topic=topic, **settings), CONTEXT)
    try:
        source.open(state)
    except BaseException:
        source.close()
        raise
    return source


def polls(source, until, seconds=20.0):
    """Polls that gave something, until ``until(all rows so far, poll)``."""
    deadline = time.monotonic() + seconds
    rows, seen = 0, []
    while time.monotonic() < deadline:
        poll = source.poll()
        rows += sum(batch.num_rows for _, batch in poll.batches)
        if poll.batches or poll.watermark is not None:
            seen.append(poll)
        if until(rows, poll):
            return seen
        time.sleep(0.001)
    raise AssertionError(f"not within {seconds} s; {rows} rows")


def table(seen):
    batches = [batch for poll in seen for _, batch in poll.batches]
    return pa.Table.from_batches(batches, RAW).to_pylist()


def caught_up(rows, poll):
    return poll.watermark is not None and poll.watermark.hold_us == CAUGHT_UP_US


def coordinates(rows):
    return [(row["source_partition"], row["source_offset"], row["value"]) for row in rows]


@pytest.fixture(params=["native", "plain"])
def reader(request, monkeypatch):
    """Both readers: librdkafka driven directly, and the fallback."""
    if request.param == "plain":
        monkeypatch.setattr(kafka_reader._librdkafka, "library", lambda: None)
    return request.param


def test_round_trip_of_100_000_messages(kafka_broker, make_topic, send):
    topic = make_topic(8)
    random.seed(7)
    sent = [(n % 8, 1_600_000_000_000 + n, b"%d:" % n + random.randbytes(n % 300)) for n in range(100_000)]
    send(topic, sent)
    source = open_source(kafka_broker, topic, start="earliest")
    seen = polls(source, caught_up)
    source.close()
    assert all(batch.schema == RAW for poll in seen for _, batch in poll.batches)
    found = table(seen)
    assert len(found) == len(sent)
    assert sorted((row["source_partition"], row["timestamp_us"], row["value"]) for row in found) == sorted(
        (partition, ms * 1000, value) for partition, ms, value in sent
    )
    for partition in range(8):
        offsets = [row["source_offset"] for row in found if row["source_partition"] == partition]
        assert offsets == list(range(len(offsets)))
    assert {row["source_topic"] for row in found} == {topic}


def test_snapshot_resumes_at_the_next_row(kafka_broker, make_topic, send, reader):
    topic = make_topic(3)
    send(topic, [(n % 3, 1000 + n, b"%d" % n) for n in range(5000)])
    source = open_source(kafka_broker, topic, start="earliest", max_rows=700)
    first = table(polls(source, lambda rows, _: rows >= 1400))
    state = source.snapshot()
    lost = table(polls(source, lambda rows, _: rows >= 700))  # read, but not covered by the snapshot
    source.close()
    source = open_source(kafka_broker, topic, state, start="latest")
    rest = table(polls(source, caught_up))
    source.close()
    both = coordinates(first) + coordinates(rest)
    assert len(both) == len(set(both)) == 5000
    assert set(coordinates(lost)) <= set(coordinates(rest))


def test_starts_at_the_end_by_default(kafka_broker, make_topic, send):
    topic = make_topic(2)
    send(topic, [(0, 1000, b"old")])
    source = open_source(kafka_broker, topic)
    assert table(polls(source, caught_up)) == []
    send(topic, [(1, 2000, b"new")])
    assert [row["value"] for row in table(polls(source, lambda rows, _: rows))] == [b"new"]
    source.close()


def test_bounded_gives_just_the_range_and_ends(kafka_broker, make_topic, send, reader):
    topic = make_topic(3)
    send(topic, [(n % 3, 1000 + n, b"%d" % n) for n in range(3000)])
    starts, stops = {0: 100, 1: 0, 2: 5}, {0: 900, 1: 0, 2: 6}
    source = open_source(kafka_broker, topic, start_offsets=starts, stop_offsets=stops, max_rows=64)
    seen = polls(source, lambda _, poll: poll.ended)
    source.close()
    assert seen[-1].watermark.final
    assert seen[-1].watermark.hold_us == CAUGHT_UP_US
    found = [(row["source_partition"], row["source_offset"]) for row in table(seen)]
    assert sorted(found) == [(0, offset) for offset in range(100, 900)] + [(2, 5)]


def test_shards_that_divide_a_bounded_read_give_it_together(kafka_broker, make_topic, send):
    topic = make_topic(3)
    send(topic, [(n % 3, 1000 + n, b"%d" % n) for n in range(30)])
    found = []
    for shard in range(2):
        source = open_source(kafka_broker, topic, start="earliest", stop_offsets={0: 9, 1: 10, 2: 4}, share=(shard, 2))
        found += [(row["source_partition"], row["source_offset"]) for row in table(polls(source, _ended))]
        source.close()
    assert sorted(found) == [(p, offset) for p, end in ((0, 9), (1, 10), (2, 4)) for offset in range(end)]


def _ended(_, poll):
    return poll.ended


def test_bounded_over_nothing_ends_at_once(kafka_broker, make_topic):
    source = open_source(kafka_broker, make_topic(2), stop_offsets={0: 0, 1: 0})
    poll = source.poll()
    source.close()
    assert poll.ended
    assert poll.watermark.final
    assert not poll.batches


def test_bounded_resumes_from_a_snapshot(kafka_broker, make_topic, send):
    topic = make_topic(2)
    send(topic, [(n % 2, 1000 + n, b"%d" % n) for n in range(2000)])
    bounds = {"start": "earliest", "stop_offsets": {0: 990, 1: 1000}, "max_rows": 100}
    source = open_source(kafka_broker, topic, **bounds)
    first = table(polls(source, lambda rows, _: rows >= 500))
    state = source.snapshot()
    source.close()
    source = open_source(kafka_broker, topic, state, **bounds)
    rest = table(polls(source, lambda _, poll: poll.ended))
    source.close()
    assert sorted(r["source_offset"] for r in first + rest) == sorted([*range(990), *range(1000)])


def test_watermark_is_sound_and_partitions_stay_aligned(kafka_broker, make_topic, send, reader):
    """No row is older than a watermark given before it, and no partition runs far ahead in chain time."""
    topic = make_topic(4)
    random.seed(3)
    weights = [0.75, 0.2, 0.05, 0.0]  # the last stays empty
    sent = [(random.choices(range(4), weights)[0], 1_000_000 + n // 5, b"x" * 50) for n in range(60_000)]
    send(topic, sent)
    source = open_source(kafka_broker, topic, start="earliest", max_rows=2000)
    seen = polls(source, caught_up)
    source.close()
    hold, buffered, most = 0, np.empty(0, np.int64), 0
    for poll in seen:
        for _, batch in poll.batches:
            times = batch.column("timestamp_us").to_numpy()
            assert times.min() >= hold
            buffered = np.concatenate([buffered, times])
        hold = max(hold, poll.watermark.hold_us)
        buffered = buffered[buffered >= hold]
        most = max(most, len(buffered))
    assert hold == CAUGHT_UP_US
    assert len(table(seen)) == len(sent)
    if reader == "native":
        assert most < 20_000  # an unaligned reader buffers most of the 60,000


def test_an_unknown_end_is_no_end(kafka_broker, make_topic):
    """An empty partition is caught up once the broker has said so, not before."""
    source = open_source(kafka_broker, make_topic(2), start="earliest")
    first = source.poll()
    assert first.watermark is None or first.watermark.hold_us in (0, CAUGHT_UP_US)
    source._reader.high = lambda partition: -1
    source._at_end = dict.fromkeys(source._at_end)
    source._notice_ends(source._reader, [0, 1])
    assert source._watermark().hold_us == 0
    source.close()


def test_settling_holds_back_the_end(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(topic, [(0, 5000, b"a")])
    source = open_source(kafka_broker, topic, start="earliest", settle_ms=300)
    polls(source, lambda rows, _: rows)
    began = time.monotonic()
    seen = polls(source, caught_up)
    source.close()
    assert time.monotonic() - began > 0.2
    assert all(poll.watermark.hold_us == 5_000_000 for poll in seen[:-1])


def test_resuming_below_the_log_start_fails_or_goes_on(kafka_broker, make_topic, send, reader):
    from kafka import KafkaAdminClient, TopicPartition

    topic = make_topic(1)
    send(topic, [(0, 1000 + n, b"%d" % n) for n in range(100)])
    source = open_source(kafka_broker, topic, start="earliest")
    state = source.snapshot()
    source.close()
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker)
    admin.delete_records({TopicPartition(topic, 0): 40})
    admin.close()
    with pytest.raises(StateError, match=rf"{topic}\[0\]@0: .*starts at 40"):
        open_source(kafka_broker, topic, state)
    source = open_source(kafka_broker, topic, state, on_gap="earliest")
    found = table(polls(source, caught_up))
    source.close()
    assert [row["source_offset"] for row in found] == list(range(40, 100))


def test_state_that_does_not_fit_is_refused(kafka_broker, make_topic, send):
    topic = make_topic(2)
    source = open_source(kafka_broker, topic, start="earliest")
    state = msgspec.json.decode(source.snapshot())
    source.close()

    def refused(match, **changes):
        with pytest.raises(StateError, match=match):
            open_source(kafka_broker, topic, msgspec.json.encode(state | changes))

    refused("format 9", version=9)
    refused("is of topic other", topic="other")
    refused("cluster", cluster="another")
    refused("had 5 partitions and has 2", partitions=5)
    refused("does not cover", offsets={"0": 0})
    refused("the log ends at 0", offsets={"0": 0, "1": 7})
    with pytest.raises(StateError, match="cannot be read"):
        open_source(kafka_broker, topic, b"\x80")


def test_new_partitions_are_read_from_their_start(kafka_broker, make_topic, send):
    from kafka import KafkaAdminClient

    topic = make_topic(1)
    send(topic, [(0, 1000, b"a")])
    source = open_source(kafka_broker, topic, start="latest")
    state = source.snapshot()
    source.close()
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker)
    admin.create_partitions({topic: 2})
    admin.close()
    time.sleep(0.2)
    send(topic, [(1, 2000, b"b")])
    source = open_source(kafka_broker, topic, state)
    found = table(polls(source, caught_up))
    source.close()
    assert [row["value"] for row in found] == [b"b"]


def test_shards_read_their_own_partitions(kafka_broker, make_topic, send):
    topic = make_topic(4)
    send(topic, [(n % 4, 1000 + n, b"%d" % n) for n in range(400)])
    source = open_source(kafka_broker, topic, start="earliest", partitions=[1, 3])
    found = table(polls(source, caught_up))
    source.close()
    assert {row["source_partition"] for row in found} == {1, 3}
    assert len(found) == 200


def test_commits_for_lag_tools_and_starts_there(kafka_broker, make_topic, send):
    topic = make_topic(1)
    send(topic, [(0, 1000 + n, b"%d" % n) for n in range(10)])
    source = open_source(kafka_broker, topic, start="committed", group=topic)
    assert len(table(polls(source, caught_up))) == 10  # nothing is committed yet: from the earliest
    source.committed(source.snapshot())
    source.close()
    send(topic, [(0, 2000, b"new")])
    source = open_source(kafka_broker, topic, start="committed", group=topic)
    found = table(polls(source, caught_up))
    source.close()
    assert [row["value"] for row in found] == [b"new"]


def test_what_is_missing_is_named(kafka_broker, make_topic):
    with pytest.raises(UsageError, match=r"no-such-topic: .*not on the broker") as missing:
        open_source(kafka_broker, "no-such-topic")
    assert missing.value.hint == "mevflow topics create"
    topic = make_topic(1)
    with pytest.raises(UsageError, match="no such partition"):
        open_source(kafka_broker, topic, partitions=[3])
    with pytest.raises(UsageError, match="reach to 9, the log to 0"):
        open_source(kafka_broker, topic, stop_offsets={0: 9})


def test_no_broker_is_unreachable(monkeypatch):
    monkeypatch.setattr("mevflow.sources.kafka.position._ANSWER_S", 1.0)
    with pytest.raises(UnreachableError, match="no Kafka broker answers"):
        open_source(f"127.0.0.1:{free_port()}", "t")


def test_goes_on_over_a_killed_broker(tmp_path, send):
    """kill -9 in mid-stream, a restart on the same data: every row once, the position still exact."""
    bootstrap, controller = f"127.0.0.1:{free_port()}", free_port()
    pid = broker.start(tmp_path, bootstrap, controller, heap_mb=256).pid
    try:
        create(bootstrap, (TopicSpec("t", 2),))
        send("t", [(n % 2, 1000 + n, b"%d" % n) for n in range(2000)], bootstrap)
        source = open_source(bootstrap, "t", start="earliest")
        found = table(polls(source, caught_up))
        process = ProcessId.of(pid)
        process.signal(9)
        assert process.wait(10)
        for _ in range(50):
            assert not source.poll().batches
        broker.start(tmp_path, bootstrap, controller, heap_mb=256)
        send("t", [(n % 2, 5000 + n, b"%d" % n) for n in range(2000, 4000)], bootstrap)
        found += table(polls(source, lambda rows, _: rows >= 2000, seconds=40))
        source.close()
    finally:
        broker.stop(tmp_path)
    assert sorted(int(row["value"]) for row in found) == list(range(4000))
