"""Smoke tests on the real broker and engine: they pass, leave nothing behind, and say what is wrong."""

import pytest

from mevflow.clickhouse.client import connect
from mevflow.flows.config import ClickHouseConfig
from mevflow.flows.lab import lab
from mevflow.flows.lab.lab import KEPT, Answered, Bench, LabRun, runs
from mevflow.flows.lab.streams import TESTS
from mevflow.kafka.topics import listing
from mevflow.operators.errors import UsageError
from mevflow.sinks.websocket.hub.wire import guard
from tests.sinks.websocket.hub.conftest import hub, make_hub  # noqa: F401


@pytest.fixture
def bench(kafka_broker, clickhouse_server, tmp_path):
    where = ClickHouseConfig(host=clickhouse_server.host, port=clickhouse_server.port, database="default")
    return Bench(kafka_broker, where, tmp_path, None)


@pytest.mark.parametrize("name", ["broker", "decode", "clickhouse"])
def test_it_passes_and_leaves_nothing(bench, name):
    found = lab.run(bench, name)
    assert (found.error, found.passed) == ("", True)
    assert found.took_ms >= max(step.took_ms for step in found.steps)
    assert runs(bench.var) == [found]
    assert not [info.name for info in listing(bench.bootstrap) if info.name.startswith("lab-")]
    client = connect(bench.clickhouse.host, bench.clickhouse.port)
    assert not client.query("SELECT name FROM system.tables WHERE name LIKE 'lab_%'").result_rows
    client.close()


def test_an_hour_is_detected_twice_the_same(bench):
    found = lab.run(bench, "detect", TESTS)
    assert (found.error, [step.name for step in found.steps]) == (
        "",
        ["read the day until then", "detect", "detect again"],
    )


def test_live_messages_come_back_also_from_a_guarded_hub(bench, hub):  # noqa: F811
    told = Bench(bench.bootstrap, bench.clickhouse, bench.var, hub.path)
    for guarded in (False, True):
        guard(hub.path, guarded)
        assert lab.run(told, "websocket", TESTS).error == ""
    hub.stop()
    assert "no hub takes clients" in lab.run(told, "websocket", TESTS).error


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (Answered("t", 2, 2, "CONVERGED"), ""),
        (Answered("t", 2, 1, "PARTIAL"), "1 of 2"),
        (Answered("", 0, 0, ""), "no shard"),
    ],
)
def test_a_command_is_answered_by_every_shard(bench, answered, said):
    told = Bench(bench.bootstrap, bench.clickhouse, bench.var, None, lambda: answered)
    found = lab.run(told, "policy", TESTS)
    assert found.passed is (said == "")
    assert said in found.error


def test_what_does_not_answer_fails_with_why(tmp_path):
    nowhere = Bench("127.0.0.1:1", ClickHouseConfig(port=1), tmp_path, tmp_path / "none.sock")
    for name, said in (("clickhouse", "127.0.0.1:1"), ("hub", "no hub answers")):
        found = lab.run(nowhere, name)
        assert not found.passed
        assert said in found.error
    with pytest.raises(UsageError):
        lab.run(nowhere, "nothing")


def test_the_last_runs_are_kept(tmp_path):
    for number in range(KEPT + 2):
        lab._keep(tmp_path, LabRun("x", True, number, 1.0, []))
    assert [run.began_us for run in runs(tmp_path)][:2] == [KEPT + 1, KEPT]
    assert len(runs(tmp_path)) == KEPT
