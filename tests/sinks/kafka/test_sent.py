"""A restart sends nothing a second time: what stands behind the last snapshot is known by content."""

from __future__ import annotations

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from mevflow.operators.codec import codec
from mevflow.operators.stage import StageContext
from mevflow.sinks.kafka.sink import KafkaSink, KafkaSinkSettings

SWAP = codec("mevflow.v1.Swap")


def swaps(*numbers: int) -> pa.RecordBatch:
    rows = [
        {**dict.fromkeys(SWAP.schema.names), "slot": n, "pool": bytes([n % 5]) * 32, "timestamp_us": 1_000_000 + n}
        for n in numbers
    ]
    filled = [
        {name: value if value is not None else _nothing(SWAP.schema.field(name).type) for name, value in row.items()}
        for row in rows
    ]
    return pa.RecordBatch.from_pylist(filled, SWAP.schema)


def _nothing(kind: pa.DataType) -> object:
    if pa.types.is_binary(kind):
        return b""
    return False if pa.types.is_boolean(kind) else 0


def sink(bootstrap: str, topic: str, state: bytes | None) -> KafkaSink:
    made = KafkaSink(KafkaSinkSettings(bootstrap=bootstrap, topic=topic, key="pool"), StageContext("t", "out"))
    made.open(state)
    return made


def slots(bootstrap: str, topic: str, partitions: int) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, one, 0) for one in range(partitions)])
    want = sum(consumer.get_watermark_offsets(TopicPartition(topic, one))[1] for one in range(partitions))
    found: list[int] = []
    while len(found) < want:
        found += [SWAP.message.FromString(record.value()).slot for record in consumer.consume(1000, timeout=1.0)]
    consumer.close()
    return sorted(found)


def test_rows_since_the_snapshot_are_sent_once(kafka_broker, make_topic) -> None:
    topic = make_topic(partitions=3)
    first = sink(kafka_broker, topic, None)
    first.write(swaps(*range(50)))
    state = first.snapshot()
    first.write(swaps(*range(50, 90)))
    first.close()  # as a crash would: sent, and in no snapshot
    second = sink(kafka_broker, topic, state)
    second.write(swaps(*range(50, 70)))
    second.write(swaps(*range(70, 120)))
    second.snapshot()
    second.close()
    third = sink(kafka_broker, topic, state)  # a second crash before any other snapshot
    third.write(swaps(*range(50, 120)))
    third.write(swaps(*range(120, 130)))
    third.close()
    assert slots(kafka_broker, topic, 3) == list(range(130))


def test_a_sink_that_dies_before_its_first_snapshot_sends_once_too(kafka_broker, make_topic) -> None:
    topic = make_topic(partitions=2)
    other = sink(kafka_broker, topic, None)
    other.write(swaps(3, 4))  # equal to rows that come, and there before the first of them
    other.close()
    settings = KafkaSinkSettings(bootstrap=kafka_broker, topic=topic, key="pool")
    beginning = KafkaSink(settings, StageContext("t", "out")).beginning()
    for written in (30, 20, 50):  # the second crash comes earlier than the first
        one = sink(kafka_broker, topic, beginning)
        one.write(swaps(*range(written)))
        one.close()
    assert slots(kafka_broker, topic, 2) == sorted([3, 4, *range(50)])


def test_shards_that_became_others_look_behind_the_least_end(kafka_broker, make_topic) -> None:
    topic = make_topic(partitions=2)
    settings = KafkaSinkSettings(bootstrap=kafka_broker, topic=topic, key="pool")
    states = []
    for number in range(2):
        one = sink(kafka_broker, topic, None)
        states.append(one.snapshot())
        one.write(swaps(*range(10 * number, 10 * number + 10)))  # and no snapshot more
        one.close()
    last = sink(kafka_broker, topic, KafkaSink.joined(states))
    last.write(swaps(*range(25)))
    last.close()
    assert slots(kafka_broker, topic, 2) == list(range(25))
    assert KafkaSink.joined([]) == b""
    assert KafkaSink(settings, StageContext("t", "out")).joined(states) == KafkaSink.joined(states[::-1])


def test_no_more_is_read_back_than_the_bound(kafka_broker, make_topic, monkeypatch, caplog) -> None:
    topic = make_topic()
    first = sink(kafka_broker, topic, None)
    state = first.snapshot()
    first.write(swaps(*range(40)))
    first.close()
    monkeypatch.setattr("mevflow.sinks.kafka.sent.MOST", 25)
    second = sink(kafka_broker, topic, state)
    assert second._sent is not None
    assert len(second._sent) == 25
    assert f"{topic}[0]: sent rows are not looked for in its last 15 records" in caplog.text
    second.close()


def test_rows_that_had_not_come_again_at_a_snapshot_are_known_after_the_next_crash(kafka_broker, make_topic) -> None:
    """40 are sent and the sink dies; rows of another partition come first, ten come again, and it dies twice more."""
    topic = make_topic(partitions=2)
    first = sink(kafka_broker, topic, None)
    state = first.snapshot()
    first.write(swaps(*range(40)))
    first.close()
    for fresh in (100, 110, 120):
        one = sink(kafka_broker, topic, state)
        one.write(swaps(*range(fresh, fresh + 10)))
        one.snapshot()
        one.write(swaps(*range(10)) if fresh == 100 else swaps(*range(10, 15)) if fresh == 110 else swaps())
        state = one.snapshot()
        one.close()
    last = sink(kafka_broker, topic, state)
    last.write(swaps(*range(15, 60)))
    last.close()
    assert slots(kafka_broker, topic, 2) == [*range(60), *range(100, 130)]


def test_what_others_wrote_is_not_waited_for(kafka_broker, make_topic, monkeypatch) -> None:
    monkeypatch.setattr("mevflow.sinks.kafka.sent.PATIENCE_ROWS", 25)
    topic = make_topic(partitions=2)
    first = sink(kafka_broker, topic, None)
    state = first.snapshot()
    other = sink(kafka_broker, topic, None)
    other.write(swaps(*range(1000, 1020)))
    other.close()
    first.close()
    second = sink(kafka_broker, topic, state)
    for at in range(0, 40, 10):
        second.write(swaps(*range(at, at + 10)))
        second.snapshot()
    assert second._sent is None
    second.close()
    assert slots(kafka_broker, topic, 2) == [*range(40), *range(1000, 1020)]


def test_an_equal_row_that_comes_twice_is_sent_twice(kafka_broker, make_topic) -> None:
    topic = make_topic()
    first = sink(kafka_broker, topic, None)
    state = first.snapshot()
    first.write(swaps(7, 7))
    first.close()
    second = sink(kafka_broker, topic, state)
    second.write(swaps(7, 7, 7))
    second.close()
    assert slots(kafka_broker, topic, 1) == [7, 7, 7]
