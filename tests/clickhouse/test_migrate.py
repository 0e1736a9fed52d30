"""Migrations: applied once, in order, never changed."""

import shutil

import pytest

from mevflow.clickhouse.migrate import MIGRATIONS, history, load, migrate
from mevflow.operators.errors import CheckFailedError, MevflowError, StateError, UsageError

_PROMISED = {
    "mev_opportunities",
    "mev_decisions",
    "mev_counterfactuals",
    "mev_decision_lineage",
    "arbitrage_opportunities",
    "dex_pools",
    "price_feeds",
    "transaction_labels",
    "bandit_events_proto",
    "realtime_proto",
    "control_acks",
    "control_audit",
    "raw_swaps",
    "outcomes",
    "dead_letters",
    "mev_stats_1m",
    "mev_regret_1d",
    "model_scores",
    "model_events",
}


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    return copy


@pytest.fixture
def empty(clickhouse_client):
    yield "t_migrate"
    clickhouse_client.command("DROP DATABASE IF EXISTS t_migrate")


@pytest.mark.parametrize("name", ["mev_regret_1d", "pools", "raw_swaps", "mev_decisions", "schema_migrations"])
def test_a_table_that_somebody_else_made_is_neither_written_to_nor_replaced(clickhouse_client, empty, name):
    clickhouse_client.command(f"CREATE DATABASE {empty}")
    clickhouse_client.command(f"CREATE TABLE {empty}.{name} (version UInt64, dirty UInt8) ENGINE = TinyLog")
    clickhouse_client.command(f"CREATE TABLE {empty}.guests (a Int8) ENGINE = TinyLog")
    clickhouse_client.command(f"INSERT INTO {empty}.{name} VALUES (1, 0)")
    with pytest.raises(CheckFailedError, match=rf"that mevflow did not make: {name}\n"):
        migrate(clickhouse_client, empty)
    assert clickhouse_client.query(f"SHOW TABLES FROM {empty}").result_columns[0] == sorted((name, "guests"))
    assert clickhouse_client.query(f"SELECT * FROM {empty}.{name}").result_rows == [(1, 0)]


def test_every_promised_table_is_made_and_can_be_read(clickhouse_client, clickhouse_database):
    tables = clickhouse_client.query(
        "SELECT name FROM system.tables WHERE database = {d:String}", parameters={"d": clickhouse_database}
    ).result_columns[0]
    assert set(tables) >= _PROMISED
    for name in tables:
        clickhouse_client.query(f"SELECT * FROM {clickhouse_database}.{name} LIMIT 1")


def test_opportunities_are_kept_by_month_and_time(clickhouse_client, clickhouse_database):
    keys = clickhouse_client.query(
        "SELECT partition_key, sorting_key FROM system.tables WHERE database = {d:String} AND name = {t:String}",
        parameters={"d": clickhouse_database, "t": "mev_opportunities"},
    ).result_rows[0]
    assert keys[0] == "toYYYYMM(timestamp)"
    assert keys[1].startswith("timestamp, opportunity_id")


def test_a_second_run_does_nothing(clickhouse_client, empty):
    assert [step.version for step in migrate(clickhouse_client, empty)] == [step.version for step in load()]
    assert migrate(clickhouse_client, empty) == []
    assert all(entry.applied_at for entry in history(clickhouse_client, empty))


def test_before_the_first_run_everything_is_pending(clickhouse_client):
    assert all(entry.applied_at == "" for entry in history(clickhouse_client, "t_never_made"))


def test_a_changed_migration_is_refused(clickhouse_client, empty, folder):
    migrate(clickhouse_client, empty, folder)
    first = sorted(folder.glob("*.sql"))[0]
    first.write_text(first.read_text() + "-- changed\n")
    with pytest.raises(StateError, match="was changed after it was applied"):
        migrate(clickhouse_client, empty, folder)
    with pytest.raises(StateError, match="was changed"):
        history(clickhouse_client, empty, folder)


def test_a_database_ahead_of_the_program_is_refused(clickhouse_client, empty, folder):
    last = len(load(folder)) + 1
    (folder / f"{last:04d}_later.sql").write_text("CREATE TABLE later (a Int8) ENGINE = Memory;\n")
    migrate(clickhouse_client, empty, folder)
    with pytest.raises(StateError, match=f"has migration {last}"):
        migrate(clickhouse_client, empty)


def test_a_failing_statement_is_named_and_can_be_mended(clickhouse_client, empty, folder):
    last = len(load(folder)) + 1
    broken = folder / f"{last:04d}_broken.sql"
    broken.write_text(
        "CREATE TABLE IF NOT EXISTS good (a Int8) ENGINE = Memory;\nCREATE TABLE bad (a Nope) ENGINE = Memory;\n"
    )
    with pytest.raises(MevflowError, match=f"{last:04d}_broken failed") as caught:
        migrate(clickhouse_client, empty, folder)
    assert "CREATE TABLE bad" in str(caught.value)
    broken.write_text(broken.read_text().replace("Nope", "Int16"))
    assert [step.version for step in migrate(clickhouse_client, empty, folder)] == [last]


@pytest.mark.parametrize("name", ["0001_again.sql", "0099_gap.sql", "nonsense.sql"])
def test_bad_numbering_is_refused(folder, name):
    (folder / name).write_text("SELECT 1;\n")
    with pytest.raises(MevflowError):
        load(folder)


def test_a_name_that_is_none_is_refused(clickhouse_client):
    with pytest.raises(UsageError):
        migrate(clickhouse_client, "x; DROP DATABASE default")
