"""The main job: two recorded days through Kafka, detection, decisions and ClickHouse; again; and replayed."""

import json
import os

import pytest

from tests.plugins.deployment import ROOT

pytestmark = pytest.mark.timeout(1200)


def test_both_chains_come_out_whole(live):
    first = live.first
    chains = {row["chain"]: row for row in first["chains"]}
    assert chains["solana"]["swaps"] == 9466
    assert chains["ethereum"]["swaps"] == 6313
    assert chains["ethereum"]["episodes"] > 0
    tables = first["tables"]
    assert tables["raw_swaps"] == 9466 + 6313
    for name in (
        "dex_pools",
        "price_feeds",
        "mev_opportunities",
        "mev_decisions",
        "mev_decision_lineage",
        "mev_stats_1m",
        "transaction_labels",
        "control_acks",
        "control_audit",
    ):
        assert tables[name] > 0, name
    assert tables["dead_letters"] == 0


def test_sums_by_minute_equal_the_rows(live):
    sql = "SELECT (SELECT sum(opportunities) FROM mev_stats_1m) = (SELECT countIf(NOT closed) FROM mev_opportunities)"
    row = live.json("clickhouse", "query", sql)
    assert [bool(value) for value in row.values()] == [True]


def test_a_second_run_doubles_nothing(live):
    again = live.json("demo", "--keep")
    assert again["published"] == 0
    assert again["tables"] == live.first["tables"]
    assert again["top"] == live.first["top"]


def test_two_replays_of_one_window_are_equal_and_equal_the_live_run(live):
    window = ("--from", "2024-01-05T06:00Z", "--to", "2024-01-05T12:00Z")
    dry = live.json("replay", "detect-live", *window, "--run-id", "r0", "--dry-run")
    assert sum(source["in_window"] for source in dry["sources"].values()) > 0
    runs = [live.json("replay", "detect-live", *window, "--run-id", run) for run in ("r1", "r2")]
    contents = [{r["message"]: (r["rows"], r["sha256"]) for r in run["results"]} for run in runs]
    assert contents[0] == contents[1]
    assert contents[0]["Opportunity"][0] > 0
    columns = "opportunity_id, amount_in, amount_out, net_profit, closed, `legs.amount_in`"
    where = "timestamp >= '2024-01-05 06:00:00' AND timestamp < '2024-01-05 12:00:00'"
    hashes = [
        live.json(
            "clickhouse", "query",
            f"SELECT count(), sum(cityHash64({columns})) FROM mev_opportunities FINAL "
            f"WHERE run_id = '{run}' AND {where}",
        )
        for run in ("", "r1", "r2")
    ]  # fmt: skip
    assert hashes[0] == hashes[1] == hashes[2]


def test_opportunities_top(live):
    lines = live.run("opportunities", "top", "--limit", "3", "--json").splitlines()
    profits = [json.loads(line)["net_profit_usd"] for line in lines]
    assert len(profits) == 3
    assert profits == sorted(profits, reverse=True)


def test_status(live):
    status = live.json("status", "detect-live")
    assert status["state"] == "running"
    assert status["shards"][0]["caught_up"]


GOLDEN = ROOT / "tests/data/golden_replay.json"


def test_the_recorded_days_give_the_golden_results(live):
    """Every result of both days, held against the hashes that are kept; docs/replay.md says how to renew them."""
    from mevflow.flows.replay.golden import golden, load, save

    live.json("replay", "detect-live", "--run-id", "golden", "--no-clickhouse", "--allow-lost-commands")
    found = golden(live.var / "replay/detect-live/golden/results")
    if os.environ.get("MEVFLOW_GOLDEN") == "write":
        save(GOLDEN, found)
    assert found == load(GOLDEN)
