"""Scores of models are features; a score that did not come is not known, and not zero."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mevflow.operators.codec import codec
from mevflow.operators.decide.features import FEATURES, named_features
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import RiverModel
from mevflow.operators.stage import CAUGHT_UP_US, Command, StageContext, Watermark
from tests.operators.decide.opportunities import batch, opportunity, stream, swap_stream

END = Watermark(CAUGHT_UP_US, final=True)
SCORE = codec("mevflow.v1.ModelScore").located
OPENED = opportunity(slot=100, usd=10.0, new_episode=True)


def stage(*models: str, **given: Any) -> BanditDecide:
    return BanditDecide(BanditSettings(scores=models, **given), StageContext("test", "decided"))


def score(value: float, model: str = "landing", identifier: bytes = OPENED["opportunity_id"]) -> pa.RecordBatch:
    blank: dict[pa.DataType, Any] = {pa.binary(): b"", pa.utf8(): ""}
    row = {field.name: blank.get(field.type, 0) for field in SCORE} | {"source_topic": "t"}
    row |= {"opportunity_id": identifier, "model": model, "score": value, "chain": 1}
    return pa.RecordBatch.from_pylist([row], schema=SCORE)


def features(one: BanditDecide) -> list[float]:
    out = [made for port, made in one.process("in", batch(OPENED)) if port == "decisions"]
    (row,) = [row for made in out for row in made.to_pylist()]
    values: list[float] = row["features"]
    return values


def test_silence_is_told_from_a_score_of_zero() -> None:
    for given, expected in ((None, [0.0, 0.0]), (0.0, [1.0, 0.0]), (0.75, [1.0, 0.75])):
        one = stage("landing")
        if given is not None:
            assert list(one.process("scores", score(given))) == []
        values = features(one)
        assert values[len(FEATURES) :] == expected
        assert list(named_features(values))[len(FEATURES) :] == ["scored_1", "score_1"]
        name = "landing" if given is not None else "1"
        stored = {"landing": given, "stranger": 0.5} if given is not None else {"stranger": 0.0}
        assert list(named_features(values, stored))[len(FEATURES) :] == [f"scored_{name}", f"score_{name}"]


def test_a_score_that_two_models_may_have_said_is_nobodys() -> None:
    values = [0.0] * len(FEATURES) + [1.0, 0.5, 1.0, 0.25, 1.0, 0.25, 1.0, 0.125]
    names = list(named_features(values, {"a": 0.5, "b": 0.25, "c": 0.125, "d": 0.125}))[len(FEATURES) + 1 :: 2]
    assert names == ["score_a", "score_2", "score_3", "score_4"]
    assert features(stage("landing"))[: len(FEATURES)] == features(stage())


def test_models_go_by_name_and_others_are_passed_by() -> None:
    one = stage("landing", "decay")
    for value, model in ((0.25, "decay"), (0.5, "stranger")):
        list(one.process("scores", score(value, model)))
    assert features(one)[len(FEATURES) :] == [0.0, 0.0, 1.0, 0.25]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.5])
def test_what_is_no_score_is_a_dead_letter(value: float) -> None:
    one = stage("landing")
    ((port, letters),) = one.process("scores", score(value))
    assert port == "errors"
    assert letters.column("reason").to_pylist() == ["bad_score"]
    assert features(one)[len(FEATURES) :] == [0.0, 0.0]


def test_scores_that_wait_are_snapshotted_and_bounded() -> None:
    one = stage("landing", max_open=2)
    for number in range(4):
        list(one.process("scores", score(0.5, identifier=bytes([number]) * 16)))
    list(one.process("scores", score(0.75)))
    restored = stage("landing", max_open=2)
    restored.restore(one.snapshot())
    assert len(msgspec.msgpack.decode(restored.snapshot(), type=StageState).scores) == 2
    assert features(restored)[len(FEATURES) :] == [1.0, 0.75]
    assert OPENED["opportunity_id"] not in msgspec.msgpack.decode(restored.snapshot(), type=StageState).scores


def piped(found: pa.RecordBatch, cut: int, restart: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Opportunities and swaps through a model into the bandit, as a topology wires them; all rows by port."""
    model = RiverModel(ModelSettings(chain="solana", target="survives", champion="StandardScaler | LogisticRegression"),
                       StageContext("test", "landing"))  # fmt: skip
    bandit = stage("landing", policy="tip-lints")
    out: dict[str, list[dict[str, Any]]] = {}

    def keep(given: Any) -> None:
        for port, made in given:
            out.setdefault(port, []).extend(made.to_pylist())

    for at in range(0, found.num_rows, cut):
        part = found.slice(at, cut)
        for port, rows in (("swaps", swap_stream(part)), ("in", part)):
            for name, made in model.process(port, rows):
                into = {"opportunities": "in", "swaps": "swaps", "scores": "scores"}.get(name)
                keep(bandit.process(into, made) if into else ())
        if restart:
            states = model.snapshot(), bandit.snapshot()
            model = RiverModel(model.settings, model.context)
            bandit = stage("landing", policy="tip-lints")
            model.restore(states[0])
            bandit.restore(states[1])
    keep(bandit.on_watermark("in", END))
    return out


def test_a_replay_decides_the_same_to_the_bit_however_it_is_cut() -> None:
    found = stream(300, chains=(1, 2))
    whole = piped(found, 300)
    assert {row["features"][8] for row in whole["decisions"] if row["chain"] == 1} == {1.0}
    assert {tuple(row["features"][8:]) for row in whole["decisions"] if row["chain"] == 2} == {(0.0, 0.0)}
    assert len({row["features"][9] for row in whole["decisions"]}) > 20
    assert piped(found, 37, restart=True) == whole


def test_the_files_models_may_change_between_runs() -> None:
    one = stage("landing")
    found = stream(200)
    list(one.process("in", found.slice(0, 150)))
    payload = b'{"policy": "tip-ucb1", "arms": ["0.5", "skip"], "exploration": 0.1}'
    ack = one.on_control(Command("c", "policy", "decided", 1, payload))
    assert ack is not None
    assert ack.status == "APPLIED"
    for models in ((), ("landing", "decay")):
        other = stage(*models)
        other.restore(one.snapshot())
        made = [out for port, out in other.process("in", found.slice(150)) if port == "decisions"]
        rows = [row for out in made for row in out.to_pylist()]
        assert {len(row["features"]) for row in rows} == {len(FEATURES) + 2 * len(models)}
        assert np.isfinite([row["features"] for row in rows]).all()
        list(other.on_watermark("in", END))
