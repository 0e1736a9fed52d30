"""The HTTP interface, through an unmodified clickhouse-connect client and through plain HTTP."""

import http.client
import threading
import time
import urllib.parse
import uuid

import clickhouse_connect
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData


@pytest.fixture
def client(clickhouse_server):
    """As a user makes one: no argument but the address."""
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse_server.port) as client:
        yield client


@pytest.fixture
def database(client):
    name = f"d_{uuid.uuid4().hex[:10]}"
    client.command(f"CREATE DATABASE {name}")
    yield name
    client.command(f"DROP DATABASE {name}")


@pytest.fixture
def table(client, database):
    client.command(f"CREATE TABLE {database}.t (a UInt64, b String, d DateTime('UTC')) ENGINE = MergeTree ORDER BY a")
    return f"{database}.t"


@pytest.fixture
def http_call(clickhouse_server):
    def call(method="GET", target="/", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", clickhouse_server.port, timeout=30)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, target, body=body, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers
        finally:
            connection.close()

    return call


def test_health(http_call, client):
    assert http_call()[:2] == (200, b"Ok.\n")
    assert http_call(target="/ping")[:2] == (200, b"Ok.\n")
    assert http_call(target="/nowhere")[0] == 404
    assert client.ping()


def test_rows_frames_and_arrow_go_in_and_come_out(client, table):
    day = pd.Timestamp("2022-04-06")
    names = ["a", "b", "d"]
    summary = client.insert(table, [[1, "x", day], [2, "y", day]], column_names=names)
    assert summary.written_rows == 2
    assert client.insert_df(table, pd.DataFrame({"a": [3], "b": ["z"], "d": [day]})).written_rows == 1
    arrow = pa.table({"a": pa.array([4], pa.uint64()), "b": ["w"], "d": pa.array([7], pa.uint32())})
    assert client.insert_arrow(table, arrow).written_rows == 1
    result = client.query(f"SELECT a, b FROM {table} ORDER BY a")
    assert result.result_rows == [(1, "x"), (2, "y"), (3, "z"), (4, "w")]
    assert int(result.summary["result_rows"]) == 4
    assert 1 <= int(result.summary["read_rows"]) <= 4  # the engine counts while it reads: the last part may be missing
    assert client.query_df(f"SELECT * FROM {table}").shape == (4, 3)
    assert client.query_arrow(f"SELECT * FROM {table}").num_rows == 4


@pytest.mark.parametrize("codec", [False, "lz4", "zstd", "gzip"])
def test_every_compression_both_ways(clickhouse_server, table, codec):
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse_server.port, compress=codec) as client:
        rows = [[number, f"row {number}"] for number in range(20_000)]
        assert client.insert(table, rows, column_names=["a", "b"]).written_rows == 20_000
        assert len(client.query(f"SELECT a, b FROM {table}").result_rows) == 20_000
        with client.query_rows_stream("SELECT number, toString(number) FROM numbers(500000)") as stream:
            assert sum(1 for _ in stream) == 500_000


def test_parameters_of_both_kinds(client):
    values = {"n": 4, "s": "it's\na 'test' \\ {x}", "l": ["a'b", "c"], "none": None}
    query = "SELECT {n:UInt32} + 1, {s:String}, {l:Array(String)}, {none:Nullable(String)}"
    assert client.query(query, parameters=values).result_rows == [(5, values["s"], values["l"], None)]
    assert client.query("SELECT %(s)s", parameters={"s": values["s"]}).result_rows == [(values["s"],)]
    long = "x" * 20_000
    with_form = clickhouse_connect.get_client(
        host="127.0.0.1",
        port=client.server_host_name or int(client.uri.rsplit(":", 1)[1]),
        form_encode_query_params=True,
    )
    assert with_form.query("SELECT length({s:String})", parameters={"s": long}).result_rows == [(20_000,)]


def test_settings_hold_for_one_statement(client):
    read = "SELECT getSetting('max_block_size')"
    before = client.command(read)
    assert client.command(read, settings={"max_block_size": 1234}) == 1234
    assert client.command(read) == before
    client.command("SET max_block_size = 77")
    assert client.command(read, settings={"max_block_size": 1234}) == 1234
    assert client.command(read) == 77


def test_a_session_keeps_temporary_tables_and_another_does_not_see_them(client, clickhouse_server):
    client.command("CREATE TEMPORARY TABLE mine (a Int8)")
    client.command("INSERT INTO mine VALUES (1), (2)")
    assert client.command("SELECT sum(a) FROM mine") == 3
    with (
        clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse_server.port) as other,
        pytest.raises(DatabaseError) as caught,
    ):
        other.query("SELECT * FROM mine")
    assert caught.value.code == 60


def test_a_session_expires(http_call):
    name = uuid.uuid4().hex
    create = "/?session_id=" + name + "&session_timeout=0"
    assert http_call("POST", create, "CREATE TEMPORARY TABLE gone (a Int8)")[0] == 200
    status, body, headers = http_call("POST", f"/?session_id={name}&session_check=1", "SELECT 1")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "372")
    assert b"SESSION_NOT_FOUND" in body


def test_a_session_serves_one_request_at_a_time(http_call):
    name = uuid.uuid4().hex
    slow = threading.Thread(target=http_call, args=("POST", f"/?session_id={name}", "SELECT sleep(1)"))
    slow.start()
    time.sleep(0.3)
    status, _, headers = http_call("POST", f"/?session_id={name}", "SELECT 1")
    slow.join()
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "373")
    assert http_call("POST", f"/?session_id={name}", "SELECT 1")[1] == b"1\n"


def test_the_database_parameter(client, database, table, http_call):
    assert http_call("POST", f"/?database={database}", "SELECT count() FROM t")[1] == b"0\n"
    assert http_call("POST", "/", "SELECT count() FROM t", X_ClickHouse_Database=database)[1] == b"0\n"
    assert http_call("POST", "/?database=nope", "SELECT 1")[2]["X-ClickHouse-Exception-Code"] == "81"


@pytest.mark.parametrize(
    ("query", "status", "code", "name"),
    [
        ("SELECT * FROM nope", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT nope", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1 FORMAT Nope", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 500, 358, "INTO_OUTFILE_NOT_ALLOWED"),
    ],
)
def test_errors_have_clickhouses_codes(http_call, query, status, code, name):
    found, body, headers = http_call("POST", "/", query)
    assert (found, headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert f"({name}) (version ".encode() in body


def test_unknown_settings_and_names_that_are_none(http_call):
    assert http_call("POST", "/?nope_nope=1", "SELECT 1")[2]["X-ClickHouse-Exception-Code"] == "115"
    bad = urllib.parse.quote("max_threads = 1, x")
    assert http_call("POST", f"/?{bad}=1", "SELECT 1")[2]["X-ClickHouse-Exception-Code"] == "36"


def test_get_only_reads(http_call, table):
    assert http_call(target="/?query=SELECT%201")[1] == b"1\n"
    _, body, headers = http_call(target=f"/?query=DROP%20TABLE%20{table}")
    assert headers["X-ClickHouse-Exception-Code"] == "164"
    assert b"method GET implies readonly" in body
    hidden = urllib.parse.quote(f"WITH 1 AS x INSERT INTO {table} (a) SELECT x")
    assert http_call(target=f"/?query={hidden}")[0] != 200


def test_an_error_in_the_middle_of_a_stream_reaches_the_client(client):
    query = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000)"
    with pytest.raises(StreamFailureError, match="395"), client.query_rows_stream(query) as stream:
        for _ in stream:
            pass


def test_a_reader_that_goes_away_leaves_its_session_usable(clickhouse_server, http_call):
    name = uuid.uuid4().hex
    connection = http.client.HTTPConnection("127.0.0.1", clickhouse_server.port)
    connection.request("POST", f"/?session_id={name}", "SELECT number FROM numbers(100000000) FORMAT CSV")
    connection.getresponse().read(100_000)
    connection.close()
    deadline = time.monotonic() + 20
    while http_call("POST", f"/?session_id={name}", "SELECT 1")[1] != b"1\n":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running = http_call("POST", "/", "SELECT count() FROM system.processes WHERE query LIKE '%100000000%'")[1]
    assert running == b"1\n", "only the question itself"


def test_an_error_in_the_middle_of_a_stream_breaks_plain_http(http_call):
    with pytest.raises(http.client.IncompleteRead) as caught:
        http_call("POST", "/", "SELECT number, throwIf(number = 3000000) FROM numbers(10000000) FORMAT CSV")
    assert b"Code: 395. DB::Exception" in caught.value.partial[-2000:]


def test_a_refused_insert_writes_nothing(client, table):
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert(table, ["a", "b"], b"1,one\nxx,two\n", fmt="CSV")
    assert caught.value.code == 27
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_data_may_follow_the_statement_or_stand_alone(http_call, table):
    insert = urllib.parse.quote(f"INSERT INTO {table} (a, b) FORMAT CSV")
    assert http_call("POST", f"/?query={insert}", "1,one\n")[0] == 200
    assert http_call("POST", "/", f"INSERT INTO {table} (a, b) FORMAT CSV\n2,two\n")[0] == 200
    assert http_call("POST", "/", f"INSERT INTO {table} (a, b) VALUES (1 + 2, upper('three'))")[0] == 200
    assert http_call("POST", f"/?query={insert}", iter([b"4,fo", b"ur\n5,fi", b"ve\n"]))[0] == 200
    _, body, headers = http_call("POST", "/", f"SELECT a, b FROM {table} ORDER BY a FORMAT CSV")
    assert body == b'1,"one"\n2,"two"\n3,"THREE"\n4,"four"\n5,"five"\n'
    assert headers["X-ClickHouse-Format"] == "CSV"


def test_an_insert_may_select_from_its_data(http_call, table):
    insert = f"INSERT INTO {table} (a, b) SELECT x + 1, upper(y) FROM input('x UInt8, y String') FORMAT CSV"
    assert http_call("POST", f"/?query={urllib.parse.quote(insert)}", "1,one\n2,two\n")[0] == 200
    assert http_call("POST", "/", insert + "\n3,three\n")[0] == 200
    body = http_call("POST", "/", f"SELECT a, b FROM {table} ORDER BY a FORMAT CSV")[1]
    assert body == b'2,"ONE"\n3,"TWO"\n4,"THREE"\n'


def test_formats_with_headers_are_whole(http_call):
    for form, start in (("JSON", b"{"), ("CSVWithNames", b'"number"'), ("Parquet", b"PAR1")):
        body = http_call("POST", "/", f"SELECT number FROM numbers(300000) FORMAT {form}")[1]
        assert body.startswith(start)
        assert body.count(b'"number"') <= 1 or form == "JSON"


def test_materialized_views_are_filled(client, database, table):
    client.command(f"CREATE TABLE {database}.sums (k UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY k")
    client.command(
        f"CREATE MATERIALIZED VIEW {database}.fill TO {database}.sums AS "
        f"SELECT toUInt8(a % 2) AS k, count() AS n FROM {table} GROUP BY k"
    )
    client.insert(table, [[number, ""] for number in range(10)], column_names=["a", "b"])
    assert client.query(f"SELECT k, n FROM {database}.sums FINAL ORDER BY k").result_rows == [(0, 5), (1, 5)]


def test_external_data(client):
    data = ExternalData(file_name="ext.csv", data=b"1\n2\n", fmt="CSV", structure="a Int32")
    assert client.query("SELECT sum(a) FROM ext", external_data=data).result_rows == [(3,)]


def test_readers_see_whole_blocks_while_writers_write(clickhouse_server, table):
    """Ten inserts of 1,000 rows by each of two writers: a reader only ever sees multiples of 1,000."""
    failures = []

    def write():
        try:
            with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse_server.port) as client:
                for _ in range(10):
                    client.insert(table, [[number, "x"] for number in range(1000)], column_names=["a", "b"])
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    counts = []
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse_server.port) as reader:
        while any(writer.is_alive() for writer in writers):
            counts.append(reader.command(f"SELECT count() FROM {table}"))
        counts.append(reader.command(f"SELECT count() FROM {table}"))
    assert not failures
    assert counts == sorted(counts)
    assert counts[-1] == 20_000
    assert all(count % 1000 == 0 for count in counts)


def test_web_pages_from_elsewhere_are_refused(http_call):
    assert http_call("POST", "/", "SELECT 1", Origin="https://evil.example")[0] == 403
    assert http_call("POST", "/", "SELECT 1", Host="evil.example")[0] == 403
    assert http_call("GET", "/?query=SELECT%201", Sec_Fetch_Site="cross-site")[0] == 403
    assert http_call("POST", "/", "SELECT 1", Origin="http://localhost:3000")[0] == 200


def test_a_client_that_goes_away_in_the_middle_of_its_insert_writes_nothing(clickhouse_server, client, table):
    connection = http.client.HTTPConnection("127.0.0.1", clickhouse_server.port)
    insert = urllib.parse.quote(f"INSERT INTO {table} (a, b) FORMAT CSV")
    connection.putrequest("POST", f"/?query={insert}")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"1,one\n" * 1000)
    connection.close()
    time.sleep(0.5)
    assert client.command(f"SELECT count() FROM {table}") == 0
    assert client.command("SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'") == 0
