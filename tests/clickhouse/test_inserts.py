"""An INSERT that is answered with success is stored; every failure comes back with ClickHouse's code."""

import http.client
import os
import socket
import subprocess
import threading
import time
import urllib.parse
import uuid

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from mevflow.clickhouse import daemon
from mevflow.clickhouse.client import connect
from mevflow.clickhouse.migrate import migrate
from mevflow.operators.stage import StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from tests.sinks.clickhouse.rows import batch_of, swap

#: No space for a part, and no space left while one is written.
FULL = (243, 75)
CHECK, PARTITIONS, THROWS = "CONSTRAINT small CHECK a < 5", "PARTITION BY a", "throwIf(a = 7)"


@pytest.fixture
def client(clickhouse_server):
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse_server.port) as client:
        yield client


@pytest.fixture
def database(client):
    name = f"d_{uuid.uuid4().hex[:10]}"
    client.command(f"CREATE DATABASE {name}")
    yield name
    client.command(f"DROP DATABASE {name}")


@pytest.fixture
def make_table(client, database):
    def make(columns="a Int64", engine="MergeTree ORDER BY tuple()", view=""):
        name = f"{database}.t"
        client.command(f"CREATE TABLE {name} ({columns}) ENGINE = {engine}")
        if view:
            client.command(f"CREATE MATERIALIZED VIEW {database}.v ENGINE = Memory AS SELECT {view} AS x FROM {name}")
        return name

    return make


def count(client, table):
    return int(client.command(f"SELECT count() FROM {table}"))


def rows(*values):
    return "".join(f"{value}\n" for value in values).encode()


FAILURES = {
    "a number that is none": ({}, rows(1, "x"), 27, 0),
    "a violated CHECK": ({"columns": f"a Int64, {CHECK}"}, rows(1, 7), 469, 0),
    "too many partitions": ({"engine": f"MergeTree {PARTITIONS} ORDER BY a"}, rows(*range(150)), 252, 0),
    # As in ClickHouse, the table has the rows that its view threw away.
    "a view that throws": ({"view": THROWS}, rows(1, 7), 395, 2),
    "a table that is not there": (None, rows(1), 60, None),
    "a column that is not there": ({"columns": "b Int64"}, rows(1), 16, 0),
}


@pytest.mark.parametrize("settings", [{}, {"async_insert": 1}, {"async_insert": 1, "wait_for_async_insert": 0}])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_comes_back_with_clickhouses_code(client, database, make_table, failure, settings):
    how, data, code, stored = FAILURES[failure]
    table = f"{database}.t" if how is None else make_table(**how)
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert(table, ["a"], data, fmt="TabSeparated", settings=settings)
    assert caught.value.code == code
    message = str(caught.value)
    assert message.count("DB::Exception") == 1
    assert "/proc/self/fd" not in message
    if stored is not None:
        assert count(client, table) == stored


FORMS = {
    "the statement in the URL": ("INSERT INTO {t} (a) FORMAT TSV", "1\n{x}\n"),
    "the statement in the body": ("", "INSERT INTO {t} (a) FORMAT TSV\n1\n{x}\n"),
    "some data in the URL": ("INSERT INTO {t} (a) FORMAT TSV\n1", "{x}\n"),
    "with settings": ("INSERT INTO {t} (a) SETTINGS max_threads = 1, async_insert = 0 FORMAT TSV", "1\n{x}\n"),
    "values in the body": ("", "INSERT INTO {t} VALUES (1), ({x})"),
    "values in the URL": ("INSERT INTO {t} VALUES (1), ({x})", ""),
    "values after the URL": ("INSERT INTO {t} VALUES", "(1), (2 * 3 + {x} - 6)"),
    "settings and values": ("", "INSERT INTO {t} (a) SETTINGS max_threads = 1 VALUES (1), ({x});"),
    "a select from the data": ("INSERT INTO {t} SELECT b FROM input('b Int64') FORMAT TSV", "1\n{x}\n"),
    "a select and its data": ("", "INSERT INTO {t} SELECT b FROM input('b Int64') WHERE b != 0 FORMAT TSV\n1\n{x}\n"),
    "a select": ("", "INSERT INTO {t} SELECT arrayJoin([1, {x}])"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_insert_stores_or_raises(clickhouse_server, client, make_table, form):
    table = make_table(f"a Int64, {CHECK}")
    for value, status, stored in ((4, 200, 2), (7, 500, 2), (3, 200, 4)):
        query, body = (part.replace("{t}", table).replace("{x}", str(value)) for part in FORMS[form])
        found, answer, headers = post(clickhouse_server, f"/?query={urllib.parse.quote(query)}", body.encode())
        assert found == status, answer
        assert headers["X-ClickHouse-Exception-Code"] == (None if status == 200 else "469")
        assert count(client, table) == stored


def test_data_larger_than_memory_takes_goes_through_the_disk(client, make_table):
    table = make_table("a String")
    row = b"x" * (1 << 20) + b"\n"
    client.raw_insert(table, ["a"], (row for _ in range(80)), fmt="TabSeparated")
    assert count(client, table) == 80


def test_data_never_runs_as_sql(clickhouse_server, client, database, make_table):
    table = make_table()
    body = f"INSERT INTO {table} FORMAT TSV\n1\n\nDROP TABLE {table};\n".encode()
    assert post(clickhouse_server, "/", body)[0] == 400
    body = f"INSERT INTO {table} VALUES (1); DROP TABLE {table}".encode()
    assert post(clickhouse_server, "/", body)[0] != 200
    body = f"INSERT INTO {table} VALUES (1); (2)".encode()
    assert post(clickhouse_server, "/", body)[2]["X-ClickHouse-Exception-Code"] == "33"
    assert post(clickhouse_server, "/", f"SELECT 1; DROP TABLE {table}".encode())[0] == 400
    assert count(client, table) == 0


def test_a_killed_insert_says_so(clickhouse_server, client, make_table):
    table = make_table("a Int64, slow UInt8 MATERIALIZED sleepEachRow(1)")
    name = uuid.uuid4().hex
    answers = []

    def insert():
        insert = urllib.parse.quote(f"INSERT INTO {table} (a) FORMAT TSV")
        target = f"/?query_id={name}&function_sleep_max_microseconds_per_block=600000000&query={insert}"
        answers.append(post(clickhouse_server, target, rows(*range(100))))

    thread = threading.Thread(target=insert)
    thread.start()
    running = f"SELECT count() FROM system.processes WHERE query_id = '{name}'"
    while thread.is_alive() and not int(client.command(running)):
        time.sleep(0.02)
    client.command(f"KILL QUERY WHERE query_id = '{name}' SYNC")
    thread.join()
    assert answers[0][2]["X-ClickHouse-Exception-Code"] == "394"
    assert count(client, table) == 0


@pytest.mark.parametrize("chunked", [True, False])
def test_a_sender_that_dies_in_the_middle_stores_nothing(clickhouse_server, client, make_table, chunked):
    table = make_table()
    insert = urllib.parse.quote(f"INSERT INTO {table} (a) FORMAT TSV")
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1000"
    with socket.create_connection(("127.0.0.1", clickhouse_server.port)) as sender:
        head = f"POST /?query={insert} HTTP/1.1\r\nHost: localhost\r\n".encode() + length + b"\r\n\r\n"
        sender.sendall(head + (b"4\r\n1\n2\n\r\n" if chunked else b"1\n2\n"))
    while int(client.command(f"SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO {table}%'")):
        time.sleep(0.02)
    assert count(client, table) == 0


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("a disk of one's own needs root")
    yield folder
    daemon.stop(folder)
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk):
    port = free_port()
    daemon.start(small_disk, port=port)
    client = connect(port=port)
    client.command("CREATE TABLE default.t (a String CODEC(NONE)) ENGINE = MergeTree ORDER BY tuple()")
    acknowledged = 0
    code = 0
    while not code:
        data = b"".join(os.urandom(500).hex().encode() + b"\n" for _ in range(1000))
        try:
            client.raw_insert("default.t", ["a"], data, fmt="TSV")
            acknowledged += 1000
        except DatabaseError as error:
            code = error.code
    assert code in FULL
    assert acknowledged
    assert count(client, "default.t") == acknowledged


def test_the_sink_waits_for_a_full_disk_and_loses_nothing(small_disk, caplog):
    port = free_port()
    daemon.start(small_disk, port=port)
    client = connect(port=port)
    migrate(client)
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(free.f_bavail * free.f_bsize - (2 << 20)))
    sink = ClickHouseSink(ClickHouseSettings(port=port, flush_rows=5000, queue_blocks=1), StageContext("t", "n"))
    sink.open(None)
    ended = []

    def stream():
        for first in range(0, 30_000, 5000):
            sink.write(batch_of([swap(first + row) for row in range(5000)], first))
        sink.snapshot()
        ended.append("all")

    thread = threading.Thread(target=stream, daemon=True)
    thread.start()
    while "waiting for ClickHouse" not in caplog.text:
        assert thread.is_alive()
        time.sleep(0.05)
    ballast.unlink()
    thread.join()
    assert ended == ["all"]
    assert count(client, "mevflow.raw_swaps") == 30_000
    assert client.query("SELECT count() FROM (SELECT DISTINCT slot FROM mevflow.raw_swaps)").result_rows == [(30_000,)]
    sink.close()


def test_a_read_only_disk_refuses(small_disk):
    """The table's folder becomes read-only under the running server."""
    port = free_port()
    daemon.start(small_disk, port=port)
    client = connect(port=port)
    client.command("CREATE TABLE default.t (a String) ENGINE = MergeTree ORDER BY tuple()")
    client.raw_insert("default.t", ["a"], b"x\n", fmt="TSV")
    folder = client.query("SELECT data_paths[1] FROM system.tables WHERE name = 't'").result_rows[0][0]
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        with pytest.raises(DatabaseError) as caught:
            client.raw_insert("default.t", ["a"], b"y\n", fmt="TSV")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
    assert caught.value.code == 1001
    assert count(client, "default.t") == 1


def post(server, target, body):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", target, body=body)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers
    finally:
        connection.close()
