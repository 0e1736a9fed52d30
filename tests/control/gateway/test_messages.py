"""Topics, messages and dead letters over HTTP, on a real broker."""

import urllib.parse

import pyarrow as pa
import pytest

from mevflow.flows.dead_letters import reading
from mevflow.operators.codec import ERRORS
from mevflow.operators.stage import StageContext
from mevflow.sinks.kafka.dlq import DeadLetterSettings, DeadLetterSink
from mevflow.v1.market_pb2 import Swap
from tests.flows.messages.test_browse import NAME, records


@pytest.fixture
def topic(make_topic, send):
    name = make_topic(3)
    send(name, records(60))
    return name


async def test_topics_schemas_and_lag(call, topic):
    found = {row["name"]: row for row in (await call("GET", "/api/topics")).body["rows"]}
    assert (found[topic]["partitions"], found[topic]["messages"]) == (3, 60)
    schemas = (await call("GET", "/api/messages")).body
    assert "slot" in next(row for row in schemas["rows"] if row["name"] == NAME)["fields"]
    assert schemas["topics"]["dex-swaps-proto"] == NAME
    assert (await call("GET", f"/api/topics/{topic}/lag")).body["rows"] == []
    assert (await call("GET", "/api/topics/t-nothing/lag")).status == 404


async def test_a_page_a_filter_and_where_it_goes_on(call, topic):
    where = urllib.parse.quote("slot >= 30")
    path = f"/api/messages/{topic}?schema={NAME}&start=earliest&limit=20&where={where}&where=chain%3D1"
    page = (await call("GET", path)).body
    assert (page["shown"], page["topic"], page["schema"]) == (20, topic, NAME)
    again = (await call("GET", f"{path}&cursor={page['next']}")).body
    slots = [row["fields"]["slot"] for row in page["rows"] + again["rows"]]
    assert sorted(slots) == list(range(30, 60))
    assert (page["read"] + again["read"], again["behind"]) == (60, 0)
    assert (await call("GET", f"/api/messages/{topic}?schema=none&limit=1")).body["rows"][0]["hex"]


async def test_an_amount_of_any_width_is_shown(call, make_topic, send):
    """Decimals of more than 4,300 digits are an error of Python's, and were the service's."""
    name = make_topic(1)
    values = [Swap(slot=1, amount_in=bytes([1]) * width).SerializeToString() for width in (16, 33, 1_800, 100_000)]
    send(name, [(0, 1_000 + at, value) for at, value in enumerate(values)])
    for offset, decimal in enumerate((True, False, False, False)):
        reply = await call("GET", f"/api/messages/{name}/0/{offset}?schema={NAME}")
        assert reply.status == 200
        amount = next(node for node in reply.body["tree"] if node["name"] == "amount_in")["value"]
        assert amount == (str(int.from_bytes(bytes([1]) * 16, "little")) if decimal else amount)
        assert amount.startswith("0x") is not decimal
    page = (await call("GET", f"/api/messages/{name}?schema={NAME}&start=earliest")).body
    assert (page["read"], page["shown"]) == (4, 4)


async def test_one_message_with_its_bytes(call, topic):
    found = (await call("GET", f"/api/messages/{topic}/1/3?schema={NAME}")).body
    assert (found["fields"]["slot"], found["error"], found["bytes"]) == (10, "", len(found["hex"]) // 2)
    slot = next(node for node in found["tree"] if node["name"] == "slot")
    assert bytes.fromhex(found["hex"])[slot["value_start"] : slot["end"]] == b"\x0a"
    raw = (await call("GET", f"/api/messages/{topic}/1/3")).body
    assert (raw["schema"], raw["tree"][0]["name"], raw["fields"]) == ("", "", None)
    assert (await call("GET", f"/api/messages/{topic}/1/999?schema={NAME}")).status == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("schema=mevflow.v1.Nothing", "schema"),
        ("limit=501", ""),
        ("limit=x", ""),
        ("x=1", ""),
        ("cursor=1-2", "cursor"),
        (f"schema={NAME}&where=slot", "where"),
        (f"schema={NAME}&pool=!", "pool"),
        ("where=slot%3D1", "schema"),
        (f"schema={NAME}" + "&where=slot%3D1" * 17, "where"),
        ("text=" + "x" * 5_000, "text"),
    ],
)
async def test_what_cannot_be_asked_is_said(call, topic, query, field):
    reply = await call("GET", f"/api/messages/{topic}?{query}")
    assert (reply.status, [each["field"] for each in reply.body.get("fields", [])]) == (400, [field] if field else [])


async def test_roles(call, keys):
    viewer = keys.token(role="viewer")
    assert (await call("GET", "/api/topics", token="")).status == 401
    assert (await call("GET", "/api/topics", token=viewer)).status == 200
    for path, role in (("/api/dlq/replay", "viewer"), ("/api/dlq/purge", "operator")):
        reply = await call("POST", path, {"everything": True}, token=keys.token(role=role))
        assert (reply.status, reply.body["reason"]) == (403, "ROLE_TOO_LOW")


@pytest.fixture
def dead(kafka_broker, make_topic, send, monkeypatch):
    """A topic with three records, and letters of two of them."""
    topic, dlq = make_topic(1), make_topic(2)
    send(topic, [(0, 5, Swap(slot=1).SerializeToString()), (0, 6, b"\xff<b>"), (0, 7, b"\xfe")])
    monkeypatch.setattr(reading, "TOPIC", dlq)
    sink = DeadLetterSink(DeadLetterSettings(bootstrap=kafka_broker, topic=dlq), StageContext("t", "rejects"))
    sink.open(None)
    for offset, value in ((1, b"\xff<b>"), (2, b"\xfe")):
        row = dict.fromkeys(ERRORS.names, "") | {
            "topic": topic, "partition": 0, "offset": offset, "timestamp_us": 6_000, "stage": "decoded",
            "reason": "undecodable" if offset == 1 else "impossible", "detail": "<script>", "payload": value,
            "size": 0, "sha256": b"",
        }  # fmt: skip
        sink.write(pa.RecordBatch.from_pylist([row], schema=ERRORS))
    sink.snapshot()
    sink.close()
    return topic


async def test_dead_letters_are_listed_sent_once_and_purged(call, dead, audited):
    found = (await call("GET", "/api/dlq")).body
    assert (found["letters"], {row["reason"] for row in found["sums"]}) == (2, {"undecodable", "impossible"})
    at = f"{dead}[0]@1"
    letter = (await call("GET", f"/api/dlq/{urllib.parse.quote(at)}")).body
    assert (bytes.fromhex(letter["payload"]), letter["detail"]) == (b"\xff<b>", "<script>")
    assert (await call("GET", f"/api/dlq/{urllib.parse.quote(dead)}%5B0%5D%4077")).status == 404
    dry = (await call("POST", "/api/dlq/replay", {"at": [at], "dry_run": True})).body
    assert (dry["sent"], dry["dry_run"]) == ([at], True)
    assert (await call("POST", "/api/dlq/replay", {"reason": "undecodable"})).body["sent"] == [at]
    again = (await call("POST", "/api/dlq/replay", {"at": [at]})).body
    assert (again["sent"], again["already_sent"]) == ([], [at])
    assert (await audited(lambda r: r.method == "DlqReplay")).status == "OK"
    dry = (await call("POST", "/api/dlq/purge", {"sent": True, "dry_run": True})).body
    assert (dry["letters"], (await call("GET", "/api/dlq")).body["letters"]) == (1, 2)
    assert (await call("POST", "/api/dlq/purge", {"sent": True})).body["purged"] == [at]
    assert [row["reason"] for row in (await call("GET", "/api/dlq")).body["rows"]] == ["impossible"]


@pytest.mark.parametrize("body", [{}, {"at": ["x[0]@1"], "everything": True}, {"at": "x"}, {"nothing": 1}])
async def test_it_must_be_said_which_letters(call, dead, body):
    for path in ("/api/dlq/replay", "/api/dlq/purge"):
        assert (await call("POST", path, body)).status == 400
