"""A stream of swaps with odd records in it, a topology that keeps and copies them, and what has come of it."""

import time
from collections import Counter

from confluent_kafka import Consumer, TopicPartition

from mevflow.kafka.topics import listing
from mevflow.v1.market_pb2 import Swap

FILE = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
  clickhouse: {{port: {port}, database: "{database}"}}
  recovery: {{epoch_s: 0.5}}
topologies:
  {name}:
    control: {{enabled: false}}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: "{topic}", start: earliest, max_rows: 2100}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      history: {{use: clickhouse.sink, from: [decoded, decoded.errors]}}
      copy: {{use: kafka.sink, from: decoded, with: {{topic: "{copy}", key: pool}}}}
"""
PARTITIONS, _HOUR_US = 4, 3_600_000_000


def records(first, count):
    """Every seventh is no swap."""
    for number in range(first, first + count):
        whole = Swap(chain=1, slot=number + 1, timestamp_us=_HOUR_US + number * 1_000, pool=number.to_bytes(32, "big"))
        value = b"\xff" if number % 7 == 6 else whole.SerializeToString()
        yield number % PARTITIONS, (_HOUR_US + number * 1_000) // 1000, value


def copied(bootstrap, topic):
    """Messages of a topic, each with how often it is there."""
    (info,) = listing(bootstrap, [topic])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "hosts", "log_level": 0})
    consumer.assign([TopicPartition(topic, number, 0) for number in info.ends])
    found = []
    while len(found) < info.messages:
        found += [message.value() for message in consumer.consume(1_000, 1.0) if message.error() is None]
    consumer.close()
    return Counter(found)


def stored(client, database):
    """Rows by coordinates, each with how often it is there, and dead letters likewise."""
    found = []
    for table, columns in (
        ("raw_swaps_rows", "source_partition, source_offset"),
        ("dead_letters", "partition, offset"),
    ):
        found.append(Counter(client.query(f"SELECT {columns} FROM {database}.{table}").result_rows))
    return found


def wait(done, what, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
