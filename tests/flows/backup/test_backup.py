"""A backup is whole, comes back as it was, and refuses what would not be of one moment."""

import json
import os
import re
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from mevflow.clickhouse.migrate import load
from mevflow.flows.backup.manifest import Manifest, describe
from mevflow.flows.backup.restore import _begin
from mevflow.flows.backup.standstill import standstill
from mevflow.flows.backup.tables import measure, tables
from mevflow.flows.config import Config, KafkaConfig
from mevflow.flows.runtime.claim import LockClaim
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.saved_state import saved_states
from mevflow.flows.runtime.spec import RunSpec
from mevflow.kafka import topics
from mevflow.operators.errors import CheckFailedError
from mevflow.operators.stage import StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from tests.flows.test_change import ARCHIVE
from tests.flows.test_claims import wait_for
from tests.plugins.kafka import running_broker
from tests.sinks.clickhouse.rows import one_of_each, swap

ROOT = Path(__file__).resolve().parents[3]
TOPOLOGIES = """\
version: 1
topologies:
  archive:
    nodes:
      swaps: {use: kafka.source, with: {topic: t, bootstrap: "127.0.0.1:1", start: earliest}}
      decoded: {use: decode, from: swaps, with: {message: mevflow.v1.Swap}}
      found: {use: arbitrage.detect, from: {swaps: decoded}, with: {registry: lists/pools.yaml}}
"""


def mevflow(environment, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "mevflow.cli", *map(str, words), "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.fixture
def place(tmp_path, clickhouse_server, clickhouse_database):
    """(environment, project folder) of a deployment with something in every table and every kind of file."""
    home = tmp_path / "home"
    (home / "lists").mkdir(parents=True)
    (home / "topologies.yaml").write_text(TOPOLOGIES)
    (home / "mevflow.toml").write_text("[kafka]\nheap_mb = 400\n")
    (home / "lists" / "pools.yaml").write_text((ROOT / "examples" / "pools.yaml").read_text())
    spec = RunSpec(
        str(home / "topologies.yaml"), "archive", str(home / "var/run/archive"), str(home / "var"), 1, "s", epoch=7
    )
    store = spec.recovery(0)
    store.mkdir(parents=True)
    spec.save()
    (store / "part-0.sqlite3").write_bytes(b"\0\1" * 5000)
    for name in ("control/keys/a.pem", "feed/days.json", "KILL", "run/archive/latch-0.json"):
        (home / "var" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "var" / name).write_text(name)
    for name in ("run/archive/shard-0.log", "control/service.json", "prometheus/targets.json", "kafka/broker.log"):
        (home / "var" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "var" / name).write_text("fleeting")
    sink = ClickHouseSink(
        ClickHouseSettings(port=clickhouse_server.port, database=clickhouse_database),
        StageContext("archive", "history", "", 0),
    )
    sink.open(None)
    for batch in one_of_each():
        sink.write(batch)
    sink.snapshot()
    sink._writers.close()
    environment = {
        "MEVFLOW_CLICKHOUSE__PORT": str(clickhouse_server.port),
        "MEVFLOW_CLICKHOUSE__DATABASE": clickhouse_database,
        "MEVFLOW_KAFKA__BOOTSTRAP": "127.0.0.1:1",
    }
    return environment, home


@pytest.fixture
def elsewhere(clickhouse_client):
    """The name of a database that is not there yet."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield name
    clickhouse_client.command(f"DROP DATABASE IF EXISTS {name}")


def rows(client, database, name):
    """Everything that a table has, columns that are computed when stored or read among it."""
    columns = client.query(
        "SELECT name FROM system.columns WHERE database = {d:String} AND table = {t:String} "
        "AND default_kind != 'EPHEMERAL' ORDER BY name",
        parameters={"d": database, "t": name},
    ).result_columns[0]
    listed = ", ".join(f"`{column}`" for column in columns)
    return columns, sorted(map(repr, client.query(f"SELECT {listed} FROM {database}.{name}").result_rows))


def test_every_table_and_file_comes_back_as_it_was(place, elsewhere, tmp_path, clickhouse_client, clickhouse_database):
    environment, home = place
    clickhouse_client.command(f"CREATE TABLE {clickhouse_database}.guests (a Int8) ENGINE = MergeTree ORDER BY a")
    # A writer that was fenced off has rows, too.
    clickhouse_client.command(f"INSERT INTO {clickhouse_database}.sink_fences VALUES ('archive//history/0#1', 1)")
    made = mevflow(environment, "backup", tmp_path / "b", "--file", home / "topologies.yaml")
    ours, others = tables(clickhouse_client, clickhouse_database)
    assert (made["tables"], others) == (len(ours), ["guests"])
    manifest = Manifest.load(tmp_path / "b")
    assert manifest.left_out == [f"table {clickhouse_database}.guests"]
    assert {table.name for table in manifest.tables if not table.rows} <= {"mev_stats_1m_kept", "control_audit"}
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    there = {**environment, "MEVFLOW_CLICKHOUSE__DATABASE": elsewhere}
    restored = mevflow(there, "restore", tmp_path / "b", tmp_path / "gone" / ".." / "new")
    assert not (tmp_path / "gone").exists()
    assert restored["topologies"] == "archive"
    compared = [*ours, "raw_swaps", "mev_stats_1m", "arbitrage_opportunities", "pools", "tokens"]
    for name in dict.fromkeys(compared):
        assert rows(clickhouse_client, elsewhere, name) == rows(clickhouse_client, clickhouse_database, name), name
    kept = ["mevflow.toml", "topologies.yaml", "lists/pools.yaml", "var/run/archive/recovery/shard-0/part-0.sqlite3"]
    kept += [f"var/{name}" for name in ("control/keys/a.pem", "feed/days.json", "KILL", "run/archive/latch-0.json")]
    for name in kept:
        assert (tmp_path / "new" / name).read_bytes() == (home / name).read_bytes()
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    files = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert files == {*kept, "var/run/archive/spec.json"}
    spec = RunSpec.load(tmp_path / "new/var/run/archive/spec.json")
    assert (spec.file, spec.root) == (
        str(tmp_path / "new/topologies.yaml"),
        str(tmp_path / "new/var/run/archive"),
    )
    assert spec.epoch == 7  # sinks refuse what comes with a smaller one


def test_an_older_backup_is_brought_up_to_date(place, elsewhere, tmp_path, clickhouse_client, clickhouse_database):
    """Rows go into the tables as they were then, and later migrations move them."""
    environment, home = place
    then = f"ALTER TABLE {clickhouse_database}.mev_opportunities UPDATE cost = 0 WHERE cost IS NULL"
    clickhouse_client.command(then, settings={"mutations_sync": 2})  # an older version knows no unknown cost
    mevflow(environment, "backup", tmp_path / "b", "--file", home / "topologies.yaml")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    latest = load()[-1]
    del manifest["migrations"][str(latest.version)]
    younger = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", "\n".join(latest.statements)))
    files = {table["file"] for table in manifest["tables"] if table["name"] in younger}
    manifest["tables"] = [table for table in manifest["tables"] if table["name"] not in younger]
    manifest["files"] = [stored for stored in manifest["files"] if stored["path"] not in files]
    for name in files:
        (tmp_path / "b" / name).unlink()
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(manifest))
    mevflow({**environment, "MEVFLOW_CLICKHOUSE__DATABASE": elsewhere}, "restore", tmp_path / "b", tmp_path / "new")
    found = clickhouse_client.query(f"SELECT count() FROM {elsewhere}.schema_migrations FINAL").result_rows
    assert found == [(len(load()),)]


def test_damage_and_whatever_is_in_the_way_is_refused(place, elsewhere, tmp_path, clickhouse_database):
    environment, home = place
    there = {**environment, "MEVFLOW_CLICKHOUSE__DATABASE": elsewhere}
    backup = tmp_path / "b"
    assert "is no backup" in mevflow(there, "restore", home, "--check", code=2)
    mevflow(environment, "backup", backup, "--file", home / "topologies.yaml")
    assert mevflow(there, "restore", backup, "--check")["state"] == "whole"
    assert "not an empty folder" in mevflow(environment, "backup", backup, "--file", home / "topologies.yaml", code=2)
    inside = home / "var" / "b"
    assert "state folder" in mevflow(environment, "backup", inside, "--file", home / "topologies.yaml", code=2)
    assert "not an empty folder" in mevflow(there, "restore", backup, home, code=4)
    # The backup's own database, which has its tables.
    assert f"{clickhouse_database} has tables" in mevflow(environment, "restore", backup, tmp_path / "n1", code=4)
    assert "cut off" in mevflow(there, "restore", backup, tmp_path / "n1", code=4)
    said = mevflow({**there, "MEVFLOW_VAR": str(home / "var")}, "restore", backup, tmp_path / "n2", code=4)
    assert "the state folder is not empty" in said
    path = backup / "var/KILL"
    path.write_text("kill")
    assert "damaged: var/KILL" in mevflow(there, "restore", backup, tmp_path / "n3", code=4)
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "damaged: var/KILL" in mevflow(there, "restore", backup, "--check", code=4)
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["files"][0]["path"] = "var/../../x"
    (backup / "manifest.json").write_text(json.dumps(manifest))
    assert "outside of the backup" in mevflow(there, "restore", backup, tmp_path / "n3", code=2)
    manifest["files"].pop(0)
    manifest["migrations"]["99"] = "of tomorrow"
    path.unlink()
    path.write_text("KILL")
    (backup / "manifest.json").write_text(json.dumps(manifest))
    assert "migration 99" in mevflow(there, "restore", backup, tmp_path / "n3", code=1)
    assert not (tmp_path / "n3").exists()


def test_what_is_held_is_named(place, tmp_path):
    environment, home = place
    with LockClaim.take(home / "var/feed/days.claim", "feed", "the feed is published"):
        said = mevflow(environment, "backup", tmp_path / "b", "--file", home / "topologies.yaml", code=4)
    assert "the feed is published by" in said
    with LockClaim.take(Layout.live(home / "var", "archive").claim, "deploy", "x"):
        said = mevflow(environment, "backup", tmp_path / "b", "--file", home / "topologies.yaml", code=4)
    assert "archive is held by" in said
    with LockClaim.take(home / "var/backup.claim", "backup", "x"):
        said = mevflow(environment, "backup", tmp_path / "b", "--file", home / "topologies.yaml", code=4)
    assert "this deployment is backed up by backup (pid" in said
    assert not (tmp_path / "b" / "manifest.json").exists()


def test_of_two_restores_into_one_folder_one_fills_it(tmp_path):
    _begin(tmp_path)
    with pytest.raises(CheckFailedError, match="another restore fills this folder"):
        _begin(tmp_path)


@pytest.mark.timeout(900)  # three starts of a broker, three of a topology
def test_a_running_deployment_is_drained_restored_elsewhere_and_goes_on_exactly(
    tmp_path, clickhouse_server, clickhouse_client, clickhouse_database, elsewhere, send
):
    """With the embedded broker's log: the restored deployment reads on where the backup's stood, each row once."""
    home, new = tmp_path / "home", tmp_path / "new"
    home.mkdir()
    text = ARCHIVE.replace("{bootstrap}", "${{KAFKA_BOOTSTRAP}}").replace("{database}", '"${{CLICKHOUSE_DATABASE}}"')
    (home / "topologies.yaml").write_text(
        text.format(port=clickhouse_server.port, name="kept", topic="dex-swaps-proto")
    )
    (home / "mevflow.toml").write_text("")

    def feed(bootstrap, first):
        records = [(n % 8, 1000 + n, swap(n).SerializeToString()) for n in range(first, first + 500)]
        send("dex-swaps-proto", records, bootstrap)

    def stored(database):
        sql = f"SELECT count(), uniqExact(source_partition, source_offset) FROM {database}.raw_swaps_rows"
        return tuple(clickhouse_client.query(sql).result_rows[0])

    with running_broker(home / "var") as bootstrap:
        environment = {
            "MEVFLOW_CLICKHOUSE__PORT": str(clickhouse_server.port),
            "MEVFLOW_CLICKHOUSE__DATABASE": clickhouse_database,
            "MEVFLOW_KAFKA__BOOTSTRAP": bootstrap,
            "MEVFLOW_KAFKA__CONTROLLER_PORT": str(free_port()),
            "MEVFLOW_KAFKA__HEAP_MB": "384",
        }
        file = ("--file", home / "topologies.yaml")
        topics.create(bootstrap)
        feed(bootstrap, 0)
        mevflow(environment, "deploy", "kept", *file)
        try:
            wait_for(lambda: stored(clickhouse_database) == (500, 500), 60)
            config = Config(var=home / "var", kafka=KafkaConfig(bootstrap=bootstrap))
            with (
                pytest.raises(CheckFailedError, match="the topology kept runs; the embedded broker runs"),
                standstill(config, file[1], drain=False, topics=True, say=print),
            ):
                pass
            made = mevflow(environment, "backup", tmp_path / "b", "--drain", *file)
            assert made["topics"] is True
            feed(bootstrap, 500)  # the original goes on
            wait_for(lambda: stored(clickhouse_database) == (1000, 1000), 60)
        finally:
            mevflow(environment, "stop", "kept", *file)
    there = {
        **environment,
        "MEVFLOW_CLICKHOUSE__DATABASE": elsewhere,
        "MEVFLOW_KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "MEVFLOW_KAFKA__CONTROLLER_PORT": str(free_port()),
    }
    file = ("--file", new / "topologies.yaml")
    mevflow(there, "restore", tmp_path / "b", new)
    assert stored(elsewhere) == (500, 500)
    with running_broker(new / "var", there["MEVFLOW_KAFKA__BOOTSTRAP"]) as bootstrap:
        before = saved_states(new / "var/run/kept/recovery/shard-0")
        assert before
        feed(bootstrap, 500)
        mevflow(there, "deploy", "kept", *file)
        try:
            wait_for(lambda: stored(elsewhere) == (1000, 1000), 60)
        finally:
            mevflow(there, "stop", "kept", *file)
    assert stored(elsewhere) == (1000, 1000)


def test_a_digest_tells_one_changed_value(clickhouse_client, clickhouse_database):
    name = "sink_claims"
    insert = f"INSERT INTO {clickhouse_database}.{name} (lineage, epoch, token, host, pid, claimed_at) VALUES"
    found = []
    for token in ("a", "b"):
        clickhouse_client.command(f"TRUNCATE TABLE {clickhouse_database}.{name}")
        clickhouse_client.command(f"{insert} ('l', 1, '{token}', 'h', 1, '2024-01-01 00:00:00.000')")
        found.append(measure(clickhouse_client, clickhouse_database, name, ["lineage", "token"]))
    assert found[0][0] == found[1][0] == 1
    assert found[0][1] != found[1][1]


def test_a_file_is_described_by_what_it_holds(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    first = describe(tmp_path, tmp_path / "a")
    (tmp_path / "a").write_bytes(b"y")
    assert describe(tmp_path, tmp_path / "a") != first
    assert describe(tmp_path, tmp_path / "none") is None
