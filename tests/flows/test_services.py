"""What runs and what is wrong with it, from real processes' own metrics."""

import http.server
import json
import os
import threading
from contextlib import contextmanager

import pytest

from mevflow.flows.config import ClickHouseConfig
from mevflow.flows.runtime.alerts import alerts, of_prometheus
from mevflow.flows.services import RunningService, figures_of, services
from mevflow.metrics import targets
from mevflow.metrics.page import Page
from mevflow.metrics.serving import Serving
from mevflow.operators.errors import UnreachableError

NOWHERE = "127.0.0.1:1"


def find(rows, job):
    return next(row for row in rows if row.job == job)


def rows_of(var):
    return services(NOWHERE, ClickHouseConfig(port=1), var)


def names(rows, var):
    return [(alert.name, alert.of) for alert in alerts(rows, var) if alert.of not in ("kafka", "clickhouse")]


def test_a_process_tells_of_itself_until_it_is_gone(tmp_path):
    told = {"ready": 1}

    def tell(page: Page) -> None:
        page.put("mevflow_ready", told["ready"])

    endpoint = Serving(str(tmp_path), "127.0.0.1", 0).begin("mevflow-control", {}, [tell])
    rows = rows_of(tmp_path)
    found = find(rows, "mevflow-control")
    assert (found.state, found.pid, found.figures["mevflow_ready"]) == ("up", os.getpid(), 1.0)
    assert found.memory_bytes > 1 << 20
    assert found.since_us > 0
    assert names(rows, tmp_path) == []
    told["ready"] = 0
    assert names(rows_of(tmp_path), tmp_path) == [("ControlNotReady", "mevflow-control")]
    endpoint.close()
    assert [row.job for row in rows_of(tmp_path)] == ["kafka", "clickhouse"]
    assert [row.state for row in rows_of(tmp_path)] == ["down", "down"]


def test_a_process_that_died_is_down_and_one_that_does_not_answer_is_silent(tmp_path):
    targets.join(tmp_path, NOWHERE, {"job": "mevflow-hub"})
    rows = rows_of(tmp_path)
    assert find(rows, "mevflow-hub").state == "silent"
    listed = json.loads(targets.path(tmp_path).read_text())
    listed[0]["labels"]["__meta_mevflow_started"] = "1"
    targets.path(tmp_path).write_text(json.dumps(listed))
    rows = rows_of(tmp_path)
    assert find(rows, "mevflow-hub").state == "down"
    assert names(rows, tmp_path) == [("TargetDown", "mevflow-hub")]


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"mevflow_shard_failing": 1.0}, "ShardRestarting"),
        ({"mevflow_event_time_lag_seconds": 31.0}, "LagSecondsHigh"),
        ({"mevflow_kill_engaged": 1.0}, "KillEngaged"),
        ({"mevflow_clickhouse_parts": 151.0}, "TooManyParts"),
        ({"mevflow_kafka_queue_records": 500_001.0}, "KafkaProduceFailing"),
        ({"mevflow_disk_free_bytes": 4.0, "mevflow_disk_size_bytes": 100.0}, "DiskWillFill"),
    ],
)
def test_each_rule_fires_beyond_its_bound_only(tmp_path, figures, name):
    assert names([RunningService("mevflow-x", "t/0", "up", "", figures=figures)], tmp_path) == [(name, "mevflow-x t/0")]
    calm = {metric: 100.0 if "disk" in metric else 0.0 for metric in figures}
    assert names([RunningService("mevflow-x", "t/0", "up", "", figures=calm)], tmp_path) == []


def test_samples_of_one_metric_become_one_figure():
    page = b'# HELP x\nmevflow_restarts_total{shard="0"} 1.0\nmevflow_restarts_total{shard="1"} 2e0\nother 5\n'
    assert figures_of(page) == {"mevflow_restarts_total": 3.0}


@contextmanager
def prometheus(body):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/v1/alerts" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_prometheus_says_what_fires():
    firing = {"labels": {"alertname": "DLQGrowing", "severity": "ticket", "topology": "t"}, "state": "firing"}
    body = {"data": {"alerts": [{**firing, "annotations": {"summary": "s"}}, {**firing, "state": "pending"}]}}
    with prometheus(json.dumps(body).encode()) as url:
        (alert,) = of_prometheus(url)
    assert (alert.name, alert.severity, alert.of, alert.summary) == ("DLQGrowing", "ticket", "t", "s")
    for noise in (b"{", b"[]", b'{"data": {"alerts": [1]}}'):
        with prometheus(noise) as url, pytest.raises(UnreachableError):
            of_prometheus(url)
    with pytest.raises(UnreachableError):
        of_prometheus(f"http://{NOWHERE}")
