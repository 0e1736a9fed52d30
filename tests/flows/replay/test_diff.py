"""Two replays held against each other, and the command that does it."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from mevflow.cli.replay import command
from mevflow.flows.config import config
from mevflow.flows.replay.diff import diff, folder_of
from mevflow.flows.runtime.layout import Layout
from mevflow.operators.errors import CheckFailedError, UsageError

ROWS = [
    {"opportunity_id": b"a", "chain": 1, "slot": 5, "timestamp_us": 50, "net_profit_usd": 1.5, "path": "A > B"},
    {"opportunity_id": b"b", "chain": 1, "slot": 6, "timestamp_us": 60, "net_profit_usd": 2.0, "path": "B > A"},
    {"opportunity_id": b"b", "chain": 1, "slot": 6, "timestamp_us": 60, "net_profit_usd": float("nan"), "path": "x"},
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Writes the results of a run; the configuration says where."""
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    config.cache_clear()

    def write(run_id, rows, topology="detect", message="Opportunity"):
        folder = Layout.replay(tmp_path, topology, run_id).results
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{message}.parquet")
        return folder

    yield write
    config.cache_clear()


def test_equal_runs(run):
    found = diff(run("r1", ROWS), run("r2", list(ROWS)))
    assert found.equal
    assert found.first is None


def test_what_differs_is_told_by_row_field_and_place(run):
    other = [ROWS[0] | {"net_profit_usd": 1.0, "path": "A > C"}, ROWS[2]]
    more = {"decision_id": b"d", "chain": 1, "slot": 4, "timestamp_us": 40}
    first = run("r1", ROWS[:2])
    second = run("r2", other)
    run("r2", [more], message="Decision")
    found = diff(first, second)
    decisions, opportunities = found.messages
    assert decisions.only_second == [more]
    assert opportunities.fields == {"net_profit_usd": 2, "path": 2}
    assert opportunities.changed[0].fields["path"] == ("A > B", "A > C")
    assert (found.first["message"], found.first["slot"], found.first["how"]) == ("Decision", 4, "only in the second")
    assert found.profit_usd[0] == 3.5


def test_rows_of_one_identity_are_told_apart(run):
    found = diff(run("r1", ROWS), run("r2", ROWS[:2]))
    (message,) = found.messages
    assert [row["path"] for row in message.only_first] == ["x"]
    assert not message.changed


def test_the_command(run):
    run("r1", ROWS[:2])
    run("same", ROWS[:2])
    run("other", ROWS[:1])
    invoke = CliRunner().invoke
    assert invoke(command, ["diff", "r1", "same"]).exit_code == 0
    done = invoke(command, ["diff", "r1", "other", "--json"])
    assert isinstance(done.exception, CheckFailedError)
    told = json.loads(done.stdout)
    assert told["messages"][0]["only_first"] == 1
    assert told["profit_difference_usd"] == -2.0
    assert told["first_divergence"]["key"][0] == b"b".hex()
    assert isinstance(invoke(command, ["diff", "r1", "nothing"]).exception, UsageError)


def test_runs_of_several_topologies_are_named(run, tmp_path):
    run("r1", ROWS)
    run("r1", ROWS, topology="label")
    with pytest.raises(UsageError, match="several topologies have a run 'r1': detect, label"):
        folder_of(tmp_path, "r1")
    assert folder_of(tmp_path, "r1", "label").parent.parent.name == "label"


def test_a_name_without_a_subcommand_is_a_run(tmp_path):
    done = CliRunner().invoke(command, ["detect-live", "--run-id", "no/id"])
    assert isinstance(done.exception, UsageError)
    assert "no/id" in str(done.exception)
    for window in (["--from-slot", "9", "--to-slot", "9"], ["--from-slot", "1", "--from", "2022-04-06T06:00Z"]):
        done = CliRunner().invoke(command, ["detect-live", "--run-id", "r", *window])
        assert isinstance(done.exception, UsageError)
