"""Dashboards into a Grafana over HTTP: only into hosts that are named, by admins, and the token stays nowhere."""

import pytest
import pytest_asyncio

from mevflow.metrics.grafana import SOURCE_UID, TABLES_UID
from tests.control.gateway.conftest import Client
from tests.metrics.test_grafana import TOKEN, api, writes  # noqa: F401

PLAN, APPLY = "/api/provisioning/grafana/plan", "/api/provisioning/grafana/apply"


@pytest_asyncio.fixture(loop_scope="session")
async def admin(make_gateway, authenticator, keys):
    return Client(await make_gateway(authenticator, grafana=("127.0.0.1",)), keys.token())


async def test_what_is_planned_is_put_in_once(admin, api, audited):  # noqa: F811
    url, handler = api
    asked = {"url": url, "token": TOKEN, "prometheus_url": "http://prometheus:9090"}
    planned = (await admin("POST", PLAN, asked)).body["rows"]
    assert [row["action"] for row in planned] == ["create"] * 8
    assert writes(handler) == []
    applied = (await admin("POST", APPLY, asked)).body["rows"]
    assert {row["error"] for row in applied} == {""}
    assert {row["action"] for row in (await admin("POST", PLAN, asked)).body["rows"]} == {"same"}
    record = await audited(lambda r: r.method == "GrafanaApply")
    assert url.encode() in record.request
    assert TOKEN.encode() not in record.request


async def test_panels_in_sql_get_their_data_source_too(admin, api, audited):  # noqa: F811
    url, handler = api
    asked = {"url": url, "token": TOKEN, "clickhouse_url": "https://ch.example.org", "database": "mev"}
    planned = (await admin("POST", PLAN, asked)).body["rows"]
    assert [row["uid"] for row in planned if row["kind"] == "datasource"] == [SOURCE_UID, TABLES_UID]
    assert {row["error"] for row in (await admin("POST", APPLY, asked)).body["rows"]} == {""}
    made = handler.kept[f"/api/datasources/uid/{TABLES_UID}"]["jsonData"]
    assert (made["host"], made["port"], made["defaultDatabase"]) == ("ch.example.org", 8443, "mev")
    none = {"url": url, "token": TOKEN, "clickhouse_url": ""}
    planned = (await admin("POST", PLAN, none)).body["rows"]
    assert [row["uid"] for row in planned if row["kind"] == "datasource"] == [SOURCE_UID]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clickhouse_url", "ch.example.org"),
        ("clickhouse_url", "http://["),
        ("clickhouse_url", "http://me:secret@ch.example.org"),
        ("clickhouse_url", f"http://{'c' * 500}"),
        ("database", "a b"),
        ("prometheus_url", "http://["),
    ],
)
async def test_what_is_no_source_is_refused(admin, api, name, value):  # noqa: F811
    url, handler = api
    asked = {"url": url, "token": TOKEN, "clickhouse_url": "http://ch", name: value}
    reply = await admin("POST", PLAN, asked)
    assert reply.status == 400
    assert name in reply.body["detail"] + str(reply.body.get("fields"))
    assert handler.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example:3000",
        "http://127.0.0.1@elsewhere.example/",
        "ftp://127.0.0.1",
        "http://[::1]:3000",
        "http://127.0.0.2",
        "http://[",
    ],
)
async def test_other_hosts_are_not_spoken_to(admin, url):
    for path in (PLAN, APPLY):
        reply = await admin("POST", path, {"url": url, "token": "t"})
        assert reply.status == 400
        assert "url" in reply.body["detail"] + str(reply.body.get("fields"))


async def test_what_grafana_has_against_it_is_said(admin, api, keys):  # noqa: F811
    url, _ = api
    away = await admin("POST", PLAN, {"url": "http://127.0.0.1:1", "token": "t"})
    assert away.body["reason"] == "GRAFANA_UNREACHABLE"
    refused = (await admin("POST", APPLY, {"url": url, "token": "wrong"})).body
    assert all("refuses the token" in row["error"] for row in refused["rows"])
    assert (await admin("POST", PLAN, {"url": url, "token": "a\nb"})).status == 400
    for role in ("viewer", "operator", "risk"):
        reply = await admin("POST", APPLY, {"url": url, "token": TOKEN}, token=keys.token(role=role))
        assert reply.body["reason"] == "ROLE_TOO_LOW"
