"""Scores and events of models in their tables, and regret by day."""

from __future__ import annotations

import math
from typing import Any

from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import RiverModel
from mevflow.operators.stage import Stage, StageContext
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.testing import END
from tests.operators.decide.opportunities import stream

LINEAR = "StandardScaler | LogisticRegression"


def stored(stage: Stage, server: Any, database: str) -> dict[str, list[dict[str, Any]]]:
    """Run a stage over a feed into the sink; gives what it gave by port."""
    sink = ClickHouseSink(ClickHouseSettings(port=server.port, database=database), stage.context)
    sink.open(None)
    rows: dict[str, list[dict[str, Any]]] = {}
    for given in (stage.process("in", stream(200, seed=4)), stage.on_watermark("in", END)):
        for port, piece in given:
            sink.write(piece)
            rows.setdefault(port, []).extend(piece.to_pylist())
    sink.snapshot()
    sink.close()
    return rows


def test_scores_and_events_are_stored_as_they_were_given(
    clickhouse_server: Any, clickhouse_client: Any, clickhouse_database: str
) -> None:
    settings = {"chain": "solana", "target": "survives", "champion": LINEAR, "challengers": {"other": LINEAR}}
    stage = RiverModel(ModelSettings.model_validate(settings | {"report_every": 50}), StageContext("learn", "landing"))
    rows = stored(stage, clickhouse_server, clickhouse_database)
    found = clickhouse_client.query(
        f"SELECT opportunity_id, score, candidate, model_version, chain FROM {clickhouse_database}.model_scores FINAL"
    ).result_rows
    assert sorted(found) == sorted(
        (row["opportunity_id"].hex(), row["score"], row["candidate"], row["model_version"], "solana")
        for row in rows["scores"]
    )
    events = clickhouse_client.query(
        "SELECT ordinal, kind, candidate, champion, labels, log_loss, evidence "
        f"FROM {clickhouse_database}.model_events FINAL ORDER BY ordinal"
    ).result_rows
    assert [row[:5] for row in events] == [
        (row["ordinal"], row["kind"], row["candidate"], row["champion"], row["labels"]) for row in rows["events"]
    ]
    assert [math.isnan(row[6]) for row in events] == [row["champion"] for row in rows["events"]]


def test_regret_is_what_the_best_arm_would_have_brought_less_what_came(
    clickhouse_server: Any, clickhouse_client: Any, clickhouse_database: str
) -> None:
    stage = BanditDecide(BanditSettings(exploration=0.5), StageContext("regret", "decided"))
    rows = stored(stage, clickhouse_server, clickhouse_database)
    best: dict[bytes, float] = {}
    for row in rows["counterfactuals"]:
        best[row["decision_id"]] = max(best.get(row["decision_id"], -math.inf), row["estimate_usd"])
    came = {row["decision_id"]: row["reward_usd"] for row in rows["outcomes"] if row["kind"] != "expired"}
    wanted = sum(max(best.get(identifier, reward), reward) - reward for identifier, reward in came.items())
    found = clickhouse_client.query(
        f"SELECT sum(decisions), sum(regret_usd) FROM {clickhouse_database}.mev_regret_1d WHERE topology = 'regret'"
    ).result_rows[0]
    assert found[0] == len(came)
    assert abs(found[1] - wanted) < 1e-9 * max(1.0, wanted)
    assert wanted > 0.0
