"""``mevflow evaluate`` over a real engine that holds what the decision stage gave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mevflow.cli import main
from mevflow.clickhouse.client import connect
from mevflow.clickhouse.daemon import start, stop
from mevflow.clickhouse.migrate import migrate
from mevflow.flows.config import config
from mevflow.flows.demo import report
from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.learning.evaluation.stored import read_log, replayed_chances
from mevflow.learning.verdict import newest
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from tests.operators.decide.opportunities import stream


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An engine with decisions of a random logger, and of a replay of the same record by another policy."""
    folder: Path = tmp_path_factory.mktemp("engine")
    port = free_port()
    start(folder, port=port)
    try:
        migrate(connect(port=port))
        write(port, "", "tip-random")
        write(port, "r1", "tip-linucb")
        write(port, "never", "tip-linucb", attribution={"activation": "deferred"})
        write(port, "early", "tip-linucb", stream(40, seed=4))
        yield port
    finally:
        stop(folder)


def write(port: int, run_id: str, policy: str, found: pa.RecordBatch | None = None, **given: Any) -> None:
    context = StageContext("detect-live", "decided", run_id)
    stage = BanditDecide(BanditSettings(policy=policy, **given), context)
    found = stream(3_000, seed=4) if found is None else found
    out: list[tuple[str, pa.RecordBatch]] = [*stage.process("in", found)]
    out += stage.on_watermark("in", Watermark(CAUGHT_UP_US, final=True))
    sink = ClickHouseSink(ClickHouseSettings(port=port), context)
    sink.open(None)
    for name, piece in out:
        if name in ("decisions", "outcomes"):
            sink.write(piece)
    sink.snapshot()
    sink.close()


def test_the_log_is_what_was_decided_and_settled(port: int) -> None:
    log, ids = read_log(connect(port=port, database="mevflow"), "detect-live", "1970-01-01", "2100-01-01")
    assert len(set(ids)) == len(log) > 500
    assert log.names[-1] == "skip"
    assert np.allclose(log.chances.sum(axis=1), 1.0)
    assert len(np.unique(log.episodes)) < len(log)
    target, there = replayed_chances(connect(port=port, database="mevflow"), log, ids, "detect-live", "r1")
    assert 0.3 < there.mean() <= 1.0
    assert np.allclose(target[there].sum(axis=1), 1.0)
    with pytest.raises(MevflowError, match="no settled decision"):
        read_log(connect(port=port, database="mevflow"), "detect-live", "2050-01-01", "2100-01-01")


def test_what_never_took_effect_is_no_part_of_the_log(port: int) -> None:
    client = connect(port=port, database="mevflow")
    with pytest.raises(MevflowError, match="no settled decision"):
        read_log(client, "detect-live", "1970-01-01", "2100-01-01", run_id="never")


def test_a_replay_of_another_window_is_told_from_the_one_that_was_asked_about(port: int) -> None:
    client = connect(port=port, database="mevflow")
    log, ids = read_log(client, "detect-live", "1970-01-01 00:10:00", "2100-01-01")
    with pytest.raises(MevflowError, match="decided none of the log's"):
        replayed_chances(client, log, ids, "detect-live", "early")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--policy", "uniform"), 0),
        (("--policy", "arm:0.5", "--by", "decision", "--once"), 0),
        (("--policy", "uniform", "--to", "1970-01-01 00:02:00"), 4),
        (("--policy", "tip-nothing"), 2),
        ((), 2),
    ],
)
def test_the_command_answers_or_refuses(
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
) -> None:
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__PORT", str(port))
    config.cache_clear()
    try:
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *arguments, "--json"])
    finally:
        config.cache_clear()
    shown = capsys.readouterr()
    assert (ended.value.code or 0) == code, shown.err
    if code in (0, 4):
        found = json.loads(shown.out)
        assert found["enough"] == (code == 0)
        assert {row["method"] for row in found["estimates"]} >= {"ips", "snips", "dr", "switch-dr", "dros", "bounded"}
    if code == 4:
        assert "decisions more" in shown.err


def test_the_report_says_on_how_many_bids_landing_hung(port: int) -> None:
    found = report.landing(connect(port=port, database="mevflow"))
    assert found["settled"] > found["hung_on_bid"] > 0
    assert found["implausible"] == 0


def test_a_registered_model_is_judged_and_its_verdict_kept_beside_it(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = BanditDecide(BanditSettings(), StageContext("detect-live", "decided"))
    for _ in stage.process("in", stream(3_000, seed=9)):
        pass
    state = msgspec.msgpack.decode(stage.snapshot(), type=StageState).markets[1].policy
    registry = ModelRegistry(tmp_path / "models")
    meta = registry.save(state, ModelMeta(name="tips", kind="policy", learner="tip-linucb", chain="solana"))
    monkeypatch.setenv("MEVFLOW_CLICKHOUSE__PORT", str(port))
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    for window, enough in (((), True), (("--to", "1970-01-01 00:02:00"), False)):
        config.cache_clear()
        try:
            with pytest.raises(SystemExit) as ended:
                main(["evaluate", "--model", "tips", "--json", *window])
        finally:
            config.cache_clear()
        shown = capsys.readouterr()
        assert (ended.value.code or 0) == (0 if enough else 4), shown.err
        judged = newest(registry, meta)
        assert judged is not None
        assert judged.units == json.loads(shown.out)["units"]
        assert bool(judged.refusals) is not enough
        assert ("mevflow model swap refuses tips@1" in shown.err) is bool(judged.shortfalls)
