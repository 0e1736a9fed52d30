"""A real Kafka broker for tests: one a session, on free ports, in a temporary folder."""

import uuid
from contextlib import contextmanager

import pytest

from mevflow.kafka import broker
from mevflow.kafka.topics import TopicSpec, create
from mevflow.processes.addresses import free_port


@contextmanager
def running_broker(var, bootstrap=""):
    """A broker that keeps its files in ``var``; gives the bootstrap address."""
    bootstrap = bootstrap or f"127.0.0.1:{free_port()}"
    broker.start(var, bootstrap, free_port(), heap_mb=384)
    try:
        yield bootstrap
    finally:
        broker.stop(var)


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory):
    """The bootstrap address."""
    with running_broker(tmp_path_factory.mktemp("kafka-var")) as bootstrap:
        yield bootstrap


@pytest.fixture
def make_topic(kafka_broker):
    """Make a topic of a test's own; gives its name."""

    def make(partitions=1, **settings):
        name = f"t-{uuid.uuid4().hex[:12]}"
        extra = {key.replace("_", "."): str(value) for key, value in settings.items()}
        create(kafka_broker, (TopicSpec(name, partitions, extra=extra),))
        return name

    return make


@pytest.fixture
def send(kafka_broker):
    """Send ``[(partition, time in ms, value)]`` to a topic and wait for the broker's word."""
    from confluent_kafka import Producer

    def produce(topic, records, bootstrap=kafka_broker):
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "log_level": 0})
        failed = []
        for partition, time_ms, value in records:
            while True:
                try:
                    producer.produce(
                        topic,
                        value,
                        partition=partition,
                        timestamp=time_ms,
                        on_delivery=lambda error, _: failed.append(error) if error else None,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(30) == 0
        assert not failed

    return produce
