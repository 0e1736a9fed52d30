"""A client of the embedded server cannot reach a file, a program or an address by any SQL that names one."""

from __future__ import annotations

import ctypes
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mevflow.clickhouse import daemon
from mevflow.clickhouse.client import connect
from mevflow.processes.addresses import free_port

pytestmark = pytest.mark.skipif(
    ctypes.CDLL(None).syscall(444, None, 0, 1) < 4, reason="this kernel cannot confine TCP connections (Landlock 4)"
)

#: ``{secret}`` is a file outside, ``{outside}`` its folder, ``{http}`` an address that listens.
READS = (
    "SELECT * FROM file('{secret}', 'LineAsString')",
    "SELECT * FROM `file`('{secret}', 'LineAsString')",
    "SELECT file('{secret}')",
    "SELECT arrayMap(file, ['{secret}'])",
    "WITH '{secret}' AS f SELECT arrayFold((a, x) -> file(x), [f], '')",
    "SELECT opened('{secret}')",
    "SELECT * FROM file('/proc/self/cwd{secret}', 'LineAsString')",
    "SELECT * FROM file('{inside}/../../../secret.txt', 'LineAsString')",
    "SELECT * FROM fileCluster('default', '{secret}', 'LineAsString')",
    "SELECT * FROM deltaLakeLocal('{outside}')",
    "SELECT * FROM icebergLocal('{outside}')",
    "SELECT * FROM sqlite('{outside}/x.db', 't')",
    "SELECT * FROM executable('id', 'TSV', 'x String')",
    "SELECT * FROM Python(os)",
    "INSERT INTO m.a FROM INFILE '{secret}' FORMAT LineAsString",
    "INSERT INTO m.a FROM/**/INFILE '{secret}' FORMAT LineAsString",
    "SELECT 1 AS a FORMAT Template SETTINGS format_template_row = '{secret}'",
    "SELECT 1 AS a FORMAT Template SETTINGS format_template_resultset = '{secret}'",
    "SELECT 1 AS a FORMAT Protobuf SETTINGS format_schema = '{secret}:M'",
    "SELECT 1 AS a FORMAT CapnProto SETTINGS format_schema = '{secret}:M'",
    "SET format_schema = '{secret}:M'",
    "CREATE TABLE m.t (x String) ENGINE = File(LineAsString, '{secret}')",
    "CREATE TABLE m.t (x String) ENGINE = FileLog('{outside}', 'LineAsString')",
    "CREATE TABLE m.t (x Int8) ENGINE = SQLite('{outside}/x.db', 't')",
    "CREATE TABLE m.t (x Int8) ENGINE = EmbeddedRocksDB(0, '{outside}/rocks') PRIMARY KEY x",
    "CREATE TABLE m.t (x Int8) ENGINE = MergeTree ORDER BY x SETTINGS disk = disk(type = local, path = '{outside}/d/')",
    "CREATE DATABASE fs ENGINE = Filesystem('{outside}')",
    "CREATE DATABASE sq ENGINE = SQLite('{outside}/x.db')",
    "ATTACH TABLE m.t FROM '{outside}' (x Int8) ENGINE = MergeTree ORDER BY x",
    "CREATE DICTIONARY m.d (x String, y String) PRIMARY KEY x SOURCE(FILE(path '{secret}' format 'TSV'))"
    " LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0)",
)
WRITES = (
    "SELECT 1 INTO OUTFILE '{outside}/made' FORMAT CSV",
    "SELECT 1 INTO OUTFILE $${outside}/made$$ FORMAT CSV",
    "INSERT INTO FUNCTION file('{outside}/made', 'CSV', 'x Int8') SELECT 1",
    "INSERT INTO TABLE FUNCTION file('{outside}/made', 'CSV', 'x Int8') VALUES (1)",
    "BACKUP TABLE m.a TO File('{outside}/made')",
    "BACKUP TABLE m.a TO Disk('default', 'made')",
    "CREATE DICTIONARY m.d (x String, y String) PRIMARY KEY x SOURCE(EXECUTABLE(command 'touch {outside}/made'"
    " format 'TSV')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0)",
)
CALLS = (
    "SELECT * FROM url('http://{http}/', 'LineAsString')",
    "INSERT INTO FUNCTION url('http://{http}/', 'CSV', 'x Int8') SELECT 1",
    "SELECT * FROM s3('http://{http}/bucket/key', 'CSV', 'x String')",
    "SELECT * FROM remote('{http}', 'system.one')",
    "SELECT * FROM mysql('{http}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('{http}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM mongodb('{http}', 'a', 'b', 'c', 'd', 'x Int8')",
    "SELECT * FROM redis('{http}', 'key', 'key String, v String')",
    "CREATE TABLE m.t (x String) ENGINE = URL('http://{http}/', 'LineAsString')",
    "CREATE TABLE m.t (x String) ENGINE = Distributed('default', 'm', 'a')",
    "CREATE DATABASE my ENGINE = MySQL('{http}', 'a', 'b', 'c')",
    "CREATE NAMED COLLECTION nc AS url = 'http://{http}/'",
    "SET format_avro_schema_registry_url = 'http://{http}/'",
    "CREATE DICTIONARY m.d (x String, y String) PRIMARY KEY x SOURCE(HTTP(url 'http://{http}/' format 'TSV'))"
    " LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0)",
)
FINE = (
    "INSERT INTO m.a SELECT x FROM input('x String') FORMAT CSV\nq\n",
    "CREATE MATERIALIZED VIEW m.v (x String) ENGINE = MergeTree ORDER BY x AS SELECT x FROM m.a",
    "CREATE TEMPORARY TABLE t (x Int8)",
    "SELECT toTimeZone(now(), 'Europe/Berlin'), count() FROM system.parts",
)


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text("the signing key\n")
    return folder


@pytest.fixture(scope="module")
def confined(outside):
    os.environ["MEVFLOW_SECRET_OF_THE_TEST"] = "the signing key"
    port = free_port()
    daemon.start(outside / "var", port=port)
    del os.environ["MEVFLOW_SECRET_OF_THE_TEST"]
    with connect(port=port) as client:
        client.command("CREATE DATABASE m")
        client.command("CREATE TABLE m.a (x String) ENGINE = MergeTree ORDER BY x")
        client.command("CREATE FUNCTION opened AS path -> file(path)")
        yield client
    daemon.stop(outside / "var")


@pytest.fixture(scope="module")
def listening():
    heard: list[str] = []

    class Ear(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.path)
            self.send_error(404)

        do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("sql", [*READS, *WRITES, *CALLS])
def test_what_names_a_file_a_program_or_an_address_is_refused(confined, outside, listening, sql):
    http, heard = listening
    names = {
        "secret": outside / "secret.txt",
        "outside": outside,
        "inside": outside / "var/clickhouse/data",
        "http": http,
    }
    for name, value in names.items():
        sql = sql.replace(f"{{{name}}}", str(value))
    with pytest.raises(Exception, match="Code: ") as refused:
        confined.raw_query(sql)
    assert "the signing key" not in str(refused.value)
    assert sorted(each.name for each in outside.iterdir()) == ["secret.txt", "var"]
    assert heard == []


def test_the_environment_tells_nothing(confined):
    with connect(port=int(confined.url.rpartition(":")[2])) as client:
        assert b"the signing key" not in client.raw_query("SELECT file('/proc/self/environ')")
    with pytest.raises(Exception, match="Permission denied"):
        confined.raw_query(f"SELECT file('/proc/{os.getpid()}/environ')")


@pytest.mark.parametrize("sql", FINE)
def test_what_needs_only_its_own_tables_runs(confined, sql):
    confined.raw_query(sql)
