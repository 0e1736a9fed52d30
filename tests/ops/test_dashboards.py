"""Dashboards: written by the code, well made, every expression parses, every metric exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mevflow.ops.dashboards.lint import expressions, faults, statements
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


def as_sql(statement):
    """As Grafana's plug-in sends it: all topologies, the first days of 2024."""
    filled = re.sub(
        r"\$__timeFilter\((\w+)\)", r"\1 >= toDateTime(1704067200) AND \1 <= toDateTime(1704672000)", statement
    )
    filled = filled.replace("${topology:regex}", ".*")
    assert "$" not in filled.replace(")$')", ")')"), filled
    return filled


def test_every_statement_gives_what_is_stored(clickhouse_client, clickhouse_database):
    """Each table has one live row; what a curve needs comes in the order time, name, number."""
    at = "'2024-01-05 01:02:03'"
    live = ("timestamp, topology, chain", f"{at}, 't', 'ethereum'")
    for table, columns, values in (
        ("mev_opportunities", "opportunity_id, net_profit_usd, gross_profit_usd, new_episode", "'o', 2.5, 3, true"),
        ("mev_decisions", "decision_id, arm", "'d', 'tip50'"),
        ("outcomes", "decision_id, reward_usd, revision", "'d', 1.25, 1"),
        ("dead_letters", "reason, stage, topic", "'DECODE', 'decoded', 'dex-swaps-proto'"),
        ("raw_swaps_rows", "pool", "'p'"),
    ):
        names, row = live if table != "dead_letters" else ("timestamp, topology", f"{at}, 't'")
        into = f"{clickhouse_database}.{table} ({names}, {columns})"
        clickhouse_client.command(f"INSERT INTO {into} VALUES ({row}, {values})")
    found = [each for path in FILES for each in statements(json.loads(path.read_text()))]
    assert len(found) == 5
    for statement in found:
        placed = re.sub(r"\b(FROM|JOIN) (\w+)", rf"\1 {clickhouse_database}.\2", statement)
        answer = clickhouse_client.query(as_sql(placed))
        assert answer.row_count == 1, statement
