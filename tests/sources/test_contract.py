"""Every source of the catalogue keeps the contract of ``mevflow.testing``, against a real broker."""

from __future__ import annotations

import pytest

from mevflow.flows.spec import catalogue
from mevflow.operators.stage import StageContext
from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings
from mevflow.testing import SOURCE_RULES, SourceCase

ROWS, PARTITIONS = 6_000, 3
CONTEXT = StageContext("contract", "swaps")
COVERED = {"kafka.source"}


@pytest.fixture(scope="module")
def filled(kafka_broker):
    """A topic with ROWS messages."""
    from confluent_kafka import Producer

    from mevflow.kafka.topics import TopicSpec, create

    create(kafka_broker, (TopicSpec("t-contract-source", PARTITIONS),))
    producer = Producer({"bootstrap.servers": kafka_broker, "log_level": 0})
    for n in range(ROWS):
        value = b"%d" % n
        producer.produce("t-contract-source", value, partition=n % PARTITIONS, timestamp=1_600_000_000_000 + n)
        producer.poll(0)
    assert producer.flush(60) == 0
    return "t-contract-source"


@pytest.mark.parametrize("ends", [True, False], ids=["bounded", "live"])
@pytest.mark.parametrize("rule", SOURCE_RULES)
def test_kafka_source(kafka_broker, filled, rule, ends):
    stops = dict.fromkeys(range(PARTITIONS), ROWS // PARTITIONS) if ends else None
    settings = KafkaSourceSettings(
        bootstrap=kafka_broker, topic=filled, start="earliest", stop_offsets=stops, max_rows=1_000
    )
    case = SourceCase(
        "kafka.source", lambda: KafkaSource(settings, CONTEXT), ROWS, ends=ends, ordered_by=("source_partition",)
    )
    SOURCE_RULES[rule](case)


def test_the_cases_cover_every_source_of_the_catalogue():
    parts = {use: catalogue.part(use) for use in catalogue.BUILT_IN}
    assert {use for use, kind in parts.items() if catalogue.role(kind) == "source"} == COVERED
