"""What ``river.model`` can be told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from mevflow.operators.chains import number_of
from mevflow.operators.errors import MevflowError
from mevflow.operators.model.pipelines import Kind, Recipe, kind_of, learns_many, recipe_of
from mevflow.operators.stage import Settings

MAX_CHALLENGERS = 3


def _recipe(given: Any) -> Any:
    try:
        return recipe_of(given)
    except MevflowError as error:
        raise ValueError(f"{error.message} {error.hint}".strip()) from None


Pipeline = Annotated[Recipe, BeforeValidator(_recipe)]


class ModelSettings(Settings):
    """Settings of ``river.model``.

    ``target``: ``survives`` (the cycle still pays ``delay_slots`` later), ``decay`` (what part of its profit is left
    then) or ``landed`` (a bid on it landed: port ``outcomes``, waited for so many slots). ``champion`` and up to three
    ``challengers`` are pipelines, see pipelines.py. ``alpha`` bounds the chance of any wrong promotion.
    ``learn_batch``: labels to a lesson; above 1 in one step of ``learn_many``.
    ``report_every``: labels between two reports.
    """

    chain: str
    target: Literal["survives", "decay", "landed"]
    delay_slots: int = Field(default=2, ge=0, le=100_000)
    champion: Pipeline
    challengers: dict[str, Pipeline] = Field(default_factory=dict, max_length=MAX_CHALLENGERS)
    alpha: float = Field(default=0.05, gt=0.0, lt=1.0)
    on_drift: Literal["alert", "shadow-reset", "fallback"] = "alert"
    fallback_labels: int = Field(default=200, ge=1)
    learn_batch: int = Field(default=1, ge=1, le=10_000)
    report_every: int = Field(default=1_000, ge=1)
    max_waiting: int = Field(default=100_000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _pipelines_fit(self) -> ModelSettings:
        wanted = self.learner
        for name, recipe in self.recipes.items():
            if kind_of(recipe) != wanted:
                raise ValueError(f"{name}: target {self.target} needs a {wanted}, {recipe[-1][0]} is none")
            if self.learn_batch > 1 and not learns_many(recipe):
                raise ValueError(f"{name}: learn_batch above 1 needs steps that learn many rows at once")
        if {"champion", "fresh", "base-rate"} & self.challengers.keys():
            raise ValueError("a challenger is not called champion, fresh or base-rate")
        try:
            number_of(self.chain)
        except MevflowError as error:
            raise ValueError(f"chain: {error.message} {error.hint}".strip()) from None
        return self

    @property
    def learner(self) -> Kind:
        """The kind of learner that the target needs."""
        return "regressor" if self.target == "decay" else "classifier"

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Name -> pipeline, the champion first."""
        return {"champion": self.champion, **self.challengers}
