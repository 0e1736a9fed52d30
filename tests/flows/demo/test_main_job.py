"""The main job: two recorded days through Kafka, detection, decisions and ClickHouse; again; and replayed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mevflow.processes.addresses import free_port

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An environment of its own: state folder and ports."""
    var = tmp_path_factory.mktemp("main") / "var"
    environment = {
        **os.environ,
        "MEVFLOW_VAR": str(var),
        "MEVFLOW_KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "MEVFLOW_KAFKA__CONTROLLER_PORT": str(free_port()),
        "MEVFLOW_CLICKHOUSE__PORT": str(free_port()),
        "MEVFLOW_WEBSOCKET__PORT": str(free_port()),
        "MEVFLOW_CONTROL__PORT": str(free_port()),
        "MEVFLOW_CONTROL__HTTP_PORT": str(free_port()),
    }
    yield environment
    for command in (
        ("control", "stop"),
        ("stop", "detect-live"),
        ("hub", "stop"),
        ("clickhouse", "stop"),
        ("broker", "stop"),
    ):
        subprocess.run([sys.executable, "-m", "mevflow.cli", *command], cwd=ROOT, env=environment, check=False)


def mevflow(environment, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "mevflow.cli", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def mevflow_json(environment, *arguments):
    return json.loads(mevflow(environment, *arguments, "--json"))


@pytest.fixture(scope="module")
def first(world):
    return mevflow_json(world, "demo", "--keep")


def test_both_chains_come_out_whole(first):
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


def test_sums_by_minute_equal_the_rows(world, first):
    sql = "SELECT (SELECT sum(opportunities) FROM mev_stats_1m) = (SELECT countIf(NOT closed) FROM mev_opportunities)"
    row = mevflow_json(world, "clickhouse", "query", sql)
    assert [bool(value) for value in row.values()] == [True]


def test_a_second_run_doubles_nothing(world, first):
    again = mevflow_json(world, "demo", "--keep")
    assert again["published"] == 0
    assert again["tables"] == first["tables"]
    assert again["top"] == first["top"]


def test_two_replays_of_one_window_are_equal_and_equal_the_live_run(world, first):
    window = ("--from", "2024-01-05T06:00Z", "--to", "2024-01-05T12:00Z")
    dry = mevflow_json(world, "replay", "detect-live", *window, "--run-id", "r0", "--dry-run")
    assert sum(source["in_window"] for source in dry["sources"].values()) > 0
    runs = [mevflow_json(world, "replay", "detect-live", *window, "--run-id", run) for run in ("r1", "r2")]
    contents = [{r["message"]: (r["rows"], r["sha256"]) for r in run["results"]} for run in runs]
    assert contents[0] == contents[1]
    assert contents[0]["Opportunity"][0] > 0
    columns = "opportunity_id, amount_in, amount_out, net_profit, closed, `legs.amount_in`"
    where = "timestamp >= '2024-01-05 06:00:00' AND timestamp < '2024-01-05 12:00:00'"
    hashes = [
        mevflow_json(
            world, "clickhouse", "query",
            f"SELECT count(), sum(cityHash64({columns})) FROM mev_opportunities FINAL "
            f"WHERE run_id = '{run}' AND {where}",
        )
        for run in ("", "r1", "r2")
    ]  # fmt: skip
    assert hashes[0] == hashes[1] == hashes[2]


def test_opportunities_top(world, first):
    lines = mevflow(world, "opportunities", "top", "--limit", "3", "--json").splitlines()
    profits = [json.loads(line)["net_profit_usd"] for line in lines]
    assert len(profits) == 3
    assert profits == sorted(profits, reverse=True)


def test_status_and_stop(world, first):
    status = mevflow_json(world, "status", "detect-live")
    assert status["state"] == "running"
    assert status["shards"][0]["caught_up"]
    assert mevflow_json(world, "stop", "detect-live")["state"] == "stopped"
    assert mevflow_json(world, "status", "detect-live")["state"] == "stopped"


GOLDEN = ROOT / "tests/data/golden_replay.json"


def test_the_recorded_days_give_the_golden_results(world, first):
    """Every result of both days, held against the hashes that are kept; docs/replay.md says how to renew them."""
    from mevflow.flows.replay.golden import golden, load, save

    mevflow_json(world, "replay", "detect-live", "--run-id", "golden", "--no-clickhouse", "--allow-lost-commands")
    found = golden(Path(world["MEVFLOW_VAR"]) / "replay/detect-live/golden/results")
    if os.environ.get("MEVFLOW_GOLDEN") == "write":
        save(GOLDEN, found)
    assert found == load(GOLDEN)
