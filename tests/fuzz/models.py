"""Learned states as strangers send them: in a ``model`` command to a stage that goes on deciding, or scoring.

After every command the stage must do its work on made-up opportunities, and learn from them: with the new model where
it said APPLIED, else with the one before, which is then what it was to the byte. What it knows afterwards must be a
snapshot that a shard can begin again from.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar, overload

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.learn import POLICIES, SPECIAL
from mevflow.operators.model.pipelines import Recipe, kind_of, pipeline, recipe_of, steps_of
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import NAMES, RiverModel
from mevflow.operators.model.state import encode_steps
from mevflow.operators.stage import Command, Stage, StageContext
from tests.operators.decide.opportunities import batch, opportunity, stream

_POLICIES = (*POLICIES, *SPECIAL)
_TREE = {"grace_period": 30, "max_depth": 3, "delta": 0.01}
#: Every step that a pipeline may have.
RECIPES = tuple(
    recipe_of(each)
    for each in (
        "StandardScaler | LogisticRegression",
        ["MinMaxScaler", {"LogisticRegression": {"optimizer": "adam", "l2": 0.01}}],
        [{"HoeffdingTreeClassifier": _TREE}],
        ["StandardScaler", {"HoeffdingAdaptiveTreeClassifier": {**_TREE, "seed": 3}}],
        ["StandardScaler", {"LinearRegression": {"optimizer": "adam"}}],
        ["MinMaxScaler", "LinearRegression"],
        [{"HoeffdingTreeRegressor": _TREE}],
        [{"HoeffdingAdaptiveTreeRegressor": _TREE}],
    )
)
#: Opportunities after each command; a bid on one of them is settled before the last.
_ROWS, _APART = 6, 12
_LESSONS = 3

StageT = TypeVar("StageT", bound=Stage)


class TaughtStates(Sequence[bytes]):
    """What ``teach`` gives, made when it is first asked for: whoever only lists the entries waits for nothing."""

    def __init__(self, teach: Callable[[], tuple[bytes, ...]]) -> None:
        self._teach = teach

    @cached_property
    def _states(self) -> tuple[bytes, ...]:
        return self._teach()

    def __len__(self) -> int:
        return len(self._states)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, at: int | slice) -> bytes | tuple[bytes, ...]:
        return self._states[at]


def states_of_policies() -> tuple[bytes, ...]:
    """What each policy learned from some hundred opportunities."""
    return tuple(_taught(name) for name in _POLICIES)


def states_of_pipelines() -> tuple[bytes, ...]:
    """What each pipeline learned from some hundred rows."""
    return tuple(_learned(recipe) for recipe in RECIPES)


def to_policies() -> Callable[[Sequence[bytes]], int]:
    """Give states to ``bandit.decide``, under the name that stands in them; it decides and learns after each."""

    def made() -> BanditDecide:
        return BanditDecide(BanditSettings(), StageContext("fuzz", "decided"))

    def command(value: bytes) -> dict[str, Any]:
        named = [name for name in _POLICIES if b"\xa4name" + bytes([0xA0 + len(name)]) + name.encode() in value[:9_999]]
        return {"policy": (named or ["tip-linucb"])[0], "state": base64.b64encode(value).decode()}

    def known(stage: BanditDecide) -> bytes:
        return stage._markets[1].learner.policy.snapshot()

    return _given(made, command, known, "decisions")


def to_pipelines() -> Callable[[Sequence[bytes]], int]:
    """Give states to a ``river.model`` of their kind, now as a challenger, now to lead; it scores and learns."""
    wanted = {"classifier": ("survives", RECIPES[0]), "regressor": ("decay", RECIPES[4])}
    runs = {kind: _to_stage(target, champion) for kind, (target, champion) in wanted.items()}

    def run(values: Sequence[bytes]) -> int:
        refused = 0
        for value in values:
            refused += runs["regressor" if b"Regress" in value[:200] else "classifier"]([value])
        return refused

    return run


def _to_stage(target: str, champion: Recipe) -> Callable[[Sequence[bytes]], int]:
    given = {"chain": "solana", "target": target, "champion": champion, "delay_slots": 2}

    def made() -> RiverModel:
        return RiverModel(ModelSettings.model_validate(given), StageContext("fuzz", "landing"))

    def command(value: bytes) -> dict[str, Any]:
        leads = len(value) % 2 == 0
        name = "champion" if leads else "sent"
        return {"candidate": name, "champion": leads, "state": base64.b64encode(value).decode()}

    def known(stage: RiverModel) -> bytes:
        # As a shard keeps it: a candidate that has come to hold what is no number begins anew.
        return msgspec.msgpack.encode([(one.name, one.steps) for one in stage._contest.snapshot().candidates])

    return _given(made, command, known, "scores")


def _given(
    make: Callable[[], StageT],
    command: Callable[[bytes], dict[str, Any]],
    known: Callable[[StageT], bytes],
    port: str,
) -> Callable[[Sequence[bytes]], int]:
    stage, version, rows = make(), 0, _rows()

    def run(values: Sequence[bytes]) -> int:
        nonlocal stage, version
        refused = 0
        for value in values:
            version += 1
            before = known(stage)
            ack = stage.on_control(Command(f"c{version}", "model", "", version, json.dumps(command(value)).encode()))
            assert ack is not None
            assert ack.status in ("APPLIED", "REJECTED"), ack
            assert len(ack.detail) < 2_000, "an answer must fit into a message"
            if ack.status == "REJECTED":
                refused += 1
                assert known(stage) == before, f"the model has changed although {ack}"
            for _ in range(_LESSONS if ack.status == "APPLIED" else 1):
                made = _made(stage, next(rows), port)
                assert made >= 1, f"nothing on {port} after {ack}"
            if ack.status == "REJECTED":
                continue
            state = stage.snapshot()
            stage = make()
            stage.restore(state)
            assert stage.snapshot() == state, f"begun again it is another after {ack}"
        return refused

    return run


def _made(stage: Stage, given: pa.RecordBatch, port: str) -> int:
    return sum(out.num_rows for name, out in stage.process("in", given) if name == port)


def _rows() -> Any:
    """Batches for ever, each later than the last; what the rows look like comes again after a while."""
    rng = random.Random(5)
    drawn = [batch(*(_row(rng, at) for at in range(_ROWS))) for _ in range(40)]
    places = {name: drawn[0].schema.get_field_index(name) for name in ("slot", "opened_slot", "opportunity_id")}
    turn = 0
    while True:
        given, later = drawn[turn % len(drawn)], turn * _ROWS * _APART
        turn += 1
        for name in ("slot", "opened_slot"):
            moved = pa.array(given.column(name).to_numpy() + later, given.schema.field(name).type)
            given = given.set_column(places[name], given.schema.field(name), moved)
        ids = pa.array([rng.randbytes(16) for _ in range(_ROWS)], given.schema.field("opportunity_id").type)
        yield given.set_column(places["opportunity_id"], given.schema.field("opportunity_id"), ids)


def _row(rng: random.Random, at: int) -> dict[str, Any]:
    slot = 200 + at * _APART
    cycle = tuple(rng.sample(range(1, 200), rng.choice((2, 2, 3, 5))))
    return opportunity(
        slot=slot,
        opened_slot=slot - rng.choice((0, 0, 1, 50)),
        cycle=cycle if len(cycle) < 4 else cycle[:3],
        new_episode=True,
        usd=10.0 ** rng.uniform(-3, 4),
        log_rate=rng.choice((0.001, 0.2, 0.0, -0.1)),
    )


def _taught(name: str) -> bytes:
    stage = BanditDecide(BanditSettings(policy=name), StageContext("fuzz", "decided"))
    for _ in stage.process("in", stream(300)):
        pass
    return msgspec.msgpack.decode(stage.snapshot(), type=StageState).markets[1].policy


def _learned(recipe: Recipe) -> bytes:
    """Labels whose sense changes in the middle, so that trees split and begin alternates."""
    rng, steps = np.random.default_rng(1), steps_of(recipe)
    model, classifies = pipeline(steps), kind_of(recipe) == "classifier"
    for at, values in enumerate(rng.normal(size=(400, len(NAMES))).tolist()):
        row = dict(zip(NAMES, values, strict=True))
        label = row[NAMES[0]] + 0.5 * row[NAMES[1]] > 0.0
        label ^= at > 200
        model.learn_one(row, label if classifies else float(label))
    return encode_steps(recipe, steps, 400)
