"""ClickHouse behind TLS: commands, sinks and the gateway reach it, and check who it is."""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mevflow.clickhouse import daemon, tls
from mevflow.clickhouse.client import connect
from mevflow.clickhouse.tls import ClickHouseTls, connections
from mevflow.operators.errors import UnreachableError
from tests.control.auth.conftest import Authority

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory, clickhouse_server):
    """(port, authority): the session's engine behind a TLS end that wants a client certificate."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder, "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.make("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source, to):
        try:
            while data := source.recv(65_536):
                to.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, to):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                inner = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue
            outer = socket.create_connection(("127.0.0.1", clickhouse_server.port))
            for ends in ((inner, outer), (outer, inner)):
                threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], authority
    listener.close()


@pytest.fixture(autouse=True)
def plain_again():
    yield
    tls.use(None)


def test_clients_and_pools_reach_it_with_a_certificate(behind_tls, clickhouse_database):
    port, authority = behind_tls
    certificate, key = authority.make("client")
    tls.use(ClickHouseTls("127.0.0.1", port, str(authority.file), str(certificate), str(key)))
    client = connect("127.0.0.1", port, database=clickhouse_database)
    assert client.command("SELECT 1") == 1
    client.insert("sink_fences", [["w", 1]], column_names=["writer", "fenced"])
    client.close()
    assert daemon.status(Path("/none"), "127.0.0.1", port).answering
    pool = connections("127.0.0.1", port, retries=False)
    assert pool.request("POST", "/", body=b"SELECT 2").data == b"2\n"
    pool.close()


def test_who_is_not_known_or_does_not_know_is_refused(behind_tls):
    port, authority = behind_tls
    for wrong in (
        ClickHouseTls("127.0.0.1", port, str(authority.file)),
        ClickHouseTls("127.0.0.1", port, "", *map(str, authority.make("other"))),
    ):
        tls.use(wrong)
        with pytest.raises(UnreachableError, match="by TLS") as refused:
            connect("127.0.0.1", port)
        assert "MEVFLOW_CLICKHOUSE__CA" in refused.value.hint
        assert not daemon.status(Path("/none"), "127.0.0.1", port).answering


def test_commands_take_it_from_the_settings(behind_tls, clickhouse_database, tmp_path):
    port, authority = behind_tls
    certificate, key = authority.make("command")
    (tmp_path / "password").write_text("not of anybody\n")
    settings = (
        f'[clickhouse]\nport = {port}\ntls = true\nca = "{authority.file}"\ncertificate = "{certificate}"\n'
        f'key = "{key}"\ndatabase = "{clickhouse_database}"\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEVFLOW_")}

    def mevflow(*words):
        return subprocess.run(
            [sys.executable, "-m", "mevflow.cli", "clickhouse", *words],
            cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    (tmp_path / "mevflow.toml").write_text(settings)
    assert "answering" in mevflow("status").stdout
    assert "42" in mevflow("query", "SELECT 40 + 2").stdout
    (tmp_path / "mevflow.toml").write_text(settings + 'password_file = "password"\n')
    assert "refused user 'default'" in mevflow("status").stderr
