"""Where a command runs does not matter: state, registry and specs are found around the topology file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mevflow.flows.spec.resolve import check
from mevflow.flows.spec.topology import load
from tests.flows import test_claims
from tests.flows.runtime.test_deploy import wait_for_rows

ROOT = Path(__file__).resolve().parents[2]
world = test_claims.world


def mevflow(folder, *words):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MEVFLOW_")}
    return subprocess.run(
        [sys.executable, "-m", "mevflow.cli", *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_commands_from_anywhere_see_what_runs(world, tmp_path):
    file, var, _ = world
    elsewhere = tmp_path / "else" / "where"
    elsewhere.mkdir(parents=True)
    done = mevflow(elsewhere, "deploy", "sums", "--file", "../../t.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folder"] == str(var / "run" / "sums")
    wait_for_rows(var, 20)
    for folder, given in ((elsewhere, file), ("/", file), (tmp_path, "t.yaml")):
        done = mevflow(folder, "status", "sums", "--file", given, "--json")
        assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "running")
        assert mevflow(folder, "logs", "sums", "--file", given).returncode == 0
    done = mevflow(elsewhere, "status", "--json")
    assert json.loads(done.stdout) == []
    assert f"nothing has been deployed from {elsewhere}/var" in mevflow(elsewhere, "status").stderr
    # With a topologies.yaml or mevflow.toml, its folder is found from every folder below.
    (tmp_path / "mevflow.toml").write_text('var = "var"\n')
    assert json.loads(mevflow(elsewhere, "status", "--json").stdout)[0]["state"] == "running"
    assert mevflow("/", "stop", "sums", "--file", file).returncode == 0


def test_a_registry_is_of_the_topology_files_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, problems = check(load(ROOT / "topologies.yaml"), "detect-live")
    assert problems == []
    file = tmp_path / "deep" / "topologies.yaml"
    file.parent.mkdir()
    file.write_text((ROOT / "topologies.yaml").read_text())
    _, problems = check(load(file), "detect-live")
    assert str(tmp_path / "deep" / "examples" / "pools.yaml") in problems[0].message


@pytest.mark.parametrize("command", ["deploy", "status", "stop", "logs", "replay"])
def test_a_missing_file_is_named_whole(tmp_path, command):
    if command in ("deploy", "replay"):
        words = ["--run-id", "r"] if command == "replay" else []
        done = mevflow(tmp_path, command, "x", *words, "--file", "no.yaml")
        assert str(tmp_path / "no.yaml") in done.stderr
    else:
        done = mevflow(tmp_path, command, "x")
        assert done.returncode in (0, 2)
