"""Rescale, upgrade, roll back and restart with the state kept, under load, on the real broker and ClickHouse."""

import os
import threading
import time
from pathlib import Path

import pytest

from mevflow.flows.runtime import change, deploy
from mevflow.flows.runtime.change_plan import Difference
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.operators.errors import StateError, UsageError
from mevflow.processes.background import ProcessId
from tests.flows import test_claims
from tests.flows.runtime.test_deploy import assert_unbroken, lines, wait_for_rows
from tests.flows.test_claims import start, wait_for
from tests.sinks.clickhouse.rows import swap

world = test_claims.world
ARCHIVE = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
  clickhouse: {{host: 127.0.0.1, port: {port}, database: {database}}}
  control: {{enabled: false}}
  recovery: {{epoch_s: 0.3}}
topologies:
  {name}:
    nodes:
      swaps:   {{use: kafka.source, with: {{topic: {topic}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      kept:    {{use: clickhouse.sink, from: decoded}}
      rejects: {{use: discard.sink, from: decoded.errors}}
"""
PARTITIONS = 5


@pytest.fixture
def archive(tmp_path, monkeypatch, kafka_broker, make_topic, clickhouse_server, clickhouse_database):
    """(name, topic, file, var) of an archive of its own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    name, topic = f"a-{os.getpid()}-{time.monotonic_ns()}", make_topic(PARTITIONS)
    file = tmp_path / "t.yaml"
    file.write_text(
        ARCHIVE.format(
            bootstrap=kafka_broker, port=clickhouse_server.port, database=clickhouse_database, name=name, topic=topic
        )
    )
    yield name, topic, file, tmp_path / "var"
    supervisor = ProcessId.load(Layout.live(tmp_path / "var", name).supervisor)
    if supervisor is not None:
        supervisor.end(20)


def test_an_archive_is_rescaled_restarted_and_rolled_back_under_load(
    archive, send, clickhouse_client, clickhouse_database
):
    name, topic, file, var = archive
    sent, done = [0], threading.Event()

    def feed():
        while not done.is_set():
            numbers = range(sent[0], sent[0] + 200)
            send(topic, [(n % PARTITIONS, 1000 + n, swap(n).SerializeToString()) for n in numbers])
            sent[0] += 200
            time.sleep(0.02)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        deploy.start(deploy.prepare(file, name, var, shards=None, fresh=False))
        for shards in (2, 1):
            reached = sent[0]
            wait_for(lambda reached=reached: rows(clickhouse_client, clickhouse_database)[0] > reached)
            assert change.rescale(name, var, shards).shards == shards
            assert [shard["shard"] for shard in deploy.status(name, var)["shards"]] == list(range(shards))
        assert change.rollback(name, var).shards == 2  # what was before the last change
        change.restart(name, var)
    finally:
        done.set()
        feeder.join()
    wait_for(lambda: rows(clickhouse_client, clickhouse_database)[0] >= sent[0], 120)
    deploy.stop(name, var)
    assert rows(clickhouse_client, clickhouse_database) == (sent[0], sent[0])
    assert RunSpec.load(Layout.live(var, name).spec).shards == 2


def rows(client, database):
    """(rows, distinct coordinates) of the raw table, none replaced away."""
    sql = f"SELECT count(), uniqExact(source_partition, source_offset) FROM {database}.raw_swaps"
    return tuple(client.query(sql).result_rows[0])


def test_a_stage_that_keeps_state_is_named_and_nothing_stops(world):
    _, var, _ = world
    start(world)
    wait_for_rows(var, 20)
    with pytest.raises(StateError, match=r"the state of sums \(test.sum\) cannot be split") as refused:
        change.rescale("sums", var, 2)
    assert str(refused.value).count("--fresh") == 1
    assert deploy.status("sums", var)["state"] == "running"
    deploy.stop("sums", var)


def test_an_upgrade_keeps_the_state_that_fits_and_a_rollback_goes_on_from_there(world):
    file, var, out = world
    start(world)
    wait_for_rows(var, 100)
    former = file.read_text()
    file.write_text(former.replace("pause_s: 0.001", "pause_s: 0.002").replace("epoch_s: 0.2", "epoch_s: 0.3"))
    with pytest.raises(UsageError, match="no other deployment"):
        change.rollback("sums", var)
    plan = change.plan_upgrade(file, "sums", var)
    assert plan.differences() == [
        Difference("", "changed", "epoch_s", "0.2", "0.3"),
        Difference("numbers", "changed", "pause_s", "0.001", "0.002"),
    ]
    assert change.forgets(plan) == []
    with pytest.raises(UsageError, match="changed since it was planned"):
        change.upgrade(file, "sums", var, planned="of another file")
    assert change.upgrade(file, "sums", var, planned=plan.id).epoch_s == 0.3
    reached = len(lines(out))
    wait_for(lambda: len(lines(out)) > reached + 200)
    with pytest.raises(UsageError, match="changed since it was planned"):  # another deployment runs by now
        change.rollback("sums", var, planned=plan.id)
    assert change.rollback("sums", var).epoch_s == 0.2
    wait_for_rows(var, 100)
    deploy.stop("sums", var)
    assert_unbroken(lines(out))
    deploy.start(deploy.prepare(file, "sums", var, shards=None, fresh=False))  # and an ordinary deploy goes on too
    wait_for_rows(var, 50)
    deploy.stop("sums", var)
    assert_unbroken(lines(out))


def test_an_upgrade_that_cannot_start_leaves_the_former_deployment_running(world, tmp_path):
    file, var, out = world
    start(world)
    wait_for_rows(var, 100)
    file.write_text(file.read_text().replace(f'path: "{out}"', 'path: "/nowhere/at/all"'))
    with pytest.raises(Exception, match="did not start"):
        change.upgrade(file, "sums", var)
    reached = len(lines(out))
    wait_for(lambda: len(lines(out)) > reached + 100)
    deploy.stop("sums", var)
    assert_unbroken(lines(out))


def test_a_shard_that_starts_again_runs_what_was_deployed(world):
    """What is written to the topology file after a deploy is for the next deploy."""
    file, var, out = world
    start(world)
    wait_for_rows(var, 50)
    file.write_text("nonsense: [")
    change.restart("sums", var)
    wait_for_rows(var, 50)
    deploy.stop("sums", var)
    assert_unbroken(lines(out))


def test_a_state_that_does_not_fit_is_named(world):
    file, var, _ = world
    start(world)
    wait_for_rows(var, 20)
    file.write_text(file.read_text().replace("test.sum,", "test.odd,"))
    with pytest.raises(StateError, match=r"the state of sums does not fit test.odd"):
        change.upgrade(file, "sums", var)
    assert deploy.status("sums", var)["state"] == "running"
    deploy.stop("sums", var)


def test_rates_are_of_the_last_seconds(world):
    file, var, _ = world
    file.write_text(file.read_text().replace("stop: 0", "stop: 0, idle_after: 500"))
    start(world)
    wait_for_rows(var, 500)
    wait_for(lambda: deploy.status("sums", var)["shards"][0]["rows_per_s"] > 0)
    wait_for(lambda: deploy.status("sums", var)["shards"][0]["rows_per_s"] == 0)
    assert deploy.status("sums", var)["shards"][0]["rows"] == 500
    deploy.stop("sums", var)
