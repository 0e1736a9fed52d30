"""Replays over HTTP: what is refused before anything starts. A whole one is run by ``tests/web``."""

import pytest

GOOD = {"topology": "d-0", "run_id": "r1"}


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "../r1"},
        {"run_id": ".hidden"},
        {"topology": "../../etc"},
        {"run_id": ""},
        {"from_us": 5, "to_us": 5},
        {"from_us": -1},
        {"from_slot": 1, "from_us": 1},
        {"from_slot": 9, "to_slot": 8},
        {"nothing": 1},
    ],
)
async def test_what_cannot_be_asked_is_said(call, change):
    for path in ("/api/replays/plan", "/api/replays"):
        assert (await call("POST", path, GOOD | change)).status == 400


async def test_what_is_not_there(call):
    assert (await call("POST", "/api/replays/cancel", GOOD)).status == 404
    assert (await call("GET", "/api/replays/diff?topology=d-0&first=a&second=b")).status == 404
    assert (await call("GET", "/api/replays/diff?topology=d-0&first=../a&second=b")).status == 400
    assert (await call("GET", "/api/replays")).body == {"rows": []}


async def test_roles(call, keys):
    viewer = keys.token(role="viewer")
    for path in ("/api/replays", "/api/replays/cancel"):
        assert (await call("POST", path, GOOD, token=viewer)).body["reason"] == "ROLE_TOO_LOW"
    assert (await call("GET", "/api/replays", token=viewer)).status == 200
    assert (await call("GET", "/api/services", token=viewer)).status == 200
    assert (await call("GET", "/api/alerts", token="")).status == 401


async def test_logs_and_metrics_of_a_topology(call, service):
    assert (await call("GET", "/api/topologies/never-here/logs")).status == 404
    root = service.settings.var / "run" / "logged"
    root.mkdir(parents=True)
    (root / "shard-0.log").write_text("one\n<b>two</b>\n")
    found = (await call("GET", "/api/topologies/logged/logs?lines=1")).body
    assert found["rows"] == [{"shard": 0, "text": "<b>two</b>"}]
    assert (await call("GET", f"/api/topologies/logged/logs?cursor={found['next']}")).body["rows"] == []
    assert (await call("GET", "/api/topologies/logged/logs?text=ONE")).body["rows"] == [{"shard": 0, "text": "one"}]
    for query in ("lines=0", "lines=1001", "cursor=x", "shard=-1"):
        assert (await call("GET", f"/api/topologies/logged/logs?{query}")).status == 400
    assert (await call("GET", "/api/topologies/logged/metrics")).body == {"rows": [], "truncated": False}
    assert (await call("GET", "/api/topologies/..%2F..%2Fetc/logs")).status in (400, 404)
