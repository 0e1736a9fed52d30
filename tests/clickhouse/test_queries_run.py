"""Running queries: their ids reach the engine; a statement's own database and settings stay its own."""

import http.client
import json
import select
import socket
import threading
import time
import urllib.parse
import uuid

import pytest

SLOW = "SELECT sum(sleepEachRow(0.05)) FROM numbers(2000) SETTINGS max_block_size = 1"


@pytest.fixture
def ask(clickhouse_server):
    def ask(query, method="POST", headers=None, **params):
        connection = http.client.HTTPConnection("127.0.0.1", clickhouse_server.port, timeout=120)
        try:
            connection.request(method, "/?" + urllib.parse.urlencode(params), query.encode(), headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers
        finally:
            connection.close()

    return ask


@pytest.fixture
def start(ask):
    """Start a slow query under an id; gives the thread and what it was answered."""
    threads = []

    def start(name, query=SLOW, **params):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(ask(query, query_id=name, **params)))
        thread.start()
        threads.append((name, thread))
        wanted = f"SELECT count() FROM system.processes WHERE query_id = '{name}'"
        while thread.is_alive() and ask(wanted)[1] != b"1\n":
            time.sleep(0.02)
        return thread, answers

    yield start
    for name, thread in threads:
        ask(f"KILL QUERY WHERE query_id = '{name}' SYNC")
        thread.join()


def code(answer):
    return answer[2]["X-ClickHouse-Exception-Code"]


@pytest.mark.parametrize("session", [False, True])
def test_a_query_is_seen_and_killed_by_its_id(ask, start, session):
    name = uuid.uuid4().hex
    thread, answers = start(name, **({"session_id": uuid.uuid4().hex} if session else {}))
    found = ask(f"SELECT query_id FROM system.processes AS p WHERE p.query_id = '{name}'")[1]
    assert found.decode().strip() == name
    killed = ask(f"KILL QUERY WHERE `query_id` = '{name}' AND user = 'default' SYNC")
    assert (killed[0], killed[1].count(b"\n")) == (200, 1)
    thread.join()
    assert code(answers[0]) == "394"
    assert answers[0][2]["X-ClickHouse-Query-Id"] is None or answers[0][2]["X-ClickHouse-Query-Id"] == name


def test_a_kill_of_another_id_kills_nothing(ask, start):
    thread, _ = start(uuid.uuid4().hex)
    assert ask("KILL QUERY WHERE query_id = 'another' SYNC")[1] == b""
    assert thread.is_alive()


def test_an_id_runs_once_at_a_time(ask, start):
    name = uuid.uuid4().hex
    thread, answers = start(name)
    again = ask("SELECT 1", query_id=name)
    assert (again[0], code(again)) == (500, "216")
    assert b"is already running" in again[1]
    replaced = ask("SELECT 1", query_id=name, replace_running_query=1)
    assert replaced[:2] == (200, b"1\n")
    thread.join()
    assert code(answers[0]) == "394"
    for _ in range(5):
        assert ask("SELECT 2", query_id=name)[1] == b"2\n"


@pytest.mark.parametrize("patience", ["x", "nan", "-1", "1e300", "9" * 400])
def test_a_patience_that_is_no_time_is_the_callers_error(ask, patience):
    answer = ask("SELECT 1", query_id="p", replace_running_query=1, replace_running_query_max_wait_ms=patience)
    assert (answer[0], code(answer)) == (400, "36")


def test_an_id_of_one_query_is_not_the_next_ones(ask):
    session = uuid.uuid4().hex
    ask("SELECT 1", session_id=session, query_id="first")
    shown = ask("SELECT query_id FROM system.processes", session_id=session)[1]
    assert b"first" not in shown
    assert ask("SELECT getSetting('log_comment')", session_id=session)[1] == b"\n"


def test_the_callers_log_comment_is_kept(ask):
    query = "SELECT Settings['log_comment'] FROM system.processes WHERE query_id = 'mine'"
    assert ask(query, log_comment="hello", query_id="mine")[1].startswith(b"hello")


def test_the_database_of_one_statement_is_not_the_sessions(ask):
    session, name = uuid.uuid4().hex, f"d_{uuid.uuid4().hex[:8]}"
    ask(f"CREATE DATABASE {name}")
    now = "SELECT currentDatabase()"
    assert ask(now, session_id=session, database=name)[1].decode().strip() == name
    assert ask(now, session_id=session)[1] == b"default\n"
    ask(f"USE {name}", session_id=session)
    assert ask(now, session_id=session, database="system")[1] == b"system\n"
    assert ask(now, session_id=session)[1].decode().strip() == name
    assert ask("USE system", session_id=session, database=name)[0] == 200
    assert ask(now, session_id=session)[1] == b"system\n"
    assert ask(f"DROP DATABASE {name}", session_id=session, database=name)[0] == 200
    assert ask(now, session_id=session)[1] == b"system\n"


@pytest.mark.parametrize(
    "how", [{"headers": {"X-ClickHouse-Format": "JSONEachRow"}}, {"default_format": "JSONEachRow"}]
)
def test_only_a_result_has_a_format(ask, how):
    table = f"default.t_{uuid.uuid4().hex[:8]}"
    for statement in (
        f"CREATE TABLE {table} (a Int8) ENGINE = Memory",
        f"INSERT INTO {table} VALUES (1)",
        f"INSERT INTO {table} SELECT 2",
        f"ALTER TABLE {table} ADD COLUMN b Int8",
        f"TRUNCATE TABLE {table}",
        f"DROP TABLE {table}",
    ):
        status, body, headers = ask(statement, **how)
        assert (status, body, headers["X-ClickHouse-Format"]) == (200, b"", None), statement
    status, body, headers = ask("SELECT 1 AS a", **how)
    assert (json.loads(body), headers["X-ClickHouse-Format"]) == ({"a": 1}, "JSONEachRow")
    status, body, headers = ask("SELECT 1 AS a WHERE 0", **how)
    assert (body, headers["X-ClickHouse-Format"]) == (b"", "JSONEachRow")
    status, body, headers = ask("SELECT 1 AS format, 2 AS settings", **how)
    assert json.loads(body) == {"format": 1, "settings": 2}


def test_an_error_in_mid_stream_can_be_read_before_the_connection_ends(clickhouse_server):
    """A client that drops what it has not read when an answer ends broken still sees the exception."""
    query = b"SELECT number, throwIf(number = 3000000) FROM numbers(10000000) FORMAT CSV"
    with socket.create_connection(("127.0.0.1", clickhouse_server.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(query), query))
        taken = bytearray()
        while not taken.endswith(b"__exception__\r\n\r\n"):
            piece = connection.recv(1 << 20)
            assert piece, "the end came before the exception"
            taken += piece
        assert not select.select([connection], [], [], 0)[0], "the connection is still open"
        assert connection.recv(100) == b""
    tag = bytes(taken[:2000]).lower().partition(b"x-clickhouse-exception-tag: ")[2].partition(b"\r\n")[0]
    assert b"__exception__\r\n" + tag in taken
    assert b"Code: 395. DB::Exception" in taken[-3000:]
    assert not taken.endswith(b"0\r\n\r\n")


def test_an_answer_that_takes_its_time_begins_before_it_ends(ask):
    query = "SELECT sleepEachRow(0.05), throwIf(number = 20) FROM numbers(40)"
    assert ask(query, max_block_size=1, wait_end_of_query=1)[0] == 500
    for more in ({}, {"wait_end_of_query": 0}):
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(query, max_block_size=1, **more)
        assert b"Code: 395" in caught.value.partial


def test_native_of_a_protocol_version(ask):
    """Blocks begin with their BlockInfo, and a DateTime names its zone."""
    info, zone = b"\x01\x00\x02\xff\xff\xff\xff\x00", b"\x01d\x16DateTime('Asia/Tokyo')"
    query = "SELECT number AS n, toDateTime(number, 'Asia/Tokyo') AS d, now() AS e FROM numbers(5) FORMAT Native"
    plain = ask(query, max_block_size=2)[1]
    assert info not in plain
    assert zone not in plain
    for wait in (0, 1):
        blocks = ask(query, max_block_size=2, client_protocol_version=54405, wait_end_of_query=wait)[1]
        assert (blocks.count(info), blocks.count(zone), blocks.count(b"\x01e\x08DateTime")) == (3, 3, 3)
        older = ask(query, max_block_size=2, client_protocol_version=52000, wait_end_of_query=wait)[1]
        assert (older.count(info), older.count(zone)) == (3, 0)
    assert ask("SHOW DATABASES", default_format="Native", client_protocol_version=54405)[1].startswith(info)
    assert code(ask("SELECT 1 FORMAT Native", client_protocol_version=54460)) == "48"


def test_data_that_looks_like_a_column_is_not_taken_for_one(ask):
    query = "SELECT toDateTime(0, 'Asia/Tokyo') AS d, '\\x01d\\x08DateTime' AS s FORMAT Native"
    assert ask(query)[0] == 200
    assert code(ask(query, client_protocol_version=54405)) == "48"


def test_running_queries_are_listed_in_the_protocol_version_that_drivers_ask_for(clickhouse_client):
    found = clickhouse_client.query("SELECT query_id, query FROM system.processes\n WHERE query ILIKE '%processes%'")
    assert len(found.result_rows) == 1


def test_an_answer_grouped_by_a_column_named_table_is_native(clickhouse_client):
    found = clickhouse_client.query(
        "SELECT table, count() FROM system.columns WHERE database = 'system' GROUP BY table"
    )
    assert ("one", 1) in found.result_rows


def test_a_rewritten_statement_is_answered_in_the_clients_own_protocol(clickhouse_client):
    """The clauses of a statement that asks for query ids stand elsewhere once it is rewritten."""
    text = "SELECT count() FROM (SELECT query_id, query FROM system.processes) WHERE query_id = {name:String}"
    assert clickhouse_client.query(text, {"name": uuid.uuid4().hex}).result_rows == [(0,)]
