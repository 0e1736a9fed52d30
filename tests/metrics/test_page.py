"""Pages, buckets, targets and the endpoint, each by itself."""

import doctest
import http.client
import json
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mevflow.metrics import buckets, merge, targets
from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import BOUNDS, CATALOGUE
from mevflow.metrics.document import document
from mevflow.metrics.endpoint import Endpoint
from mevflow.metrics.page import Page

ROOT = Path(__file__).resolve().parents[2]
IDS = {"id", "pool", "mint", "signature", "address", "decision_id", "run_id", "pid", "run", "peer"}


def get(address, path="/metrics", host=None):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers={"Host": host} if host else {})
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    return reply.status, reply.headers, body


@pytest.mark.parametrize("module", [buckets, merge])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_names_are_well_formed():
    for name, metric in CATALOGUE.items():
        assert re.fullmatch(r"mevflow_[a-z_]+", name)
        assert not name.endswith(("_total", "_info", "_bucket", "_count", "_sum"))
        assert not IDS & set(metric.labels), f"{name} has an id as a label"
        assert (metric.kind == "histogram") == (name in BOUNDS)
        assert not re.search(r"_(ms|us|mb|kb|pct)(_|$)", name), f"{name} is not in a base unit"


def test_the_document_is_of_this_code():
    assert (ROOT / "docs" / "metrics.md").read_text() == document(), (
        "python -m mevflow.metrics.document docs/metrics.md"
    )


def test_a_page_takes_what_the_catalogue_has_and_nothing_else():
    page = Page({"topology": "t"})
    with pytest.raises(KeyError):
        page.put("mevflow_no_such_thing", 1)
    with pytest.raises(ValueError, match="labels"):
        page.put("mevflow_events", 1, stage="s")
    page.put("mevflow_events", 3, stage='a"b\\c\n', outcome="in")
    seen = Buckets(BOUNDS["mevflow_stage_seconds"])
    seen.observe(0.02)
    page.put("mevflow_stage_seconds", seen, stage="s")
    families = {family.name: family for family in text_string_to_metric_families(page.text().decode())}
    (sample,) = families["mevflow_events"].samples
    assert sample.name == "mevflow_events_total"
    assert sample.labels == {"stage": 'a"b\\c\n', "outcome": "in", "topology": "t"}
    by_bound = {s.labels["le"]: s.value for s in families["mevflow_stage_seconds"].samples if "le" in s.labels}
    assert (by_bound["0.01"], by_bound["0.025"], by_bound["+Inf"]) == (0, 1, 1)


def test_the_endpoint_serves_and_is_found(tmp_path):
    endpoint = Endpoint({"topology": "t"}, []).join(tmp_path, "mevflow-shard")
    (target,) = json.loads(targets.path(tmp_path).read_text())
    assert target["targets"] == [endpoint.address]
    assert target["labels"]["job"] == "mevflow-shard"
    assert targets.path(tmp_path).stat().st_mode & 0o077 == 0
    status, headers, body = get(endpoint.address)
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert any(f.name == "mevflow_build" for f in text_string_to_metric_families(body))
    assert get(endpoint.address, "/etc/passwd")[0] == 404
    assert get(endpoint.address, host="evil.example:80")[0] == 403
    endpoint.close()
    assert targets.read(tmp_path) == []
    with pytest.raises(OSError, match="refused"):
        get(endpoint.address)


def test_a_part_that_fails_is_an_error_of_the_scrape_and_of_nothing_else():
    fails = [True]

    def tell(page):
        if fails[0]:
            raise RuntimeError("no figures")

    endpoint = Endpoint({}, [tell])
    assert get(endpoint.address)[0] == 500
    fails[0] = False
    assert get(endpoint.address)[0] == 200
    endpoint.close()


def test_a_successor_takes_the_place_of_one_that_was_killed(tmp_path):
    targets.join(tmp_path, "127.0.0.1:1", {"job": "mevflow-hub"})
    targets.join(tmp_path, "127.0.0.1:2", {"job": "mevflow-control"})
    targets.join(tmp_path, "127.0.0.1:3", {"job": "mevflow-hub"})
    assert [each.targets for each in targets.read(tmp_path)] == [["127.0.0.1:2"], ["127.0.0.1:3"]]


def test_the_dead_are_found(tmp_path):
    mine = targets.join(tmp_path, "127.0.0.1:1", {"job": "mevflow-hub"})
    dead = targets.Target(["127.0.0.1:2"], {"job": "x", "__meta_mevflow_pid": "1", "__meta_mevflow_started": "999"})
    targets.path(tmp_path).write_bytes(json.dumps([t.__struct_fields__ and {"targets": t.targets, "labels": t.labels}
                                                   for t in (mine, dead)]).encode())  # fmt: skip
    assert targets.prune(tmp_path, dry_run=True) == [dead]
    assert targets.prune(tmp_path) == [dead]
    assert targets.read(tmp_path) == [mine]
