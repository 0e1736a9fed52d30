"""Dashboards: written by the code, well made, every expression parses, every metric exists."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mevflow.ops.dashboards.lint import expressions, faults
from mevflow.ops.dashboards.write import files

FOLDER = Path(__file__).resolve().parents[2] / "ops" / "grafana"
FILES = sorted(FOLDER.glob("*.json"))
PROMTOOL = shutil.which("promtool")


def test_there_are_six():
    assert len(FILES) == 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_well_made(path):
    assert faults(json.loads(path.read_text())) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: d.update(uid="x y"), "uid"),
        (lambda d: d["panels"][1].update(id=d["panels"][2]["id"]), "not unique"),
        (lambda d: d["panels"][1]["fieldConfig"]["defaults"].pop("unit"), "no unit"),
        (lambda d: d["panels"][1]["targets"][0].update(legendFormat=""), "legend"),
        (lambda d: d["panels"][1]["gridPos"].update(d["panels"][2]["gridPos"]), "lies over"),
        (lambda d: d["panels"][1]["targets"][0].update(expr="mevflow_nothing_total"), "no metric mevflow_nothing"),
        (lambda d: d["panels"][1]["targets"][0].update(expr="rate(up[5m])"), "fixed window"),
        (lambda d: d["panels"][1]["targets"][0].update(expr='up{x="$nowhere"}'), "no variable nowhere"),
    ],
)
def test_the_linter_finds(change, fault):
    document = json.loads(FILES[0].read_text())
    change(document)
    assert any(fault in each for each in faults(document)), faults(document)


def test_the_files_are_of_this_code():
    assert {path.name: path.read_text() for path in FILES} == files(), "python -m mevflow.ops.dashboards.write"


def as_promql(expr):
    """With Grafana's variables filled in."""
    return expr.replace("$__rate_interval", "1m").replace("$topology", ".*").replace("$shard", ".*")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_every_expression_parses(tmp_path):
    found = [each for path in FILES for each in expressions(json.loads(path.read_text()))]
    rules = [{"record": f"r{number}", "expr": as_promql(expr)} for number, expr in enumerate(found)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(found)} rules found" in done.stdout
