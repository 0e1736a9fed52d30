"""Alerts: they parse, fire and keep quiet as their tests say; each has a section in the runbook."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mevflow.ops.dashboards.lint import KNOWN, metrics

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "ops" / "prometheus"
GROUPS = YAML(typ="safe").load(FOLDER / "rules.yaml")["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule["alert"] for rule in RULES if "alert" in rule]
PROMTOOL = shutil.which("promtool")
WORDS = [
    ("check", "rules", "rules.yaml"),
    ("check", "config", "prometheus.yml"),
    ("test", "rules", "tests/rules_test.yaml"),
]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_promtool_is_content(words):
    done = subprocess.run([PROMTOOL, *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_exists():
    named = {name for rule in RULES for name in metrics(rule["expr"])}
    assert named <= KNOWN, named - KNOWN


def test_every_alert_is_tried_both_ways():
    names = {test["name"] for test in YAML(typ="safe").load(FOLDER / "tests" / "rules_test.yaml")["tests"]}
    assert {f"{alert} fires" for alert in ALERTS} <= names
    assert {f"{alert} does not fire" for alert in ALERTS if alert != "Watchdog"} <= names


@pytest.mark.parametrize("alert", ALERTS)
def test_the_runbook_has_it(alert):
    text = (ROOT / "docs" / "runbook.md").read_text()
    (rule,) = [rule for rule in RULES if rule.get("alert") == alert]
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{alert.lower()}"
    section = re.search(rf"^## {alert}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    assert section, f"docs/runbook.md has no section {alert}"
    assert "```" in section[1], "without a command to run"
