"""The worked plug-in of ``docs/extend.md``: installed beside mevflow as pip would, tried by its own tests, and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder of its own with a copy of the example; gives (folder, run)."""
    folder = tmp_path_factory.mktemp("plugin")
    copy = shutil.copytree(
        EXAMPLE, folder / "example", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-*")
    )
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--target", str(folder / "site"), str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    environment = os.environ | {"PYTHONPATH": str(folder / "site"), "MEVFLOW_VAR": str(folder / "var")}

    def run(*command: str) -> str:
        told = subprocess.run(
            [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    return copy, run


def test_its_parts_are_listed_with_the_built_in_ones(installed):
    _, run = installed
    rows = {row["use"]: row["kind"] for row in json.loads(run("mevflow.cli", "topologies", "stages", "--json"))}
    assert (rows["prices.csv"], rows["prices.changes"], rows["prices.lines"]) == ("source", "stage", "sink")


def test_its_topology_is_valid(installed):
    _, run = installed
    assert "1 topologies are valid" in run("mevflow.cli", "topologies", "validate")


def test_its_own_tests_pass(installed):
    _, run = installed
    assert "3 passed" in run("pytest", "-p", "no:cacheprovider", "-o", "addopts=")


def test_it_runs(installed):
    copy, run = installed
    run("mevflow.cli", "deploy", "moves")
    lines = copy / "moves.jsonl"
    for _ in range(600):  # its source is a file: with the file's end the topology ends
        said = json.loads(run("mevflow.cli", "status", "moves", "--json"))
        if said["state"] == "stopped":
            break
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(row["token"], row["usd"], round(row["change_bps"])) for row in told] == [
        ("SOL", 99.8, 132),
        ("ETH", 2301.0, 145),
        ("SOL", 97.9, -190),
    ]
