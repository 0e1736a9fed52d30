"""Calls over HTTP: the same handlers, answers and refusals as over gRPC."""

import asyncio
import json

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.control.auth.identity import LocalAuthenticator
from tests.control.auth.conftest import THREADS_DRAW
from tests.control.gateway.conftest import Client


async def test_status_history_and_topologies(call, service):
    reply = await call("GET", "/api/control/status")
    assert (reply.status, reply.body["service_id"], reply.body["ready"]) == (200, service.service_id, True)
    assert (await call("GET", "/api/control/history?limit=3")).body.keys() == {"commands"}
    names = [each["name"] for each in (await call("GET", "/api/topologies")).body["topologies"]]
    assert "d-0" in names
    assert (await call("GET", "/api/topologies/d-0")).body["name"] == "d-0"
    assert (await call("POST", "/api/topologies/validate", {"names": ["d-0"]})).body["valid"] is True


async def test_a_policy_is_planned_applied_and_rolled_back(call, topology, make_shard, heard):
    shard = make_shard()
    await heard(topology)
    ask = {"topology": topology, "target": "found", "payload": {"min_profit_usd": 0.25}}
    plan = (await call("POST", "/api/control/plan", ask)).body
    assert plan["changes"][0]["after"] is not None
    assert (await call("POST", "/api/control/validate", ask)).body["valid"] is True
    one = await call("POST", "/api/control/policy", {**ask, "delivery": {"expected_version": 0, "reason": "test"}})
    assert (one.status, one.body["outcome"], one.body["version"]) == (200, "CONVERGED", 1)
    assert json.loads(shard.seen[0].payload) == {"min_profit_usd": 0.25}
    two = await call("POST", "/api/control/policy", {**ask, "payload": {"min_profit_usd": 1}})
    assert two.body["version"] == 2
    stale = await call("POST", "/api/control/policy", {**ask, "delivery": {"expected_version": 1}})
    assert (stale.status, stale.body["reason"]) == (409, "VERSION_MISMATCH")
    assert stale.headers["content-type"] == "application/problem+json"
    back = await call("POST", "/api/control/rollback", {"topology": topology, "target": "found"})
    assert back.body["payload"] == {"min_profit_usd": 0.25}
    wrong = await call("POST", "/api/control/policy", {**ask, "topology": "nope"})
    assert (wrong.status, wrong.body["status"], wrong.body["code"]) == (404, 404, "NOT_FOUND")


async def test_the_kill_switch(call, keys, topology, make_shard, heard):
    make_shard()
    await heard(topology)
    reply = await call("POST", "/api/control/kill-switch", {"topology": topology, "reason": "drill"})
    assert reply.body["outcome"] == "CONVERGED"
    assert f"{topology}/" in (await call("GET", f"/api/control/status?topology={topology}")).body["killed"]
    path, body = "/api/control/kill-switch/release", {"topology": topology, "reason": "over"}
    low = await call("POST", path, body, token=keys.token(role="operator"))
    assert (low.status, low.body["reason"]) == (403, "ROLE_TOO_LOW")
    assert (await call("POST", path, {**body, "reason": ""})).body["reason"] == "REASON_REQUIRED"
    assert (await call("POST", path, body)).body["outcome"] == "CONVERGED"


async def test_a_replayed_key_with_another_body(call, topology, make_shard, heard):
    make_shard()
    await heard(topology)
    ask = {
        "topology": topology,
        "target": "found",
        "payload": {"min_profit_usd": 0.5},
        "delivery": {"idempotency_key": "k"},
    }
    first = await call("POST", "/api/control/policy", ask)
    again = await call("POST", "/api/control/policy", ask)
    assert (again.body["replayed"], again.body["command_id"]) == (True, first.body["command_id"])
    other = await call("POST", "/api/control/policy", {**ask, "payload": {"min_profit_usd": 0.6}})
    assert (other.status, other.body["code"]) == (409, "ALREADY_EXISTS")


async def test_events_come_line_by_line(call, keys):
    def read():
        pool = urllib3.PoolManager()
        head = {"authorization": f"Bearer {keys.token()}"}
        url = f"{call.address}/api/control/watch?from_offset=0"
        reply = pool.request("GET", url, headers=head, preload_content=False, timeout=10)
        lines = []
        for line in reply:
            lines.append(json.loads(line))
            if len(lines) == 2:
                break
        reply.close()
        return lines

    await call("GET", "/api/control/status")
    await call("GET", "/api/control/status")
    lines = await asyncio.to_thread(read)
    assert [line["offset"] for line in lines] == sorted(line["offset"] for line in lines)
    assert "method" in lines[0]["record"]
    refused = await call("GET", "/api/control/watch", token="no")
    assert (refused.status, refused.body["reason"]) == (401, "TOKEN_MALFORMED")


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"{", 400, "MALFORMED_JSON"),
        (b"[]", 400, "MALFORMED_JSON"),
        (b"\xff\xfe", 400, "MALFORMED_JSON"),
        (b"[" * 50_000, 400, "MALFORMED_JSON"),
        (b'{"payload": ' + b"[" * 40_000 + b"]" * 40_000 + b"}", 400, None),
        (b'{"topology": 1}', 400, "MALFORMED_REQUEST"),
        (b'{"nothing": 1}', 400, "MALFORMED_REQUEST"),
        (b'{"delivery": {"ack": "MAYBE"}}', 400, "MALFORMED_REQUEST"),
        (b'{"delivery": {"ttl_ms": 1e40}}', 400, "MALFORMED_REQUEST"),
        (b'{"payload": nonsense}', 400, None),
        (b'{"delivery": {' + b",".join(b'"a%d": 0' % n for n in range(2_000)) + b"}}", 413, "TOO_LARGE"),
        (b"{" + b",".join(b'"a%d": 0' % n for n in range(200)) + b"}", 400, "MALFORMED_REQUEST"),
        (b'"' + b"x" * 200_000 + b'"', 413, "TOO_LARGE"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_audited(call, audited, raw, status, reason):
    reply = await call("POST", "/api/control/policy", raw=raw)
    assert (reply.status, reply.body["reason"]) == (status, reason or reply.body["reason"])
    record = await audited(lambda r: r.method == "Apply" and r.status != "OK")
    assert (record.identity, record.detail.partition(":")[0]) == ("ann", reply.body["reason"])


async def test_another_media_type_and_other_paths(call):
    form = {"content-type": "text/plain"}
    reply = await call("POST", "/api/control/kill-switch", raw=b'{"reason": "x"}', headers=form)
    assert (reply.status, reply.body["reason"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await call("GET", "/api/none")).body["reason"] == "NO_SUCH_PATH"
    assert (await call("GET", "/api/control/policy")).status == 405
    assert (await call("GET", "/api/control/status?topologie=x")).body["reason"] == "UNKNOWN_PARAMETER"
    assert (await call("GET", "/api/control/history?limit=-1")).status == 400


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(["topology", "target", "payload", "delivery", "kind", "scope", "reason", "x", ""])


_PATHS = st.sampled_from(["validate", "plan", "rollback", "command", "model-swap", "kill-switch/release"])
_BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(_NAMES, _VALUES, max_size=5).map(lambda value: json.dumps(value).encode()),
)


@THREADS_DRAW
async def test_noise_never_fails_inside(call):
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_PATHS, _BODIES)
    def noise(path, raw):
        reply = asyncio.run_coroutine_threadsafe(call("POST", f"/api/control/{path}", raw=raw), loop).result(20)
        assert reply.status in (200, 400, 404, 409, 412, 415), (raw, reply.raw)

    await asyncio.to_thread(noise)


async def test_openapi_names_every_path(call):
    document = (await call("GET", "/api/openapi.json", token="")).body
    assert document["openapi"].startswith("3.1")
    assert {"/api/control/policy", "/api/clickhouse/query", "/api/datasets/export"} <= document["paths"].keys()
    schema = document["components"]["schemas"]["ApplyRequest"]
    assert schema["properties"]["delivery"] == {"$ref": "#/components/schemas/Delivery"}
    text = json.dumps(document)
    for name in {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


async def test_health_and_performance(call):
    probe = await call("GET", "/api/provisioning/health", token="")
    assert (probe.status, probe.body["ready"]) == (200, True)
    await call("GET", "/api/control/status")
    figures = (await call("GET", "/api/health/metrics/performance")).body
    assert figures["calls"]["Status"]["calls"] >= 1
    assert (await call("GET", "/api/health/metrics/performance", token="")).status == 401


async def test_without_authentication_only_this_machines_pages(make_gateway, audited):
    call = Client(await make_gateway(LocalAuthenticator()))
    assert (await call("GET", "/api/control/status")).status == 200
    for headers in (
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        reply = await call("POST", "/api/control/kill-switch", {"reason": "x"}, headers=headers)
        assert (reply.status, reply.body["reason"]) == (403, "ORIGIN")
    assert (await audited(lambda r: r.method == "Kill")).detail.startswith("ORIGIN")
