"""Topologies on a broker and a ClickHouse, each with an output topic and a database of its own."""

import uuid

import pytest

from mevflow.clickhouse.migrate import migrate
from tests.flows.runtime.streams import FILE, PARTITIONS


@pytest.fixture
def make_copies(kafka_broker, clickhouse_server, clickhouse_client, make_topic, tmp_path):
    """A topology file of its own name, output topic and database, on one input topic."""
    topic = make_topic(partitions=PARTITIONS)
    databases = []

    def build(name):
        copy = make_topic(partitions=2)
        databases.append(f"{name}_{uuid.uuid4().hex[:12]}")
        migrate(clickhouse_client, databases[-1])
        file = tmp_path / f"{name}.yaml"
        file.write_text(
            FILE.format(
                bootstrap=kafka_broker, port=clickhouse_server.port, database=databases[-1], name=name,
                topic=topic, copy=copy,
            )
        )  # fmt: skip
        return file, copy, databases[-1]

    build.topic = topic
    yield build
    for database in databases:
        clickhouse_client.command(f"DROP DATABASE {database}")
