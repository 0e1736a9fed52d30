"""The command ``model`` for ``river.model``: a learned state comes in, or a challenger is made the champion.

A state is tried on made-up rows before it is let in. What is refused changes nothing; the reasons are those of
``operators/decide/control.py``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import random
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mevflow.operators.decide.control import check_id
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.model.contest import BASE_RATE, FRESH, Candidate, Row, gave_up
from mevflow.operators.model.pipelines import kind_of
from mevflow.operators.model.state import decode_steps, encode_steps, recipe_in

_ROWS = 64


class PipelinePayload(BaseModel):
    """Payload of ``model``: a state under a candidate's name, or the name of a candidate that is there."""

    model_config = ConfigDict(extra="forbid", strict=True)
    candidate: Annotated[str, Field(min_length=1, max_length=64)]
    champion: bool = Field(default=False, description="it leads; else it joins as a challenger")
    id: str = Field(default="", pattern="^([0-9a-f]{64})?$", description="content id of the state, from the registry")
    state: str = Field(default="", max_length=96 << 20, description="base64 of the pipeline's state")
    chain: str = Field(default="", max_length=40)

    @model_validator(mode="after")
    def _says_something(self) -> PipelinePayload:
        if not (self.state or self.id or self.champion):
            raise ValueError("a state, or champion: true")
        if self.candidate in (FRESH, BASE_RATE):
            raise ValueError(f"no candidate is called {self.candidate}")
        return self


def candidate_of(asked: PipelinePayload, wanted: str, names: Sequence[str]) -> Candidate:
    """The candidate that a payload brings; ``wanted`` is the kind of learner that the target needs.

    Raises StateError, or UsageError for another kind.
    """
    try:
        state = base64.b64decode(asked.state, validate=True) if asked.state else None
    except binascii.Error as error:
        raise StateError(f"the state is not base64: {error}") from None
    check_id(asked.id, state)
    assert state is not None
    recipe, learned = recipe_in(state)
    if kind_of(recipe) != wanted:
        raise UsageError(f"the target needs a {wanted}, the state is of a {kind_of(recipe)}", key="state")
    made = Candidate(asked.candidate, recipe, -1)
    made.set_steps(decode_steps(recipe, state))
    made.learned, made.model_id = learned, hashlib.sha256(state).digest()
    _probe(state, asked.candidate, names)
    return made


def _probe(state: bytes, name: str, names: Sequence[str]) -> None:
    """Let a twin score and learn rows, small ones and large ones. Raises StateError when it fails."""
    recipe, _ = recipe_in(state)
    twin = Candidate(name, recipe, -1)
    twin.set_steps(decode_steps(recipe, state))
    twin.learned = 1
    rng = random.Random(0)
    try:
        for at in range(_ROWS):
            row: Row = {key: rng.gauss(0.0, 1.0) * 10.0 ** rng.randint(-3, 3) for key in names}
            twin.score(row)
            twin.learn([row], [float(at % 2)])
        encode_steps(recipe, twin._steps)
    except MevflowError:
        raise
    except BaseException as error:
        if not gave_up(error):
            raise
        raise StateError(f"the state cannot be decided with: {type(error).__name__}: {error}"[:300]) from None
