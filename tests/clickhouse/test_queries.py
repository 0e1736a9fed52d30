"""Every query template runs on a migrated database, and the command line runs them."""

import json

import pytest
from click.testing import CliRunner

from mevflow.clickhouse.queries import load, names
from mevflow.operators.errors import UsageError


@pytest.mark.parametrize("name", names())
def test_every_template_runs_and_says_what_it_answers(clickhouse_client, clickhouse_database, name):
    template = load(name)
    assert template.summary.endswith(".")
    result = clickhouse_client.query(
        template.sql, parameters=template.defaults, settings={"database": clickhouse_database, "readonly": 1}
    )
    assert result.result_rows == [] or name == "rows_by_table"


def test_an_unknown_template_names_the_others():
    with pytest.raises(UsageError, match="rows_by_table"):
        load("nope")


@pytest.fixture
def command(clickhouse_server, clickhouse_database, tmp_path, monkeypatch):
    """``mevflow clickhouse …`` against the test's database; gives (exit code, output)."""
    from mevflow.cli.clickhouse import command as group
    from mevflow.flows.config import config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEVFLOW_VAR", str(clickhouse_server.var))
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__PORT", str(clickhouse_server.port))
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__DATABASE", clickhouse_database)
    config.cache_clear()
    yield lambda *args: CliRunner().invoke(group, list(args))
    config.cache_clear()


def test_query_prints_a_table_json_or_any_format(command):
    assert "7" in command("query", "SELECT 7 AS x").output
    lines = command("query", "--json", "SELECT number FROM numbers(2)").output.splitlines()
    assert [json.loads(line) for line in lines] == [{"number": 0}, {"number": 1}]
    assert command("query", "SELECT 1, 'a'", "--format", "CSV").output == '1,"a"\n'
    assert command("query", "SELECT {n:UInt8} + 1", "--param", "n=4", "--format", "TSV").output == "5\n"
    assert json.loads(command("query", "--json", "@rows_by_table").output.splitlines()[0])["rows"] == 0


def test_query_reads_only_unless_told_otherwise(command):
    refused = command("query", "CREATE TABLE x (a Int8) ENGINE = Memory")
    assert refused.exception is not None
    assert "READONLY" in str(refused.exception)
    assert command("query", "--write", "CREATE TABLE x (a Int8) ENGINE = Memory").exit_code == 0
    assert command("query", "--write", "INSERT INTO x VALUES (1)").exit_code == 0
    assert command("query", "SELECT count() FROM x", "--format", "TSV").output == "1\n"


def test_query_bounds_its_rows(command):
    output = command("query", "SELECT number FROM numbers(5000000)", "--format", "TSV", "--max-rows", "1000").output
    assert len(output.splitlines()) == 1000


def test_status_and_migrate_speak_json(command):
    status = json.loads(command("status", "--json").output)
    assert status["answering"]
    assert all(step["applied_at"] for step in status["migrations"])
    assert json.loads(command("migrate", "--json").output)["applied"] == []
    assert json.loads(command("start", "--json").output)["state"] == "running"
