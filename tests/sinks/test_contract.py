"""Every sink of the catalogue keeps the contract of ``mevflow.testing``, against the real broker, engine and hub."""

from __future__ import annotations

import uuid

import pytest

from mevflow.bench.kafka import synthetic_swaps
from mevflow.flows.spec import catalogue
from mevflow.operators.stage import Settings, StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sinks.discard import DiscardSink
from mevflow.sinks.kafka.dlq import DeadLetterSettings, DeadLetterSink
from mevflow.sinks.kafka.sink import KafkaSink, KafkaSinkSettings
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink
from mevflow.testing import SINK_RULES, SinkCase
from tests.operators.stage_cases import decode_case
from tests.sinks.clickhouse.rows import batch_of, swap
from tests.sinks.kafka.test_sink import read_all

CONTEXT = StageContext("contract", "out")
RULES = pytest.mark.parametrize("rule", SINK_RULES)
COVERED = {"clickhouse.sink", "kafka.sink", "dlq.sink", "websocket.sink", "discard.sink"}


def swaps():
    """Four batches of synthetic swaps."""
    whole = synthetic_swaps(400)
    return [whole.slice(start, 100) for start in range(0, 400, 100)]


def letters():
    """Four batches of dead letters, as ``decode`` gives them."""
    from mevflow.testing import Outputs

    case = decode_case()
    (batch,) = [batch for port, batch in Outputs().give(case.make(), case.bad_feed()).batches if port == "errors"]
    return [batch] * 4


def kafka_case(kind, settings_type, batches, bootstrap, make_topic):
    """A Kafka sink on a topic of each run's own."""
    topic: list[str] = [make_topic(2)]
    settings = lambda: settings_type(bootstrap=bootstrap, topic=topic[0], linger_ms=0)  # noqa: E731

    def read():
        from mevflow.kafka.topics import listing

        ends = listing(bootstrap, topic)[0].ends.values()
        if not any(stop for _, stop in ends):
            return []
        return read_all(bootstrap, topic[0]).column("value").to_pylist()

    return SinkCase(
        kind.use,
        lambda: kind(settings(), CONTEXT),
        batches,
        read=read,
        clear=lambda: topic.__setitem__(0, make_topic(2)),
        delivery="at_least_once",
    )


@RULES
def test_kafka_sink(kafka_broker, make_topic, rule):
    SINK_RULES[rule](kafka_case(KafkaSink, KafkaSinkSettings, swaps, kafka_broker, make_topic))


@RULES
def test_dlq_sink(kafka_broker, make_topic, rule):
    SINK_RULES[rule](kafka_case(DeadLetterSink, DeadLetterSettings, letters, kafka_broker, make_topic))


@RULES
def test_clickhouse_sink(clickhouse_server, clickhouse_client, clickhouse_database, rule):
    settings = ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database)
    run = [uuid.uuid4().hex]

    def batches():
        return [batch_of([swap(n) for n in range(at, at + 5)], first_offset=at) for at in range(0, 20, 5)]

    def read():
        found = clickhouse_client.query(
            "SELECT source_partition, source_offset FROM raw_swaps_rows", settings={"database": clickhouse_database}
        )
        return found.result_rows

    def clear():
        clickhouse_client.command(f"TRUNCATE TABLE {clickhouse_database}.raw_swaps_rows")
        run[0] = uuid.uuid4().hex

    case = SinkCase(
        "clickhouse.sink",
        lambda: ClickHouseSink(settings, StageContext("contract", "history", run[0])),
        batches,
        read=read,
        clear=clear,
        crash=lambda sink: sink._writers.close(),
    )
    SINK_RULES[rule](case)


@RULES
def test_websocket_sink(tmp_path, rule):
    """Without a hub: what nobody takes is counted, and nothing waits for it."""
    settings = WebSocketSettings(channel="c", port=free_port(), hub="external", socket=str(tmp_path / "none"))
    SINK_RULES[rule](SinkCase("websocket.sink", lambda: WebSocketSink(settings, CONTEXT), swaps, delivery="lossy"))


@RULES
def test_discard_sink(rule):
    case = SinkCase("discard.sink", lambda: DiscardSink(Settings(), CONTEXT), swaps, delivery="lossy")
    SINK_RULES[rule](case)


def test_the_cases_cover_every_sink_of_the_catalogue():
    parts = {use: catalogue.part(use) for use in catalogue.BUILT_IN}
    assert {use for use, kind in parts.items() if catalogue.role(kind) == "sink"} == COVERED
