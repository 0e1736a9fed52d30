"""``mevflow explain`` over a real engine that holds what the decision stage gave."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mevflow.cli import main
from mevflow.clickhouse.client import connect
from mevflow.clickhouse.daemon import start, stop
from mevflow.clickhouse.migrate import migrate
from mevflow.clickhouse.queries import load
from mevflow.flows.config import config
from mevflow.flows.explain import PARTS
from mevflow.learning.audit import audit
from mevflow.learning.rederive import rederive
from mevflow.operators.codec import codec
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.v1 import market_pb2 as market
from tests.operators.decide.opportunities import batch, opportunity, stream

SCORE = codec("mevflow.v1.ModelScore").located
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Rows]]:
    """An engine with a live run of three decisions and a replay of the first; its port and the live rows by port."""
    folder = tmp_path_factory.mktemp("engine")
    port = free_port()
    start(folder, port=port)
    try:
        migrate(connect(port=port))
        opened = opportunity(slot=100, usd=10.0, new_episode=True)
        others = [opportunity(slot=slot, cycle=(slot, 9), new_episode=True) for slot in (150, 200)]
        live = write(port, "", [opened, *others])
        write(port, "r1", [opened])
        write(port, "scored", [opened], scores={"landing": 0.75, "stranger": 0.25})
        write(port, "r2", [opportunity(slot=300, cycle=(5, 9), new_episode=True)])
        chains = (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)
        write(port, "many", stream(900, seed=5, chains=chains).to_pylist())
        yield port, live
    finally:
        stop(folder)


def write(port: int, run_id: str, found: list[dict[str, Any]], scores: dict[str, float] | None = None) -> Rows:
    """Decide on the rows, and store the rows, what models said of each, and all that came out."""
    context = StageContext("detect-live", "decided", run_id)
    stage = BanditDecide(BanditSettings(scores=("landing", "late") if scores else ()), context)
    given = batch(*(row | {"topology": "detect-live", "run_id": run_id} for row in found))
    out: list[tuple[str, pa.RecordBatch]] = []
    if scores:
        said = [score(row, model, value) for row in given.to_pylist() for model, value in scores.items()]
        out += [("scores", pa.RecordBatch.from_pylist(said, schema=SCORE))]
        out += stage.process("scores", out[0][1])
    out += stage.process("in", given)
    out += stage.on_watermark("in", Watermark(CAUGHT_UP_US, final=True))
    sink = ClickHouseSink(ClickHouseSettings(port=port), context)
    sink.open(None)
    sink.write(given)
    rows: Rows = {}
    for name, piece in out:
        sink.write(piece)
        rows.setdefault(name, []).extend(piece.to_pylist())
    sink.snapshot()
    sink.close()
    return rows


def score(opportunity: dict[str, Any], model: str, value: float) -> dict[str, Any]:
    """What a model said of an opportunity."""
    blank: dict[pa.DataType, Any] = {pa.binary(): b"", pa.utf8(): ""}
    row = {field.name: opportunity.get(field.name, blank.get(field.type, 0)) for field in SCORE}
    return row | {"model": model, "target": "survives", "candidate": "champion", "score": value, "model_version": 41}


def call(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``mevflow explain``, or of another command that ``arguments`` begin with."""
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__PORT", str(port))
    config.cache_clear()
    try:
        with pytest.raises(SystemExit) as ended:
            main([*(() if arguments[0] == "diff" else ("explain",)), *arguments])
    finally:
        config.cache_clear()
    shown = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), shown.out, shown.err


@pytest.fixture
def explain(engine: tuple[int, Rows], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``explain(*arguments)`` against the engine."""
    return lambda *arguments: call(engine[0], monkeypatch, capsys, *arguments)


def test_it_leads_from_the_offset_to_the_reward(engine: tuple[int, Rows], explain: Any) -> None:
    decision, outcome = engine[1]["decisions"][0], engine[1]["outcomes"][0]
    code, out, _ = explain(decision["decision_id"].hex(), "--json")
    story = json.loads(out)
    assert code == 0
    assert (story["lineage"]["topic"], story["lineage"]["partition"], story["lineage"]["offset"]) == (
        "dex-swaps-proto",
        0,
        100,
    )
    assert story["decision"]["arm"] == decision["arm"]
    assert story["decision"]["arm_propensities"] == decision["arm_propensities"]
    assert story["decision"]["features"]["bias"] == 1.0
    assert story["opportunity"]["net_profit"] == "10000000"
    assert story["opportunity"]["pools"] == story["lineage"]["pools"]
    (stored,) = story["outcomes"]
    assert (stored["kind"], stored["reward_usd"]) == (outcome["kind"], outcome["reward_usd"])
    assert len(story["counterfactuals"]) == len(decision["arms"]) - 1


def test_people_get_the_same_in_words(engine: tuple[int, Rows], explain: Any) -> None:
    decision = engine[1]["decisions"][0]
    code, out, _ = explain(decision["decision_id"].hex()[:8].upper())
    assert code == 0
    for part in ("dex-swaps-proto[0]@100", "USDC > SOL > USDC", "tip-linucb version 0", "state=open", "log_profit"):
        assert part in out


def test_models_are_named_with_what_they_predict(engine: tuple[int, Rows], explain: Any) -> None:
    identifier = engine[1]["decisions"][0]["decision_id"].hex()
    _, out, _ = explain(identifier, "--run-id", "scored", "--json")
    story = json.loads(out)
    assert [(row["model"], row["score"], row["model_version"]) for row in story["scores"]] == [
        ("landing", 0.75, 41),
        ("stranger", 0.25, 41),
    ]
    # The policy listens to landing and late, and late was silent: of it nothing is stored.
    named = list(story["decision"]["features"].items())[-4:]
    assert named == [("scored_landing", 1.0), ("score_landing", 0.75), ("scored_2", 0.0), ("score_2", 0.0)]
    _, text, _ = explain(identifier, "--run-id", "scored")
    assert "survives: chance that the cycle still pays delay_slots later" in text
    assert "score_landing" in text
    assert "What models said" not in explain(identifier)[1], "none was asked"


def test_a_replay_tells_its_own_story(engine: tuple[int, Rows], explain: Any) -> None:
    identifier = engine[1]["decisions"][0]["decision_id"].hex()
    _, out, _ = explain(identifier, "--run-id", "r1", "--json")
    assert json.loads(out)["decision"]["run_id"] == "r1"


def test_an_unknown_id_is_said_to_be_unknown(explain: Any) -> None:
    code, out, err = explain("0" * 32)
    assert (code, out) == (1, "")
    assert "no decision 0000" in err


def test_a_decision_of_another_run_is_pointed_to(engine: tuple[int, Rows], explain: Any) -> None:
    code, _, err = explain(engine[1]["decisions"][1]["decision_id"].hex(), "--run-id", "r1")
    assert code == 1
    assert "the live run" in err


def test_what_is_no_id_is_a_usage_error(explain: Any) -> None:
    code, _, err = explain("decision-7")
    assert code == 2
    assert "hexadecimal" in err


def test_no_engine_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        code, _, err = call(taken.getsockname()[1], monkeypatch, capsys, "0" * 32)
    assert code == 3
    assert "mevflow clickhouse start" in err


def test_every_decision_follows_from_the_record_to_the_bit(engine: tuple[int, Rows]) -> None:
    """Features, scores, chances, seed, draw and tip, of early decisions and of those after many lessons."""
    client = connect(port=engine[0], database="mevflow")
    sql = PARTS["decision"].split("FROM mev_decisions")[0] + "FROM mev_decisions FINAL WHERE run_id = 'many'"
    result = client.query(sql + " ORDER BY chain, slot, decision_id")
    rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
    assert len(rows) > 150
    assert max(row["model_version"] for row in rows) > 60
    for row in [*rows[:10], *rows[::9]]:
        wrong = [one.as_dict() for one in rederive(client, row, BanditSettings()) if not one.equal]
        assert not wrong, wrong
    # Which input differs is said, each by its name.
    other = rows[40] | {"seed": rows[40]["seed"] ^ 1, "tip": "1"}
    assert {one.what for one in rederive(client, other, BanditSettings()) if not one.equal} >= {"seed", "tip"}
    changed = rederive(client, rows[40], BanditSettings(options={"width": 0.71}))
    assert {one.what for one in changed if not one.equal} == {"arm_scores"}
    asked = rederive(client, rows[40], BanditSettings(policy="tip-exp3"))
    assert {one.what: one.why for one in asked if one.why}.keys() == {"arm_scores", "arm_propensities"}
    # The file no longer has all arms that lessons are of.
    last = max((row for row in rows if set(row["arms"]) == {"skip"}), key=lambda row: row["model_version"])
    fewer = {one.what: one.why for one in rederive(client, last, BanditSettings(arms=("0.1", "skip")))}
    assert "other arms" in fewer["arm_scores"]
    assert fewer["draw"] == ""
    client.close()


def test_an_audit_passes_and_finds_what_was_not_drawn_so(engine: tuple[int, Rows]) -> None:
    client = connect(port=engine[0], database="mevflow")
    found = audit(client, "detect-live", "many")
    assert found.passed, found.faults
    assert found.decisions == sum(chosen for chosen, _, _ in found.arms.values()) > 150
    assert found.decisions == pytest.approx(sum(expected for _, expected, _ in found.arms.values()))
    client.command(
        "INSERT INTO mev_decisions (timestamp, decision_id, topology, run_id, arm, propensity, exploration, seed, "
        "arms, arm_propensities) SELECT timestamp, decision_id, topology, 'forged', arm, 0.5, exploration, seed, arms, "
        "arrayMap(x -> if(x = 'skip', 1., 0.), arms) FROM mev_decisions FINAL WHERE run_id = 'many'"
    )
    forged = audit(client, "detect-live", "forged")
    assert not forged.passed
    assert len(forged.faults) == 3, forged.faults
    for name in ("regret_by_day", "calibration", "arm_shares_by_hour", "decisions_by_model"):
        assert client.query(load(name).sql, {"run_id": "many"}).result_rows, name
    regret = client.query(load("regret_by_day").sql, {"run_id": "many"})
    assert all(row[-1] >= 0.0 for row in regret.result_rows)
    client.close()


def test_the_command_rederives_and_compares(engine: tuple[int, Rows], explain: Any) -> None:
    first, second = (row["decision_id"].hex() for row in engine[1]["decisions"][:2])
    file = str(Path(__file__).resolve().parents[2] / "topologies.yaml")
    code, out, err = explain(first, "--rederive", "--json", "--file", file)
    assert code == 0, err
    assert {row["what"] for row in json.loads(out)} == {
        "features",
        "tip",
        "arm_scores",
        "arm_propensities",
        "seed",
        "draw",
    }
    code, out, _ = explain("diff", first, second, "--json")
    assert code == 4
    assert {"decision.slot", "lineage.offset"} <= {row["field"] for row in json.loads(out)}
    assert explain("diff", first, first)[0] == 0


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
