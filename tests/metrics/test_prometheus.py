"""A real Prometheus finds a real run by its file, and every panel of the dashboards has data."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from mevflow.metrics import targets
from mevflow.processes.addresses import free_port
from tests.metrics.test_live import stir
from tests.plugins.deployment import until

OPS = Path(__file__).resolve().parents[2] / "ops"
PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]


@pytest.fixture
def prometheus(live, tmp_path):
    """Asks it: an expression's results."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(OPS / "prometheus" / "rules.yaml")],
        "scrape_configs": [
            {
                "job_name": "mevflow",
                "honor_labels": True,
                "file_sd_configs": [{"files": [str(targets.path(live.var))], "refresh_interval": "1s"}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    words = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *words, f"--web.listen-address={address}"], stdout=log, stderr=log)

    def ask(expr):
        query = urllib.parse.urlencode({"query": expr})
        with urllib.request.urlopen(f"http://{address}/api/v1/query?{query}", timeout=60) as reply:
            return json.load(reply)["data"]["result"]

    def ready():
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            return ask("vector(1)")
        except OSError:
            return []

    until(ready, "ready")
    yield ask
    process.terminate()
    process.wait(60)


def test_every_panel_has_data(live, prometheus):
    stir(live)
    until(lambda: sum(float(row["value"][1]) for row in prometheus("up")) == 5, "five targets up", 300)
    panels = [panel for path in (OPS / "grafana").glob("*.json") for panel in json.loads(path.read_text())["panels"]]
    targets = [target for panel in panels for target in panel.get("targets", ())]
    wanted = {target["expr"] for target in targets if "expr" in target}  # the others are SQL: tests/ops

    def empty():
        filled = {
            expr: expr.replace("$__rate_interval", "1m").replace("$topology", ".*").replace("$shard", ".*")
            for expr in wanted
        }
        wanted.difference_update(expr for expr, query in filled.items() if prometheus(query))
        return wanted

    until(lambda: not empty(), "data for every panel", 300)
    assert {row["metric"]["alertname"] for row in prometheus('ALERTS{alertstate="firing"}')} >= {"Watchdog"}
