"""Training over HTTP: what is refused, who may, and a registered model's way to the shards.

Whole jobs are run by ``tests/learning``.
"""

import json

import pytest

from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.learning.verdict import ModelVerdict, note

GOOD = {"topology": "d-0", "node": "found", "name": "landing"}


@pytest.fixture
def register(service):
    """Register a policy's state under a name, as if so many rewards had taught it."""
    registry = ModelRegistry(service.settings.var / "models")

    def make(name, lessons):
        meta = ModelMeta(name=name, kind="policy", learner="tip-linucb", chain="solana", lessons=lessons)
        return registry.save(f"what {name} learned".encode(), meta)

    return make


@pytest.mark.parametrize(
    "change",
    [
        {"topology": "../../etc"},
        {"node": ""},
        {"name": "Landing"},
        {"name": "../landing"},
        {"id": "../r1"},
        {"id": ".hidden"},
        {"of": "x" * 65},
        {"from_us": 5, "to_us": 5},
        {"from_us": -1},
        {"nothing": 1},
    ],
)
async def test_what_cannot_be_trained_is_said(call, change):
    assert (await call("POST", "/api/training/train", GOOD | change)).status == 400


async def test_what_is_not_there(call, topology):
    assert (await call("GET", "/api/training/jobs")).body == {"rows": []}
    assert (await call("GET", "/api/training/jobs/never")).status == 404
    assert (await call("POST", "/api/training/jobs/never/cancel", {})).status == 404
    assert (await call("GET", "/api/training/models?name=never")).body == {"rows": [], "truncated": False}
    asked = {"topology": topology, "target": "found"}
    gone = await call("POST", "/api/training/models/never/deploy", asked)
    assert (gone.status, gone.body["reason"]) == (404, "NO_SUCH_MODEL")


async def test_roles(call, keys):
    viewer = keys.token(role="viewer")
    for path in ("train", "jobs/r1/cancel", "models/never/deploy"):
        reply = await call("POST", f"/api/training/{path}", GOOD, token=viewer)
        assert reply.body["reason"] == "ROLE_TOO_LOW"
    for path in ("jobs", "models"):
        assert (await call("GET", f"/api/training/{path}", token=viewer)).status == 200


def judge(service, meta, high):
    """Keep a verdict on a model that gives it at most ``high`` USD, where 0.4 were logged."""
    judged = ModelVerdict(
        id=meta.id, topology="t", run_id="", since="", until="", unit="episode", units=900, effective=640.0,
        logged=0.4, value=0.1, low=-0.1, high=high, refusals=[], needed=0,
    )  # fmt: skip
    note(ModelRegistry(service.settings.var / "models"), meta, judged)


async def test_a_model_is_deployed_and_below_the_gate_only_by_force(
    call, service, topology, make_shard, heard, register
):
    shard = make_shard()
    await heard(topology)
    taught, young = register("taught", 500), register("young", 12)
    judge(service, taught, high=0.5)
    rows = (await call("GET", "/api/training/models?name=taught")).body["rows"]
    assert [(row["id"], row["lessons"]) for row in rows] == [(taught.id, 500)]
    asked = {"topology": topology, "target": "found", "reason": "drill"}
    done = await call("POST", "/api/training/models/taught@1/deploy", asked)
    assert (done.status, done.body["outcome"], done.body["target"]) == (200, "CONVERGED", "found@solana")
    low = await call("POST", f"/api/training/models/{young.id[:12]}/deploy", asked)
    assert (low.body["code"], low.body["reason"]) == ("FAILED_PRECONDITION", "BELOW_THE_GATE")
    assert "12 lessons" in low.body["detail"]
    assert (await call("POST", "/api/training/models/young/deploy", {**asked, "force": True})).status == 200
    assert [json.loads(one.payload)["id"] for one in shard.seen] == [taught.id, young.id]
    newest = (await call("GET", f"/api/control/history?topology={topology}&kind=model&limit=1")).body["commands"][0]
    assert newest["reason"].startswith("forced: young@1: it has 12 lessons, fewer than 100")
    assert "young@1: nobody has judged it" in newest["reason"]
    assert newest["reason"].endswith("; drill")


async def test_a_damaged_model_and_a_malformed_wish_are_refused(call, service, topology, register):
    meta = register("damaged", 500)
    (service.settings.var / "models" / "damaged" / "1" / "state").write_bytes(b"something else")
    asked = {"topology": topology, "target": "found"}
    reply = await call("POST", f"/api/training/models/{meta.id}/deploy", asked)
    assert reply.body["reason"] == "DAMAGED_MODEL"
    for change in ({"target": ""}, {"wait_ms": 10**9}, {"nothing": 1}, {"topology": 3}):
        assert (await call("POST", "/api/training/models/damaged/deploy", asked | change)).status == 400
    assert (await call("POST", "/api/training/models/damaged/deploy", raw=b"[" * 50_000)).status == 400


async def test_an_evaluation_says_what_it_cannot(ask):
    for query in ("", "policy=", "policy=uniform&by=row", "policy=uniform&since=x';--", "policy=uniform&chain=nowhere"):
        assert (await ask("GET", f"/api/training/evaluate?{query}")).status == 400
    empty = await ask("GET", "/api/training/evaluate?policy=uniform")
    assert "no settled decision" in empty.body["detail"]


async def test_a_model_that_its_evaluation_puts_below_the_gate_is_deployed_only_by_force(
    call, service, topology, make_shard, heard, register
):
    shard = make_shard()
    await heard(topology)
    meta, better = register("judged", 500), register("better", 500)
    judge(service, meta, high=0.3)
    judge(service, better, high=0.5)
    asked = {"topology": topology, "target": "found", "reason": "drill"}
    low = await call("POST", f"/api/training/models/{meta.id[:12]}/deploy", asked)
    assert (low.body["code"], low.body["reason"]) == ("FAILED_PRECONDITION", "BELOW_THE_GATE")
    assert "at most +0.3000 USD each" in low.body["detail"]
    assert shard.seen == []
    assert (await call("POST", "/api/training/models/judged/deploy", {**asked, "force": True})).status == 200
    newest = (await call("GET", f"/api/control/history?topology={topology}&kind=model&limit=1")).body["commands"][0]
    assert newest["reason"].startswith("forced: judged@1: its newest evaluation")
    assert newest["reason"].endswith("drill")
    # No other door is wider.
    payload = {"policy": "tip-linucb", "id": meta.id}
    raw = {"topology": topology, "target": "found", "payload": payload}
    assert (await call("POST", "/api/control/model-swap", raw)).body["reason"] == "BELOW_THE_GATE"
    back = {"topology": topology, "target": "found@solana", "kind": "model"}
    assert (await call("POST", "/api/training/models/better/deploy", asked)).status == 200
    assert (await call("POST", "/api/control/rollback", back)).body["reason"] == "BELOW_THE_GATE"
    assert (await call("POST", "/api/control/rollback", {**back, "delivery": {"force": True}})).status == 200
    newest = (await call("GET", f"/api/control/history?topology={topology}&kind=model&limit=1")).body["commands"][0]
    assert newest["reason"].startswith("forced: judged@1")
    judge(service, meta, high=0.5)
    assert (await call("POST", "/api/training/models/judged/deploy", asked)).status == 200
