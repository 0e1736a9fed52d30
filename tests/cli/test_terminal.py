"""What a person at the terminal meets: suggestions, completion, tables that fit, CSV, cleaning up."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mevflow.cli import output
from mevflow.cli.control.connection import show_reply
from mevflow.metrics import targets
from mevflow.operators.errors import CheckFailedError, UnreachableError
from mevflow.v1.control_service_pb2 import CommandReply

ROOT = Path(__file__).resolve().parents[2]


def run(*words, var=None, code=0):
    environment = os.environ if var is None else {**os.environ, "MEVFLOW_VAR": str(var)}
    done = subprocess.run(
        [sys.executable, "-m", "mevflow.cli", *words], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["statuss"], "status"), (["opportunites", "top"], "opportunities"), (["clickhouse", "qeury", "x"], "query")],
)
def test_a_typo_has_a_suggestion(typed, meant):
    assert f"Did you mean {meant}?" in run(*typed, code=2).stderr


@pytest.mark.parametrize("command", ["status", "deploy"])
def test_a_mistyped_topology_has_one_too(command, tmp_path):
    assert "did you mean 'detect-live'?" in run(command, "detect-liv", var=tmp_path, code=2).stderr


def test_a_topology_that_was_never_deployed_says_so(tmp_path):
    assert "never deployed" in run("status", "detect-live", var=tmp_path).stdout


def test_states_are_csv_too(tmp_path):
    (tmp_path / "run" / "detect-live").mkdir(parents=True)
    for words, names in (
        (["status"], ["topology", "state", "shard", "pid", "restarts", "rows in", "rows/s", "behind", "caught up"]),
        (["collect", "status"], ["topology", "chain", "state", "blocks behind", "rows"]),
    ):
        rows = list(csv.DictReader(io.StringIO(run(*words, "--csv", var=tmp_path).stdout)))
        assert list(rows[0]) == names
        assert {row["state"] for row in rows} == {"never deployed"}


def test_what_looks_like_nothing_has_none():
    assert "Did you mean" not in run("zzzzqqq", code=2).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell):
    script = run("completion", shell).stdout
    assert "_MEVFLOW_COMPLETE" in script
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_wide_table_in_a_narrow_terminal_has_one_value_a_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    address = "0x" + "ab" * 32
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    output.table(["pool", "hash", "rows"], [[address, address, 12345]])
    said = capsys.readouterr().out
    assert address in said
    assert "rows  12,345" in said
    output.table(["a", "b"], [[1, 2]])
    assert "-- 1 of 1" not in capsys.readouterr().out


def test_a_wide_table_in_a_pipe_is_not_folded(capsys):
    output.table(["a", "b"], [["x" * 150, "y" * 150]])
    said = capsys.readouterr().out
    assert "x" * 150 in said
    assert "y" * 150 in said


def test_a_reader_of_a_table_that_leaves_early_is_no_failure():
    command = [sys.executable, "-m", "mevflow.cli", "topologies", "list"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()  # long before there is something to write
        assert running.stderr.read() == ""
    assert running.returncode == 0


@pytest.mark.parametrize(
    ("outcome", "raised", "stands"),
    [
        ("TIMED_OUT", UnreachableError, True),
        ("PARTIAL", CheckFailedError, True),
        ("ROLLED_BACK", CheckFailedError, False),
    ],
)
def test_a_command_that_not_everyone_answered_says_whether_it_stands(outcome, raised, stands):
    reply = CommandReply(outcome=outcome, kind="kill", version=1, expected=2, applied=1, missing=1)
    with pytest.raises(raised, match="1 applied, 0 refused, 1 silent") as said:
        show_reply(reply, as_json=True)
    assert ("The command stands" in said.value.message) == stands


def test_csv_survives_what_cells_hold(capsys):
    output.emit_csv(["a", "b"], [['x,"y"\n', 1]])
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [["a", "b"], ['x,"y"\n', "1"]]


def test_clean_takes_the_dead_and_old_replays_and_nothing_else(tmp_path):
    mine = targets.join(tmp_path, "127.0.0.1:1", {"job": "mevflow-hub"})
    dead = {"targets": ["127.0.0.1:2"], "labels": {"job": "mevflow-shard", "__meta_mevflow_pid": "1"}}
    entries = [{"targets": mine.targets, "labels": mine.labels}, dead]
    targets.path(tmp_path).write_text(json.dumps(entries))
    old, young, live = (tmp_path / "replay" / "t" / name for name in ("old", "young", "../../run/t"))
    for folder in (old, young, live):
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text("{}")
    ago = time.time() - 30 * 86_400
    for folder in (old, live):
        os.utime(folder / "spec.json", (ago, ago))
    said = json.loads(run("clean", "--dry-run", "--json", var=tmp_path).stdout)
    assert [row["kind"] for row in said["removed"]] == ["target", "replay"]
    assert old.exists()
    assert len(targets.read(tmp_path)) == 2
    run("clean", var=tmp_path)
    assert not old.exists()
    assert young.exists()
    assert live.exists()
    assert targets.read(tmp_path) == [mine]
