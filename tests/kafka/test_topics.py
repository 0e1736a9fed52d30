"""Topics on a real broker: created once, as the design has them; offsets by chain time."""

import os
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

from mevflow.kafka.partitioner import murmur2, partition_of
from mevflow.kafka.topics import TOPICS, TopicSpec, cluster_id, create, listing, offsets_for_times
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError
from mevflow.processes.addresses import free_port


def test_the_topics_of_the_design(kafka_broker):
    create(kafka_broker)
    assert create(kafka_broker) == []
    found = {info.name: len(info.ends) for info in listing(kafka_broker, [spec.name for spec in TOPICS])}
    eight = ("dex-swaps-proto", "pool-updates-proto", "outcomes-proto", "bandit-events-proto", "realtime-proto")
    four = ("price-ticks-proto", "control-acks", "dlq")
    one = ("control-commands", "control-heartbeats", "control-audit", "control-claims")  # each is read in one order
    expected = dict.fromkeys((*eight, "mev-decisions"), 8) | dict.fromkeys(four, 4) | dict.fromkeys(one, 1)
    assert found == expected


def test_settings_reach_the_broker(kafka_broker):
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    create(kafka_broker)
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker)
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "control-commands")])
    admin.close()
    text = str(found)
    assert "compact" in text
    assert "CreateTime" in text


def test_a_topic_with_other_partitions_is_reported(kafka_broker, make_topic):
    topic = make_topic(2)
    with pytest.raises(MevflowError, match="has 2 partitions and should have 3"):
        create(kafka_broker, (TopicSpec(topic, 3),))


def test_offsets_by_chain_time(kafka_broker, make_topic, send):
    """Years-old records are kept, and a window is half open."""
    topic = make_topic(3)
    start_ms = 1_649_203_200_000  # 2022-04-06
    send(topic, [(n % 2, start_ms + n * 1000, b"%d" % n) for n in range(100)])

    def window(begin_s, end_s):
        start_us = start_ms * 1000
        edges = (None if s is None else start_us + round(s * 1e6) for s in (begin_s, end_s))
        return offsets_for_times(kafka_broker, topic, *edges)

    assert window(None, None) == {0: (0, 50), 1: (0, 50), 2: (0, 0)}
    assert window(10, 20) == {0: (5, 10), 1: (5, 10), 2: (0, 0)}
    assert window(10.5, 11) == {0: (6, 6), 1: (5, 5), 2: (0, 0)}
    assert window(-5, 1) == {0: (0, 1), 1: (0, 0), 2: (0, 0)}
    assert window(98, 500) == {0: (49, 50), 1: (49, 50), 2: (0, 0)}
    assert window(500, 600) == {0: (50, 50), 1: (50, 50), 2: (0, 0)}


def test_what_is_missing_is_named(kafka_broker):
    with pytest.raises(UsageError, match=r"no-such-topic: .*not on the broker"):
        offsets_for_times(kafka_broker, "no-such-topic", None, None)
    with pytest.raises(UnreachableError, match="no Kafka broker answers"):
        listing(f"127.0.0.1:{free_port()}")


def test_the_cluster_has_an_id(kafka_broker):
    assert cluster_id(kafka_broker) == cluster_id(kafka_broker) != ""


@pytest.mark.parametrize(
    ("key", "hash_"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_that_of_kafka(key, hash_):
    """The values that Apache Kafka's UtilsTest states."""
    assert murmur2(key) == hash_ % (1 << 32)
    assert partition_of(key, 7) == (hash_ & 0x7FFFFFFF) % 7


def test_an_open_transaction_is_the_end(kafka_broker, make_topic):
    topic = make_topic(1)
    producer = Producer({"bootstrap.servers": kafka_broker, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"x")
    producer.flush(30)
    assert listing(kafka_broker, [topic])[0].ends == {0: (0, 0)}
    producer.commit_transaction(30)
    while listing(kafka_broker, [topic])[0].ends != {0: (0, 2)}:  # the message and the mark of its commit
        time.sleep(0.01)


def test_the_list_is_csv_for_who_asks(make_topic, kafka_broker):
    name = make_topic(partitions=3)
    words = [sys.executable, "-m", "mevflow.cli", "topics", "list", "--csv"]
    said = subprocess.check_output(
        words, env={**os.environ, "MEVFLOW_KAFKA__BOOTSTRAP": kafka_broker}, text=True
    ).splitlines()
    assert said[0] == "topic,partitions,messages"
    assert f"{name},3,0" in said
