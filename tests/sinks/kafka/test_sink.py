"""The Kafka sink against a real broker: what it writes is what a source reads, where other clients would put it."""

import hashlib
import time

import pyarrow as pa
import pytest

from mevflow.bench.kafka import synthetic_swaps
from mevflow.kafka.partitioner import partition_of
from mevflow.kafka.topics import listing
from mevflow.operators.codec import COORDINATES, ERRORS, codec
from mevflow.operators.errors import UnreachableError, UsageError
from mevflow.operators.stage import StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.kafka import producer as kafka_producer
from mevflow.sinks.kafka import sink as kafka
from mevflow.sinks.kafka.dlq import DeadLetterSettings, DeadLetterSink
from mevflow.sinks.kafka.sink import KafkaSink, KafkaSinkSettings
from mevflow.sources.kafka.source import KafkaSource
from mevflow.sources.kafka.source import KafkaSourceSettings as SourceSettings

CONTEXT = StageContext("test", "out")
SWAP, LETTER = codec("mevflow.v1.Swap"), codec("mevflow.v1.DeadLetter")


@pytest.fixture(params=["native", "plain"])
def producer(request, monkeypatch):
    """Both producers: librdkafka driven directly, and the fallback."""
    if request.param == "plain":
        monkeypatch.setattr(kafka_producer._librdkafka, "library", lambda: None)
    return request.param


def read_all(bootstrap, topic):
    """Everything on a topic, by (partition, offset)."""
    ends = {p: stop for p, (_, stop) in listing(bootstrap, [topic])[0].ends.items()}
    settings = SourceSettings(bootstrap=bootstrap, topic=topic, start="earliest", stop_offsets=ends)
    source = KafkaSource(settings, CONTEXT)
    source.open(None)
    batches = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        poll = source.poll()
        batches += [batch for _, batch in poll.batches]
        if poll.ended:
            break
        time.sleep(0.001)
    source.close()
    assert poll.ended
    table = pa.Table.from_batches(batches)
    return table.sort_by([("source_partition", "ascending"), ("source_offset", "ascending")])


def write(sink, *batches):
    sink.open(None)
    for batch in batches:
        sink.write(batch)
    sink.snapshot()
    sink.close()


def test_round_trip_of_100_000_swaps(kafka_broker, make_topic, producer):
    topic = make_topic(8)
    swaps = synthetic_swaps(100_000)
    write(KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=topic, key="pool"), CONTEXT), swaps)
    rows = read_all(kafka_broker, topic)
    decoded = codec("mevflow.v1.Swap").decode(rows.column("value").combine_chunks())
    order = [("slot", "ascending"), ("tx_index", "ascending")]
    found = pa.Table.from_batches([decoded]).replace_schema_metadata(None).sort_by(order)
    assert found.equals(pa.Table.from_batches([swaps]).replace_schema_metadata(None).sort_by(order))
    # chain time as the record's timestamp, to the millisecond that Kafka keeps
    assert decoded.column("timestamp_us").to_pylist() == rows.column("timestamp_us").to_pylist()
    # a pool's swaps are in order, on the partition that Java's murmur2 gives
    places = zip(decoded.column("pool").to_pylist(), rows.column("source_partition").to_pylist(), strict=True)
    assert all(partition == partition_of(pool, 8) for pool, partition in set(places))
    for partition in range(8):
        mask = pa.compute.equal(rows.column("source_partition"), partition)
        slots = pa.Table.from_batches([decoded]).filter(mask).column("slot").to_pylist()
        assert slots == sorted(slots)


def test_a_full_queue_waits(kafka_broker, make_topic, producer, monkeypatch):
    """Backpressure: more rows than the send buffer holds are all sent, in slices of any column layout."""
    topic = make_topic(1)
    opened = kafka.open_producer
    small = {"queue.buffering.max.messages": 100}
    monkeypatch.setattr(kafka, "open_producer", lambda name, settings: opened(name, {**settings, **small}))
    swaps = synthetic_swaps(3000)
    write(
        KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=topic, key="pool"), CONTEXT),
        swaps.slice(0, 1),
        swaps.slice(1, 2499),
        swaps.slice(2500),
    )
    rows = read_all(kafka_broker, topic)
    assert codec("mevflow.v1.Swap").decode(rows.column("value").combine_chunks()).to_pylist() == swaps.to_pylist()


def test_without_a_key_rows_are_spread(kafka_broker, make_topic, producer):
    topic = make_topic(2)
    sink = KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=topic), CONTEXT)
    write(sink, synthetic_swaps(10))
    assert listing(kafka_broker, [topic])[0].messages == 10


def test_what_is_missing_is_named(kafka_broker, make_topic):
    with pytest.raises(UsageError, match="not on the broker"):
        KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic="no-such-topic"), CONTEXT).open(None)
    sink = KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=make_topic(1), key="wallet"), CONTEXT)
    sink.open(None)
    with pytest.raises(UsageError, match=r"mevflow\.v1\.Swap has no column 'wallet'"):
        sink.write(synthetic_swaps(1))
    sink.close()


def test_no_broker_is_unreachable(monkeypatch):
    monkeypatch.setattr(kafka, "_ANSWER_S", 1.0)
    with pytest.raises(UnreachableError, match="no Kafka broker answers"):
        KafkaSink(KafkaSinkSettings(bootstrap=f"127.0.0.1:{free_port()}", topic="t"), CONTEXT).open(None)


def located(swaps, offsets, topic="dex-swaps-proto"):
    """The swaps with coordinates, as they come from a source."""
    names = pa.array([topic] * len(offsets)).dictionary_encode().cast(COORDINATES.field(0).type)
    columns = [*swaps.columns, names, pa.array([3] * len(offsets), pa.int32()), pa.array(offsets, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=SWAP.located)


def test_a_row_larger_than_the_topic_takes_is_a_dead_letter(kafka_broker, make_topic, producer):
    topic, dlq = make_topic(1, max_message_bytes=2_000), make_topic(1)
    rows = located(synthetic_swaps(3), [7, 8, 9])
    big = pa.array([b"s", b"s" * 5_000, b"s"], pa.binary())
    rows = rows.set_column(rows.schema.get_field_index("signature"), rows.schema.field("signature"), big)
    sink = KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=topic, key="pool", dead_letters=dlq), CONTEXT)
    write(sink, rows)
    sent = SWAP.decode(read_all(kafka_broker, topic).column("value").combine_chunks())
    assert sent.column("slot").to_pylist() == [rows.column("slot")[0].as_py(), rows.column("slot")[2].as_py()]
    (letter,) = LETTER.decode(read_all(kafka_broker, dlq).column("value").combine_chunks()).to_pylist()
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("dex-swaps-proto", 3, 8)
    assert (letter["stage"], letter["reason"]) == ("out", "too_large")
    assert SWAP.decode(pa.array([letter["payload"]])).to_pylist() == rows.select(SWAP.schema.names).to_pylist()[1:2]
    assert sink.refused == 1


def test_without_a_topic_for_dead_letters_the_stream_goes_on(kafka_broker, make_topic, caplog):
    topic = make_topic(1, max_message_bytes=300)
    sink = KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=topic, dead_letters="no-such-topic"), CONTEXT)
    write(sink, located(synthetic_swaps(1), [17]))
    assert "rejected dex-swaps-proto[3]@17: too_large" in caplog.text


def test_a_dead_letter_larger_than_the_topic_takes_is_cut_off(kafka_broker, make_topic, producer):
    topic = make_topic(1, max_message_bytes=20_000)
    payload = bytes(range(256)) * 5_000
    row = dict.fromkeys(("topology", "run_id", "stage", "reason"), "x") | {
        "topic": "dex-swaps-proto", "partition": 3, "offset": 17, "timestamp_us": 5, "size": 0, "sha256": b"",
    }  # fmt: skip
    small, large = row | {"detail": "d", "payload": b"small"}, row | {"detail": "é" * 9_000, "payload": payload}
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=topic), CONTEXT)
    write(sink, pa.RecordBatch.from_pylist([small, large], ERRORS))
    first, second = LETTER.decode(read_all(kafka_broker, topic).column("value").combine_chunks()).to_pylist()
    assert first == small
    assert payload.startswith(second["payload"])
    assert len(second["payload"]) > 10_000
    assert (second["size"], second["sha256"]) == (len(payload), hashlib.sha256(payload).digest())
    assert (second["topic"], second["partition"], second["offset"]) == ("dex-swaps-proto", 3, 17)


@pytest.mark.parametrize("time_us", [0, -5, -(1 << 63)])
def test_a_time_that_kafka_refuses_is_the_least_that_it_takes(kafka_broker, make_topic, producer, time_us):
    topic = make_topic(1)
    rows = synthetic_swaps(1)
    at = rows.schema.get_field_index("timestamp_us")
    odd = rows.set_column(at, rows.schema.field(at), pa.array([time_us], pa.int64()))
    write(KafkaSink(KafkaSinkSettings(bootstrap=kafka_broker, topic=topic), CONTEXT), odd)
    assert read_all(kafka_broker, topic).column("timestamp_us").to_pylist() == [1000]


def test_dead_letters_keep_everything(kafka_broker, make_topic):
    topic = make_topic(4)
    row = {
        "topic": "dex-swaps-proto",
        "partition": 3,
        "offset": 17,
        "timestamp_us": 1_649_203_200_000_000,
        "topology": "detect-live",
        "run_id": "",
        "stage": "decoded",
        "reason": "undecodable",
        "detail": "not a Swap",
        "payload": b"\x00\xff\x80",
        "size": 0,
        "sha256": b"",
    }
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=topic), CONTEXT)
    write(sink, pa.RecordBatch.from_pylist([row], ERRORS))
    rows = read_all(kafka_broker, topic)
    assert codec("mevflow.v1.DeadLetter").decode(rows.column("value").combine_chunks()).to_pylist() == [row]
    assert DeadLetterSettings().topic == "dlq"
    assert DeadLetterSink.accepts(DeadLetterSettings(), "mevflow.v1.DeadLetter")
    assert not DeadLetterSink.accepts(DeadLetterSettings(), "mevflow.v1.Swap")
