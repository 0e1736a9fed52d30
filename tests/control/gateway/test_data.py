"""Queries and datasets over HTTP, on the real engine."""

import asyncio
import contextlib
import io
import json
import threading
import urllib.parse

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from mevflow.clickhouse import queries as templates
from mevflow.control.commands.turns import Turns
from mevflow.control.gateway.door import leash
from mevflow.control.gateway.endpoints import endpoint
from mevflow.control.gateway.sql import queries
from mevflow.control.gateway.tables import datasets
from mevflow.control.gateway.tables.reader import ClickHouseReader, ReadBounds
from mevflow.control.refusal import Refused
from mevflow.flows.config import ClickHouseConfig
from tests.control.gateway.conftest import Client

QUERY = "/api/clickhouse/query"


@pytest.fixture
def rows(clickhouse_client, database):
    """Three pools, a second apart."""
    clickhouse_client.command(
        f"INSERT INTO {database}.dex_pools (timestamp, chain, pool) "
        "SELECT toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + number, 'solana', concat('p', toString(number)) "
        "FROM numbers(3)"
    )
    yield
    clickhouse_client.command(f"TRUNCATE TABLE {database}.dex_pools")


async def test_a_query_with_parameters(ask, rows, audited):
    text = (
        "SELECT toString(pool) AS p, 18446744073709551615 AS big, {n:UInt8} FROM dex_pools WHERE pool = {pool:String}"
    )
    reply = await ask("POST", QUERY, {"query": text, "parameters": {"pool": "p1", "n": 7}})
    assert reply.body["columns"][0] == {"name": "p", "type": "String"}
    assert reply.body["rows"] == [["p1", "18446744073709551615", 7]]
    assert reply.body["truncated"] is False
    evil = "p1' OR 1 = 1 --\n\t\\"
    reply = await ask("POST", QUERY, {"query": "SELECT {a:String} AS a", "parameters": {"a": evil}})
    assert reply.body["rows"] == [[evil]]
    record = await audited(lambda r: r.method == "Query")
    assert b"dex_pools" in record.request
    assert b"OR 1" not in record.request


async def test_templates(ask, rows):
    reply = await ask("POST", QUERY, {"template": "rows_by_table"})
    assert reply.status == 200, reply.body
    assert (await ask("POST", QUERY, {"template": "none"})).body["reason"] == "NO_SUCH_TEMPLATE"
    assert (await ask("POST", QUERY, {"template": "a", "query": "SELECT 1"})).status == 400


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"query": "DROP TABLE dex_pools"}, 403, "NOT_A_READ"),
        ({"query": "SELECT file('/etc/passwd')"}, 403, "FUNCTION_REFUSED"),
        ({"query": "SELECT * FROM url('http://127.0.0.1:1/')"}, 403, "FUNCTION_REFUSED"),
        ({"query": "SELECT * FROM system.users"}, 403, "TABLE_REFUSED"),
        ({"query": "SELECT 1; SELECT 2"}, 403, "ONE_STATEMENT"),
        ({"query": "SELECT nothing"}, 422, "QUERY_FAILED"),
        ({"query": "SELECT {a:UInt8}", "parameters": {"a": "x"}}, 422, "QUERY_FAILED"),
        ({"query": "SELECT {a:UInt8}"}, 422, "QUERY_FAILED"),
        ({"query": "SELECT 1", "parameters": {"a; b": 1}}, 400, "INVALID_ARGUMENT"),
        ({"query": "SELECT 1", "settings": {"readonly": 0}}, 400, "MALFORMED_JSON"),
        ({"query": ""}, 400, "INVALID_ARGUMENT"),
        ({"query": "SELECT repeat('a', 900000) FROM numbers(1000)"}, 429, "QUERY_TOO_LARGE"),
        ({"query": "SELECT 1", "parameters": {"a": [1]}}, 400, "MALFORMED_JSON"),
    ],
)
async def test_what_is_refused_and_audited(ask, audited, body, status, reason):
    reply = await ask("POST", QUERY, body)
    assert (reply.status, reply.body["reason"]) == (status, reason)
    record = await audited(lambda r: r.method == "Query" and r.status != "OK")
    assert record.detail.startswith(reason)
    assert "version 2" not in reply.body["detail"]


async def test_rows_are_bounded(ask):
    reply = await ask("POST", QUERY, {"query": "SELECT number FROM numbers(100000)"})
    assert (len(reply.body["rows"]), reply.body["truncated"]) == (10_000, True)


async def test_time_and_number_are_bounded(clickhouse_server, database):
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    reader = ClickHouseReader(where, ReadBounds(seconds=0.5, at_once=1, patience_s=0.1))
    slow = "SELECT count() FROM numbers(100000000000) WHERE cityHash64(number) = 1"
    first = asyncio.create_task(reader.read(slow, "CSV", {}))
    await asyncio.sleep(0.2)
    with pytest.raises(Refused, match="too many queries"):
        await reader.read("SELECT 1", "CSV", {})
    with pytest.raises(Refused) as refused:
        await first
    assert refused.value.reason == "QUERY_TOO_LARGE"
    assert (await reader.read("SELECT 1", "CSV", {})) == b"1\n"
    reader.close()


async def test_a_turn_is_taken_until_clickhouse_is_done_with_the_query(clickhouse_server, clickhouse_client, database):
    """What one call on one block does cannot be interrupted: its caller is answered, and may not start another."""
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    reader = ClickHouseReader(where, ReadBounds(seconds=0.2, at_once=1, patience_s=0.1))
    stubborn = "SELECT arrayLevenshteinDistance(range(45000), range(1, 45001)) AS stubborn"
    with pytest.raises(Refused) as refused:
        await reader.read(stubborn, "CSV", {}, "ann")
    assert refused.value.reason == "QUERY_TOO_LARGE"
    listed = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT array%AS stubborn'"
    reasons = set()
    while True:
        try:
            assert (await reader.read("SELECT 1", "CSV", {}, "bob")) == b"1\n"
            break
        except Refused as error:
            reasons.add(error.reason)
    assert reasons == {"TOO_MANY_QUERIES"}
    assert (await asyncio.to_thread(clickhouse_client.command, listed)) == 0
    reader.close()


async def test_a_caller_who_is_gone_leaves_no_query_behind(clickhouse_server, clickhouse_client, database):
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    reader = ClickHouseReader(where, ReadBounds(seconds=600, rows=10**9, at_once=1, patience_s=60.0))
    listed = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT count() AS forsaken%'"
    asked = asyncio.create_task(
        reader.read("SELECT count() AS forsaken FROM numbers(2000000000) WHERE sipHash64(number) = 1", "CSV", {}, "ann")
    )
    while (await asyncio.to_thread(clickhouse_client.command, listed)) == 0:
        assert not asked.done()
    asked.cancel()
    assert (await reader.read("SELECT 1", "CSV", {}, "bob")) == b"1\n"
    assert (await asyncio.to_thread(clickhouse_client.command, listed)) == 0
    reader.close()


async def test_one_caller_does_not_take_all_turns():
    turns = Turns("queries", 3, 2)
    await turns.take("ann", 1.0)
    await turns.take("ann", 1.0)
    with pytest.raises(Refused, match="of this caller"):
        await turns.take("ann", 0.01)
    await turns.take("bob", 1.0)
    with pytest.raises(Refused):
        await turns.take("eve", 0.01)
    turns.give_back("ann")
    await turns.take("eve", 1.0)


@pytest.mark.parametrize("name", templates.names())
async def test_every_template_passes_as_a_callers_statement_would(ask, name):
    assert (await ask("POST", QUERY, {"template": name})).status == 200


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO dex_pools (pool) VALUES ('x')", "readonly"),
        ("CREATE TABLE x (a Int8) ENGINE = Memory", "readonly"),
        ("DROP TABLE dex_pools", "readonly"),
        ("SET readonly = 0", "readonly"),
        ("SELECT 1 SETTINGS max_result_rows = 0", "readonly"),
        ("SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", "privileges"),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "readonly"),
        ("SELECT * FROM executable('id', 'TSV', 'a String')", "readonly"),
    ],
)
async def test_the_engine_itself_holds_readonly(clickhouse_server, database, statement, said):
    """Without our own look at the statement."""
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    reader = ClickHouseReader(where)
    with pytest.raises(Refused, match=said):
        await reader.read(statement, "CSV", {})
    reader.close()


async def test_no_clickhouse(make_gateway, authenticator, keys):
    nowhere = ClickHouseConfig(port=1)
    call = Client(await make_gateway(authenticator, clickhouse=nowhere), keys.token())
    reply = await call("POST", QUERY, {"query": "SELECT 1"})
    assert (reply.status, reply.body["reason"]) == (503, "CLICKHOUSE_UNREACHABLE")
    assert (await call("GET", "/api/provisioning/health", token="")).body["clickhouse"] is False
    assert (await call("GET", "/api/control/status")).status == 200


async def test_schema(ask):
    reply = (await ask("GET", "/api/datasets/schema")).body
    assert {"raw_swaps", "dex_pools", "pools"} <= {each["name"] for each in reply["datasets"]}
    one = (await ask("GET", "/api/datasets/schema?dataset=raw_swaps")).body["datasets"]
    kinds = {column["name"]: (column["type"], column["computed"]) for column in one[0]["columns"]}
    assert kinds["amount_in"] == ("UInt128", False)
    assert kinds["signature"][1] is True
    assert "_signer" not in kinds
    assert (await ask("GET", "/api/datasets/schema?dataset=x")).body["reason"] == "NO_SUCH_DATASET"


async def test_exports(ask, rows):
    where = "/api/datasets/export?dataset=dex_pools&columns=timestamp,pool&from=2026-01-01T00:00:01Z"
    parquet = await ask("GET", f"{where}&format=parquet")
    assert parquet.headers["content-disposition"] == 'attachment; filename="dex_pools.parquet"'
    table = pyarrow.parquet.read_table(io.BytesIO(parquet.raw))
    arrow = pa.ipc.open_stream((await ask("GET", f"{where}&format=arrow")).raw).read_all()
    csv = pyarrow.csv.read_csv(io.BytesIO((await ask("GET", f"{where}&format=csv")).raw))
    for found in (table, arrow, csv):
        assert sorted(_texts(found["pool"])) == ["p1", "p2"]
    bounded = await ask("GET", f"{where}&to=2026-01-01 00:00:02&format=csv".replace(" ", "%20"))
    assert bounded.raw.count(b"\n") == 2
    assert (await ask("GET", f"{where}&limit=1&format=csv")).raw.count(b"\n") == 2


def _texts(column):
    return [each.decode() if isinstance(each, bytes) else each for each in column.to_pylist()]


@pytest.mark.parametrize(
    "query",
    [
        "dataset=none",
        "dataset=dex_pools&format=xml",
        "dataset=dex_pools&columns=pool,1",
        "dataset=dex_pools&columns=`pool`%20FROM%20system.users%20--",
        "dataset=dex_pools&limit=0",
        "dataset=dex_pools&limit=99999999999",
        "dataset=dex_pools&limit=1%20UNION%20ALL%20SELECT%201",
        "dataset=dex_pools&from=yesterday",
        "dataset=dex_pools&from='%20OR%201",
        "dataset=dex_pools&where=1",
        "",
    ],
)
async def test_wrong_exports_are_refused_and_audited(ask, audited, query):
    reply = await ask("GET", f"/api/datasets/export?{query}")
    assert reply.status in (400, 404)
    assert (await audited(lambda r: r.method == "DatasetExport")).status != "OK"


async def test_a_client_that_leaves_frees_its_turn(clickhouse_server, database):
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database=database)
    reader, bounds = ClickHouseReader(where), ReadBounds(rows=10**9, answer_bytes=1 << 40, at_once=1, patience_s=5.0)
    for _ in range(3):
        pieces = reader.stream("SELECT number FROM numbers(100000000)", "CSV", {}, bounds)
        assert (await anext(pieces)).startswith(b"0\n1\n")
        await pieces.aclose()
    reader.close()


def test_values_are_written_as_clickhouse_reads_them():
    assert [queries._text(value) for value in (True, 1, 1.5, "a\tb\\")] == ["1", "1", "1.5", "a\\tb\\\\"]


_LONG = (
    "SELECT count() AS {mark} FROM (SELECT arrayJoin(range(60000)) AS a) AS x, "
    "(SELECT arrayJoin(range(60000)) AS b) AS y WHERE sipHash64(a, b) = 1"
)


async def _listed(clickhouse_client, mark):
    listed = f"SELECT count() FROM system.processes WHERE query LIKE 'SELECT count() AS {mark}%'"
    return await asyncio.to_thread(clickhouse_client.command, listed)


async def test_a_query_is_cancelled_by_its_own_caller_alone(ask, keys, clickhouse_client):
    asked = asyncio.create_task(ask("POST", QUERY, {"query": _LONG.format(mark="dropped"), "id": "q1"}))
    while not await _listed(clickhouse_client, "dropped"):
        assert not asked.done()
    cancel = "/api/clickhouse/cancel"
    assert (await ask("POST", cancel, {"id": "q1"}, token=keys.token(sub="bob"))).body == {"cancelled": False}
    assert (await ask("POST", QUERY, {"query": "SELECT 1", "id": "q1"})).body["reason"] == "ID_IN_USE"
    assert (await ask("POST", cancel, {"id": "q1"})).body == {"cancelled": True}
    assert (await asked).body["reason"] == "QUERY_CANCELLED"
    while await _listed(clickhouse_client, "dropped"):
        await asyncio.sleep(0.02)
    assert (await ask("POST", cancel, {"id": "q1"})).body == {"cancelled": False}
    assert (await ask("POST", cancel, {"x": 1})).status == 400


async def test_a_query_ends_when_its_caller_hangs_up(ask, clickhouse_client):
    url = urllib.parse.urlsplit(ask.address)
    body = json.dumps({"query": _LONG.format(mark="hungup")}).encode()
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(
        f"POST {QUERY} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ask.token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await writer.drain()
    while not await _listed(clickhouse_client, "hungup"):
        await asyncio.sleep(0.02)
    writer.close()
    async with asyncio.timeout(8):  # its own bound would come after ten seconds
        while await _listed(clickhouse_client, "hungup"):
            await asyncio.sleep(0.02)


async def test_what_a_statement_may_name(ask, keys):
    schema = (await ask("GET", "/api/clickhouse/schema", token=keys.token(role="viewer"))).body
    tables = {each["name"]: each for each in schema["databases"][0]["tables"]}
    assert {"name": "pool", "type": "LowCardinality(String)"}.items() <= tables["raw_swaps"]["columns"][6].items()
    assert "mev_decisions" in tables
    assert not any(name.startswith(".") for name in tables)
    assert schema["databases"][1]["name"] == "system"
    assert "users" not in {each["name"] for each in schema["databases"][1]["tables"]}
    names = {each["name"]: each["aggregate"] for each in schema["functions"]}
    assert (names["sum"], names["toStartOfHour"]) == (True, False)
    assert "file" not in names
    for name in ("raw_swaps", "mev_decisions"):  # what is offered passes
        assert (await ask("POST", QUERY, {"query": f"SELECT count() FROM {name}"})).status == 200
    assert (await ask("GET", "/api/clickhouse/schema", token="")).status == 401


async def test_how_far_a_query_is(ask, keys):
    slow = "SELECT sum(cityHash64(number, number)) FROM numbers(100000000000)"
    asked = asyncio.ensure_future(ask("POST", QUERY, {"query": slow, "id": "q7"}))
    path = "/api/clickhouse/progress?id=q7"
    async with asyncio.timeout(120):
        while not (found := (await ask("GET", path)).body).get("rows_read"):
            assert not asked.done()
            await asyncio.sleep(0.05)
    assert found["running"] is True
    assert found["rows_total"] == 100_000_000_000
    assert found["elapsed_s"] > 0
    assert (await ask("GET", path, token=keys.token(sub="bob"))).body == {"running": False}
    assert (await ask("POST", "/api/clickhouse/cancel", {"id": "q7"})).body == {"cancelled": True}
    assert (await asked).body["reason"] == "QUERY_CANCELLED"
    assert (await ask("GET", path)).body == {"running": False}
    assert (await ask("GET", "/api/clickhouse/progress")).status == 400


@pytest.mark.parametrize(
    ("text", "place"),
    [("SELECT x x x", "position 12 (x)"), ("SELECT 1\nFROM t t t", "position 19 (t) (line 2, col 10)")],
)
async def test_a_fault_of_syntax_is_told_where_it_is(ask, text, place):
    assert place in (await ask("POST", QUERY, {"query": text})).body["detail"]


@pytest.mark.parametrize("end", ["key", "time"])
async def test_an_export_ends_with_its_callers_right_to_it_read_or_not(ask, keys, clickhouse_client, end, monkeypatch):
    """Whoever does not read holds a turn that others wait for."""
    monkeypatch.setattr(leash, "RECHECK_S", 0.05)
    monkeypatch.setattr(leash, "_GRACE_S", 0.1)
    if end == "time":
        monkeypatch.setattr(datasets, "_TAKEN_S", 0.2)
    clickhouse_client.command(
        "CREATE OR REPLACE VIEW gateway.endless AS SELECT number, repeat('x', 100) AS x FROM numbers(4000000)"
    )
    keys.make("two")
    reader, writer = await asyncio.open_connection(*ask.address.removeprefix("http://").split(":"))
    path, token = "/api/datasets/export?dataset=endless&format=csv", keys.token()
    writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"200"
    if end == "key":
        (keys.folder / "one.pem").unlink()
    reasons = set()
    while (again := await ask("GET", f"{path}&limit=1", token=keys.token("two"))).status != 200:
        reasons.add(again.body["reason"])
    assert reasons <= {"TOO_MANY_QUERIES"}
    rest = 0
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 20):
            rest += len(piece)
    assert rest < 300_000_000
    writer.close()
    clickhouse_client.command("DROP VIEW gateway.endless")


async def test_one_caller_does_not_take_all_threads_of_endpoints(monkeypatch):
    monkeypatch.setattr(endpoint, "_WAIT_S", 0.1)
    go = threading.Event()
    slow = endpoint.HttpEndpoint("GET", "/x", "Topics", "", endpoint.Nothing, lambda _around, _asked: go.wait())
    quick = endpoint.HttpEndpoint("GET", "/y", "Topics", "", endpoint.Nothing, lambda _around, _asked: "here")
    plain, nothing = endpoint.Endpoints(None, None), endpoint.Nothing()
    held = [asyncio.create_task(plain._run(slow, None, nothing, "ann")) for _ in range(4)]
    held += [asyncio.create_task(plain._run(slow, None, nothing, "eve"))]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await plain._run(quick, None, nothing, "ann")
    assert refused.value.reason == "TOO_MANY_CALLS"
    assert await plain._run(quick, None, nothing, "bob") == "here"
    assert await asyncio.to_thread(str, 1) == "1"  # what the control plane's own calls run in
    go.set()
    await asyncio.gather(*held)
    plain.close()
