"""Every metric of the catalogue in a scrape of a live run: real broker, real engine, real hub and control service."""

import http.client
import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mevflow.metrics import targets
from mevflow.metrics.catalogue import CATALOGUE
from tests.plugins.deployment import until

# A deployment starts first, on whatever else the machine does.
pytestmark = pytest.mark.timeout(1200)


def scrape(address, path="/metrics"):
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    assert reply.status == 200, text
    return {family.name: family for family in text_string_to_metric_families(text)}


def by_job(live):
    return {target.labels["job"]: scrape(target.targets[0]) for target in targets.read(live.var)}


def stir(live):
    """A message that nobody can read, a command that a shard answers, a request to the gateway."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": live.bootstrap})
    producer.produce("dex-swaps-proto", b"\xff\xff not a swap", key=b"x")
    assert producer.flush(30) == 0
    live.run("control", "apply", "detect-live", "found", '{"min_profit_usd": 0.04}', "--json")
    gateway = http.client.HTTPConnection("127.0.0.1", int(live.environment["MEVFLOW_CONTROL__HTTP_PORT"]), timeout=30)
    gateway.request("GET", "/api/provisioning/health")
    assert gateway.getresponse().status == 200
    gateway.close()


def value(families, name, **labels):
    found = [
        sample.value
        for sample in families[name].samples
        if labels.items() <= sample.labels.items() and "le" not in sample.labels and not sample.name.endswith("_sum")
    ]
    assert found, f"{name}{labels}"
    return sum(found)


def test_every_name_is_in_a_live_scrape(live):
    jobs = {"mevflow-shard", "mevflow-supervisor", "mevflow-hub", "mevflow-control", "mevflow-clickhouse"}
    assert {target.labels["job"] for target in targets.read(live.var)} == jobs
    stir(live)

    def missing():
        pages = by_job(live)
        return {
            (job, name)
            for job, page in pages.items()
            for name, metric in CATALOGUE.items()
            if job.removeprefix("mevflow-") in metric.processes and not (name in page and page[name].samples)
        }

    until(lambda: not missing(), f"every name: {missing()}")
    for job, page in by_job(live).items():
        for name in page:
            assert job.removeprefix("mevflow-") in CATALOGUE[name].processes, f"{name} of {job} is not in the catalogue"


def test_the_figures_are_those_of_the_run(live):
    page = by_job(live)["mevflow-shard"]
    status = live.json("status", "detect-live")["shards"][0]
    assert value(page, "mevflow_events", stage="decoded", outcome="in") == status["nodes"]["decoded"]["rows_in"]
    assert value(page, "mevflow_events", stage="swaps", outcome="out") >= 9466 + 6313
    count = "SELECT countIf(NOT closed) FROM mev_opportunities FINAL WHERE run_id = ''"
    (stored,) = live.json("clickhouse", "query", count).values()
    assert value(page, "mevflow_opportunities") == int(stored)
    (decided,) = live.json("clickhouse", "query", "SELECT count() FROM mev_decisions FINAL WHERE run_id = ''").values()
    assert value(page, "mevflow_decisions") == int(decided)
    gross = "SELECT sum(gross_profit_usd) FROM mev_opportunities FINAL WHERE NOT closed AND run_id = ''"
    (usd,) = live.json("clickhouse", "query", gross).values()
    assert abs(value(page, "mevflow_opportunity_profit_usd", kind="gross") - float(usd)) < 1e-6 * float(usd)
    assert 0 < value(page, "mevflow_propensity_minimum") <= 1
    assert status["metrics"]


def test_the_supervisor_has_all_shards_on_one_page(live):
    address = live.json("status", "detect-live")["metrics"]
    merged, own = scrape(address, "/shards"), by_job(live)["mevflow-shard"]
    assert set(merged) == set(own)
    assert {sample.labels["shard"] for sample in merged["mevflow_events"].samples} == {"0"}
    assert value(scrape(address), "mevflow_shards", state="alive") == 1


def test_hub_status_and_control_say_where(live):
    addresses = {target.targets[0] for target in targets.read(live.var)}
    assert live.json("hub", "status")["metrics"] in addresses
    assert json.loads((live.var / "control" / "service.json").read_text())["metrics"] in addresses
