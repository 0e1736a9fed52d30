"""``river.model``: labels come from the stream with their delay, and are what the stream says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mevflow.operators.model.contest import Happening, Row
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import RiverModel
from mevflow.operators.stage import StageContext
from mevflow.sources.recorded import open_recorded
from mevflow.testing import END, Outputs
from mevflow.v1 import market_pb2 as market
from tests.operators.decide.opportunities import batch, opportunity
from tests.operators.detect.feeding import UNISWAP_DAY, items, make, run

LINEAR = "StandardScaler | LogisticRegression"


def model(**given: Any) -> RiverModel:
    settings = {"chain": "solana", "target": "survives", "champion": LINEAR, "report_every": 1, "delay_slots": 2}
    return RiverModel(ModelSettings.model_validate(settings | given), StageContext("t", "scored"))


def labels(stage: RiverModel, *rows: dict[str, Any]) -> list[float]:
    """The labels that are learned from rows, in order."""
    seen: list[float] = []
    learn = stage._contest.learn

    def note(row: Row, said: Mapping[int, float], label: float) -> list[Happening]:
        seen.append(label)
        return learn(row, said, label)

    stage._contest.learn = note  # type: ignore[method-assign]
    Outputs().give(stage, [("in", batch(*rows)), ("in", END)])
    return seen


def named(letter: str, slot: int, **given: Any) -> dict[str, Any]:
    return opportunity(slot=slot, opportunity_id=letter.encode() * 16, **given)


def test_a_cycle_that_pays_after_the_delay_survives_and_one_that_closed_by_then_does_not() -> None:
    closing = {"closed": True, "net_profit": b""}
    # Closed within two slots, in the second one, and after it.
    assert labels(model(), named("a", 10), named("b", 11, **closing), named("z", 20)) == [0.0]
    assert labels(model(), named("a", 10), named("b", 12, **closing), named("z", 20)) == [0.0]
    assert labels(model(), named("a", 10), named("b", 13, **closing), named("z", 20)) == [1.0]


def test_decay_is_what_is_left_of_the_profit_when_the_delay_has_passed() -> None:
    tree = {"target": "decay", "champion": "HoeffdingTreeRegressor"}
    rows = [named("a", 10, usd=8.0), named("b", 11, usd=4.0), named("c", 12, usd=2.0), named("d", 13, usd=1.0)]
    assert labels(model(**tree), *rows, named("z", 14, usd=1.0)) == pytest.approx([0.25, 0.25])
    closing = {"closed": True, "net_profit": b"", "usd": 0.0}
    assert labels(model(**tree), named("a", 10, usd=8.0), named("b", 12, **closing), named("z", 30)) == [0.0]


def test_no_label_is_used_before_the_stream_has_shown_it() -> None:
    """Whatever happens to the cycle later, the scores of the rows until then are the same."""
    early = [named(letter, 10 + i) for i, letter in enumerate("abc")]
    one = Outputs().give(model(), [("in", batch(*early, named("z", 12, closed=True, net_profit=b"")))]).tables()
    other = Outputs().give(model(), [("in", batch(*early, named("z", 12)))]).tables()
    assert one["scores"].column("score").to_pylist()[:3] == other["scores"].column("score").to_pylist()[:3]


def test_rows_of_other_chains_are_not_its_business() -> None:
    given = Outputs().give(model(), [("in", batch(named("a", 10, chain=market.CHAIN_ETHEREUM))), ("in", END)])
    assert [port for port, _ in given.batches] == ["opportunities"], "let pass, and nothing said"


def test_waiting_rows_are_bounded_and_what_was_given_up_is_counted() -> None:
    stage = model(max_waiting=5)
    rows = [opportunity(slot=10, opportunity_id=bytes([i]) * 16) for i in range(9)]
    assert len(labels(stage, *rows, named("z", 20))) == 5
    assert stage._waiting.expired == 4 + 1, "four gave way, and the last one waits still when the stream ends"


def test_the_recorded_uniswap_day_is_scored_and_every_row_but_the_last_slots_is_learned() -> None:
    found = run(make(), items(list(open_recorded(*UNISWAP_DAY))))["opportunities"]
    stage = model(chain="ethereum", challengers={"tree": "HoeffdingAdaptiveTreeClassifier"}, delay_slots=1)
    wanted = stage.input_schemas(stage.settings)["in"]
    batches = [part.cast(wanted) for part in pa.Table.from_batches(found.to_batches()).cast(wanted).to_batches()]
    tables = Outputs().give(stage, [*(("in", part) for part in batches), ("in", END)]).tables()
    scores = tables["scores"]
    assert scores.num_rows == 51
    assert set(scores.column("chain").to_pylist()) == {market.CHAIN_ETHEREUM}
    assert np.isfinite(scores.column("score").to_numpy()).all()
    reports = [row for row in tables["events"].to_pylist() if row["kind"] == "report"]
    assert max(row["labels"] for row in reports) == 50
    assert "errors" not in tables
