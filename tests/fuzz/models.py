"""Learned states as strangers send them: in a ``model`` command to a stage that goes on deciding, or scoring.

After every command the stage must do its work: with the new model where it said APPLIED, else with the one before.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

import msgspec
import pyarrow as pa

from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide, StageState
from mevflow.operators.learn import POLICIES, SPECIAL
from mevflow.operators.model.pipelines import recipe_of, steps_of
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import RiverModel
from mevflow.operators.model.state import encode_steps
from mevflow.operators.stage import Command, Stage, StageContext
from tests.operators.decide.opportunities import batch, opportunity, stream
from tests.operators.model.test_state import rows, teach

_NAMES = (*POLICIES, *SPECIAL)
_RECIPES = ("StandardScaler | LogisticRegression", [{"HoeffdingTreeClassifier": {"grace_period": 50}}])


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
    return tuple(_taught(name) for name in _NAMES)


def states_of_pipelines() -> tuple[bytes, ...]:
    """What pipelines learned from some hundred rows."""
    found = []
    for given in _RECIPES:
        recipe = recipe_of(given)
        steps = steps_of(recipe)
        teach(recipe, steps, rows(120))
        found.append(encode_steps(recipe, steps, 120))
    return tuple(found)


def to_policies() -> Callable[[Sequence[bytes]], int]:
    """Give states to ``bandit.decide``, under the name that stands in them; it decides after each."""
    stage = BanditDecide(BanditSettings(), StageContext("fuzz", "decided"))

    def command(value: bytes) -> dict[str, str]:
        named = [name for name in _NAMES if b"\xa4name" + bytes([0xA0 + len(name)]) + name.encode() in value[:400]]
        return {"policy": (named or ["tip-linucb"])[0], "state": base64.b64encode(value).decode()}

    return _given(stage, command, "decisions")


def to_pipelines() -> Callable[[Sequence[bytes]], int]:
    """Give states to ``river.model`` as challengers; it scores after each."""
    given = {"chain": "solana", "target": "survives", "champion": _RECIPES[0], "delay_slots": 2}
    stage = RiverModel(ModelSettings.model_validate(given), StageContext("fuzz", "landing"))
    return _given(stage, lambda value: {"candidate": "sent", "state": base64.b64encode(value).decode()}, "scores")


def _given(stage: Stage, command: Callable[[bytes], dict[str, str]], port: str) -> Callable[[Sequence[bytes]], int]:
    version = 0

    def run(values: Sequence[bytes]) -> int:
        nonlocal version
        refused = 0
        for value in values:
            version += 1
            ack = stage.on_control(Command(f"c{version}", "model", "", version, json.dumps(command(value)).encode()))
            assert ack is not None
            assert ack.status in ("APPLIED", "REJECTED"), ack
            refused += ack.status == "REJECTED"
            cycle = (version % 250, 251)
            row = batch(opportunity(slot=100 + 20 * version, cycle=cycle, ordinal=version, new_episode=True))
            made = [out for name, out in stage.process("in", row) if name == port]
            assert made, f"nothing on {port} after {ack}"
            assert sum(map(_rows, made)) >= 1
        return refused

    return run


def _rows(found: pa.RecordBatch) -> int:
    return int(found.num_rows)


def _taught(name: str) -> bytes:
    stage = BanditDecide(BanditSettings(policy=name), StageContext("fuzz", "decided"))
    for _ in stage.process("in", stream(300)):
        pass
    return msgspec.msgpack.decode(stage.snapshot(), type=StageState).markets[1].policy
