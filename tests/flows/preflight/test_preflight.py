"""Preflight names what is in the way, who has it and what to do, and changes nothing."""

import json
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from mevflow.flows.config import Config, KafkaConfig
from mevflow.flows.preflight.machine import look_at_machine
from mevflow.flows.preflight.ports import listeners
from mevflow.flows.preflight.topics import look_at_topics
from mevflow.kafka import topics
from mevflow.kafka.topics import TopicSpec
from mevflow.processes.addresses import free_port

ROOT = Path(__file__).resolve().parents[3]


def preflight(code, var, **environment):
    settings = {"VAR": str(var), "KAFKA__BOOTSTRAP": "127.0.0.1:1", "CLICKHOUSE__PORT": "1", **environment}
    settings |= {name: str(free_port()) for name in ("CONTROL__PORT", "WEBSOCKET__PORT") if name not in settings}
    done = subprocess.run(
        [sys.executable, "-m", "mevflow.cli", "preflight", "--json"],
        cwd=ROOT,
        env={**os.environ, **{f"MEVFLOW_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return {each["subject"]: each for each in json.loads(done.stdout)["findings"]}, done.stderr


def test_a_port_that_a_stranger_has_is_in_the_way_and_the_stranger_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        found, said = preflight(4, tmp_path / "var", CONTROL__HTTP_PORT=str(port))
        taken = found[f"port {port} (gateway and pages)"]
        assert (taken["verdict"], f"pid {os.getpid()} " in taken["found"]) == ("blocked", True)
        assert "MEVFLOW_CONTROL__HTTP_PORT" in taken["advice"]
        assert f"1 in the way: port {port}" in said
        assert listeners()[port].pid == os.getpid()
    assert found["state folder"]["verdict"] == "create"
    assert not (tmp_path / "var").exists()


def test_tables_of_the_same_names_are_kept_apart(tmp_path, clickhouse_server, clickhouse_client, clickhouse_database):
    name = f"t_{uuid.uuid4().hex[:12]}"
    clickhouse_client.command(f"CREATE DATABASE {name}")
    try:
        clickhouse_client.command(
            f"CREATE TABLE {name}.mev_decisions (timestamp DateTime, slot UInt32) ENGINE = MergeTree ORDER BY slot"
        )
        clickhouse_client.command(f"CREATE TABLE {name}.raw_swaps (a Int8) ENGINE = TinyLog")  # a view of ours
        server = {"CLICKHOUSE__PORT": str(clickhouse_server.port), "CONTROL__HTTP_PORT": str(free_port())}
        found, _ = preflight(4, tmp_path / "var", CLICKHOUSE__DATABASE=name, **server)
        table = found["table mev_decisions"]
        assert table["verdict"] == "blocked"
        assert "slot is UInt32, not UInt64; no column decision_id" in table["found"]
        assert "MEVFLOW_CLICKHOUSE__DATABASE" in table["advice"]
        assert found["table raw_swaps"]["found"] == "another table of this name"
        assert found["table outcomes"]["verdict"] == "create"
    finally:
        clickhouse_client.command(f"DROP DATABASE {name}")
    found, _ = preflight(0, tmp_path / "var", CLICKHOUSE__DATABASE=clickhouse_database, **server)
    assert {each["verdict"] for name, each in found.items() if name.startswith("table ")} == {"ok"}
    found, _ = preflight(0, tmp_path / "var", CLICKHOUSE__DATABASE=name, **server)
    assert found[f"database {name}"]["verdict"] == "create"


def test_a_topic_with_other_partitions_or_clean_up_is_in_the_way(kafka_broker, make_topic, monkeypatch):
    fits, few, loses, brief = make_topic(4), make_topic(2), make_topic(1), make_topic(1, retention_ms=1000)
    missing = f"t-{uuid.uuid4().hex[:12]}"
    specs = (
        TopicSpec(fits, 4),
        TopicSpec(few, 8),
        TopicSpec(loses, 1, compacted=True),
        TopicSpec(brief, 1),
        TopicSpec(missing, 4),
    )
    monkeypatch.setattr("mevflow.flows.preflight.topics.TOPICS", specs)
    found = {each.subject: each for each in look_at_topics(Config(kafka=KafkaConfig(bootstrap=kafka_broker)))}
    verdicts = [found[f"topic {spec.name}"].verdict for spec in specs]
    assert verdicts == ["ok", "blocked", "blocked", "note", "create"]
    assert found[f"topic {few}"].found == "has 2 partitions, not 8"
    assert "cleanup.policy=compact" in found[f"topic {loses}"].advice
    assert missing not in topics.settings_of(kafka_broker, [missing])


@pytest.mark.parametrize(("heap_mb", "verdict"), [(1, ("ok", "note")), (1 << 24, ("blocked",))])
def test_memory_is_judged_with_the_brokers_heap(tmp_path, heap_mb, verdict):
    config = Config(var=tmp_path, kafka=KafkaConfig(heap_mb=heap_mb))
    assert {each.subject: each for each in look_at_machine(config)}["memory"].verdict in verdict
