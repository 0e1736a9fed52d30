"""A real embedded ClickHouse for tests: one a session, on a free port, in a temporary folder."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from mevflow.processes.addresses import free_port


@dataclass(frozen=True)
class Server:
    """Where the session's server is."""

    host: str
    port: int
    var: Path


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory):
    """The session's server: ``host``, ``port``, ``var``."""
    from mevflow.clickhouse import daemon

    var = tmp_path_factory.mktemp("clickhouse-var")
    port = free_port()
    daemon.start(var, port=port)
    yield Server("127.0.0.1", port, var)
    daemon.stop(var)


@pytest.fixture
def clickhouse_client(clickhouse_server):
    """mevflow's own client, on the database ``default``."""
    from mevflow.clickhouse.client import connect

    client = connect(clickhouse_server.host, clickhouse_server.port)
    yield client
    client.close()


@pytest.fixture
def clickhouse_database(clickhouse_client):
    """The name of a migrated database of the test's own."""
    from mevflow.clickhouse.migrate import migrate

    name = f"t_{uuid.uuid4().hex[:12]}"
    migrate(clickhouse_client, name)
    yield name
    clickhouse_client.command(f"DROP DATABASE {name}")
