"""A new project is whole: its topologies are valid, its settings exist, its plug-in's tests pass."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mevflow.flows.config import Config

ROOT = Path(__file__).resolve().parents[2]


def run(folder, *words, code=0, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEVFLOW_")}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("init")
    run(folder, "mevflow.cli", "init", "mine", "--json")
    return folder / "mine"


def test_its_topologies_are_valid_with_the_registry_beside_them(project):
    assert "topologies are valid" in run(project, "mevflow.cli", "topologies", "validate")
    rows = json.loads(run(project, "mevflow.cli", "config", "show", "--json"))
    values = {row["key"]: row["value"] for row in rows}
    assert (values["var"], values["topologies"]) == (str(project / "var"), str(project / "topologies.yaml"))
    assert str(project / "pools.yaml") not in (project / "topologies.yaml").read_text()
    (project / "pools.yaml").rename(project / "gone.yaml")
    try:
        assert "pools.yaml" in run(project, "mevflow.cli", "topologies", "validate", code=4)
    finally:
        (project / "gone.yaml").rename(project / "pools.yaml")


def test_every_setting_that_is_shown_is_the_default(project):
    shown = re.sub(r"^# (?=[a-z_]+ = )", "", (project / "mevflow.toml").read_text(), flags=re.MULTILINE)
    settings = tomllib.loads(shown)
    assert Config.model_validate(settings) == Config()
    assert settings["control"]["http_port"] == 8001


def test_the_plug_ins_tests_pass(project):
    said = run(
        project,
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "plugin",
        PYTHONPATH=f"{ROOT}{os.pathsep}{project / 'plugin'}",
    )
    assert "3 passed" in said


def test_what_is_there_is_not_written_over(project):
    assert "not an empty folder" in run(project.parent, "mevflow.cli", "init", "mine", code=4)
