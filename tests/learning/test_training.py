"""``mevflow train`` on a recorded day in Kafka: the same window gives the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.flows.config import config
from mevflow.flows.registry import ModelRegistry
from mevflow.flows.replay.plan import plan
from mevflow.learning.jobs import TrainingJob, TrainingJobs
from mevflow.operators.errors import UsageError
from mevflow.operators.model.pipelines import kind_of
from mevflow.operators.model.state import decode_steps, recipe_in
from mevflow.operators.stage import StageContext
from mevflow.processes.background import ProcessId
from mevflow.sinks.kafka.sink import KafkaSink
from mevflow.sources.recorded import open_recorded
from tests.operators.detect.feeding import ROOT, UNISWAP_DAY, located, port_of

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}}}
topologies:
  learn:
    nodes:
      swaps: {{use: kafka.source, with: {{topic: {swaps}, start: earliest}}}}
      updates: {{use: kafka.source, with: {{topic: {updates}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      pools: {{use: decode, from: updates, with: {{message: mevflow.v1.PoolUpdate}}}}
      found:
        use: arbitrage.detect
        from: {{swaps: decoded, updates: pools}}
        with: {{registry: {root}/examples/pools.yaml, min_profit_usd: 0.0}}
      landing:
        use: river.model
        from: found.opportunities
        with:
          {{chain: ethereum, target: survives, delay_slots: 1, champion: StandardScaler | LogisticRegression}}
      kept: {{use: discard.sink, from: [landing.scores, landing.events]}}
      rejects: {{use: discard.sink, from: [decoded.errors, pools.errors, found.errors, landing.errors]}}
"""


@pytest.fixture
def run(kafka_broker: str, make_topic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``run(*arguments)`` calls mevflow beside a topology file whose topics hold the Uniswap day."""
    topics = {"swaps": make_topic(partitions=2), "updates": make_topic(partitions=2)}
    batches: dict[str, list[pa.RecordBatch]] = {"swaps": [], "updates": []}
    for batch in open_recorded(*UNISWAP_DAY):
        batches[port_of(batch)].append(located(batch))
    for port, given in batches.items():
        settings = {"bootstrap": kafka_broker, "topic": topics[port], "key": "pool"}
        sink = KafkaSink(KafkaSink.settings_type.model_validate(settings), StageContext("test", "publish"))
        sink.open(None)
        for batch in given:
            sink.write(batch)
        sink.snapshot()
        sink.close()
    file = tmp_path / "topologies.yaml"
    file.write_text(FILE.format(bootstrap=kafka_broker, root=ROOT, **topics))
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("MEVFLOW_KAFKA__BOOTSTRAP", kafka_broker)
    config.cache_clear()
    yield lambda *arguments: CliRunner().invoke(cli, [*arguments, "--file", str(file)])
    config.cache_clear()


@pytest.mark.services
def test_the_same_window_gives_the_same_content_id_and_what_cannot_learn_is_refused(run: Any, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "var" / "models")
    wrong = run("train", "learn", "found", "--name", "landing")
    assert "learns" in str(wrong.exception)
    assert registry.all() == []
    ids = []
    for attempt in ("one", "two"):
        done = run("train", "learn", "landing", "--name", "landing", "--run-id", attempt, "--json")
        assert done.exception is None, done.exception
        (model,) = json.loads(done.stdout)["models"]
        ids.append((model["id"], model["version"], model["lessons"]))
    assert ids[0] == ids[1]
    assert ids[0][1:] == (1, 50)
    (meta,) = registry.all()
    assert {name: sum(b - a for a, b in parts.values()) > 0 for name, parts in meta.window.items()}
    recipe, learned = recipe_in(registry.state(meta))
    assert (kind_of(recipe), learned) == ("classifier", 50)
    assert len(decode_steps(recipe, registry.state(meta))) == 2


@pytest.mark.services
def test_a_job_in_the_background_registers_the_same_model_and_a_cancelled_one_nothing(run: Any, tmp_path: Path) -> None:
    file, var = tmp_path / "topologies.yaml", tmp_path / "var"
    jobs, registry = TrainingJobs(var), ModelRegistry(var / "models")

    def start(identifier: str, name: str) -> TrainingJob:
        window = plan(file, "learn", var, identifier, from_us=None, to_us=None, warmup_us=0, to_clickhouse=False)
        return jobs.start(window, "landing", name, "", file)

    start("stopped", "stopped")
    with pytest.raises(UsageError, match="already"):
        start("stopped", "stopped")
    stopped = jobs.cancel("stopped")
    assert (stopped.state, stopped.job.alive, registry.all()) == ("cancelled", False, [])
    with pytest.raises(UsageError, match="does not run"):
        jobs.cancel("stopped")
    job = start("kept", "landing")
    ProcessId(*job.process).wait(300)
    found = jobs.find("kept")
    assert (found.state, found.error, found.done) == ("done", "", job.messages)
    by_command = run("train", "learn", "landing", "--name", "landing", "--run-id", "again", "--json")
    assert [model.id for model in found.models] == [one["id"] for one in json.loads(by_command.stdout)["models"]]
    assert [one.job.id for one in jobs.all()] == ["kept", "stopped"]
