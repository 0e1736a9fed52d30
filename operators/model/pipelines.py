"""Pipelines by name: ``StandardScaler | LogisticRegression``, or a list of steps with parameters.

A text or a list from a topology file names steps of :data:`STEPS` and numbers for them; nothing of it is code. Every
parameter has a default and bounds, so what a pipeline may cost is known before it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from river import compose, linear_model, optim, preprocessing, tree

from mevflow.operators.errors import UsageError

Kind = Literal["scaler", "classifier", "regressor"]

#: Steps that a pipeline may have: a few scalers and one learner.
MAX_STEPS = 4

#: River's trees look at their size now and then, by a walk over all of their memory: ``max_depth`` bounds them instead.
_NEVER = 1 << 60

_OPTIMIZERS: dict[str, Callable[[float], Any]] = {"sgd": optim.SGD, "adam": optim.Adam}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A step's parameter: its default, and what it may be. ``words`` are the texts of one that is no number."""

    default: float | int | str
    low: float = 0.0
    high: float = 0.0
    words: tuple[str, ...] = ()

    def checked(self, step: str, name: str, value: Any) -> float | int | str:
        """The value in the parameter's own type. Raises UsageError when it is no such value."""
        if self.words:
            if value in self.words:
                return str(value)
            raise UsageError(f"{step}.{name} is {value!r}, not one of {', '.join(self.words)}", key=name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{step}.{name} is {value!r}, not a number", key=name)
        if not self.low <= value <= self.high:  # neither is what is no number
            raise UsageError(f"{step}.{name} {value!r:.40} is not in [{self.low:g}, {self.high:g}]", key=name)
        if isinstance(self.default, int) and value != int(value):
            raise UsageError(f"{step}.{name} is {value!r}, not a whole number", key=name)
        return int(value) if isinstance(self.default, int) else float(value)


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """A river estimator that may be named. ``many``: it has ``learn_many``."""

    kind: Kind
    make: Callable[..., Any]
    parameters: dict[str, Parameter]
    many: bool = False


_LINEAR = {
    "lr": Parameter(0.01, 1e-6, 10.0),
    "intercept_lr": Parameter(0.01, 0.0, 10.0),
    "l2": Parameter(0.0, 0.0, 10.0),
    "optimizer": Parameter("sgd", words=tuple(_OPTIMIZERS)),
}
_TREE = {
    "grace_period": Parameter(200, 10, 1_000_000),
    "max_depth": Parameter(6, 1, 12),
    "delta": Parameter(1e-7, 1e-12, 0.5),
    "tau": Parameter(0.05, 0.0, 1.0),
}
_SEED = {"seed": Parameter(0, 0, (1 << 31) - 1)}


def _linear(kind: Callable[..., Any]) -> Callable[..., Any]:
    def make(lr: float, intercept_lr: float, l2: float, optimizer: str) -> Any:
        return kind(optimizer=_OPTIMIZERS[optimizer](lr), intercept_lr=intercept_lr, l2=l2)

    return make


def _tree(kind: Callable[..., Any]) -> Callable[..., Any]:
    def make(**parameters: Any) -> Any:
        return kind(memory_estimate_period=_NEVER, max_size=1e9, **parameters)

    return make


#: Name -> step, as topology files call them.
STEPS: dict[str, PipelineStep] = {
    "StandardScaler": PipelineStep("scaler", preprocessing.StandardScaler, {}, many=True),
    "MinMaxScaler": PipelineStep("scaler", preprocessing.MinMaxScaler, {}),
    "LogisticRegression": PipelineStep("classifier", _linear(linear_model.LogisticRegression), _LINEAR, many=True),
    "LinearRegression": PipelineStep("regressor", _linear(linear_model.LinearRegression), _LINEAR, many=True),
    "HoeffdingTreeClassifier": PipelineStep("classifier", _tree(tree.HoeffdingTreeClassifier), _TREE),
    "HoeffdingTreeRegressor": PipelineStep("regressor", _tree(tree.HoeffdingTreeRegressor), _TREE),
    "HoeffdingAdaptiveTreeClassifier": PipelineStep(
        "classifier", _tree(tree.HoeffdingAdaptiveTreeClassifier), {**_TREE, **_SEED}
    ),
    "HoeffdingAdaptiveTreeRegressor": PipelineStep(
        "regressor", _tree(tree.HoeffdingAdaptiveTreeRegressor), {**_TREE, **_SEED}
    ),
}

#: A step's name with the parameters that it has, all of them.
Recipe = tuple[tuple[str, dict[str, float | int | str]], ...]


def recipe_of(given: Any) -> Recipe:
    """The recipe that a topology file's text or list asks for. Raises UsageError with what is wrong with it.

    >>> recipe_of("StandardScaler | LogisticRegression")[1][1]["lr"]
    0.01
    >>> recipe_of(["MinMaxScaler", {"HoeffdingTreeRegressor": {"max_depth": 4}}])[1][1]["max_depth"]
    4
    """
    parts = [part.strip() for part in given.split("|")] if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= MAX_STEPS:
        raise UsageError(f"a pipeline is 1 to {MAX_STEPS} steps: a text like 'StandardScaler | LogisticRegression'")
    recipe = tuple(_step(part) for part in parts)
    kinds = [STEPS[name].kind for name, _ in recipe]
    if kinds[-1] == "scaler" or any(kind != "scaler" for kind in kinds[:-1]):
        raise UsageError("a pipeline is scalers, then one classifier or regressor")
    if len({name for name, _ in recipe}) != len(recipe):
        raise UsageError("a pipeline has a step twice")
    return recipe


def _step(part: Any) -> tuple[str, dict[str, float | int | str]]:
    name: Any = part
    given: Any = {}
    if isinstance(part, dict) and len(part) == 1:
        ((name, given),) = part.items()
    elif isinstance(part, list | tuple) and len(part) == 2:
        name, given = part
    if not isinstance(name, str) or name not in STEPS:
        raise UsageError(f"unknown step {str(name)[:64]!r}", hint=f"one of {', '.join(STEPS)}")
    known = STEPS[name].parameters
    if not isinstance(given, dict) or not given.keys() <= known.keys():
        raise UsageError(f"{name} takes {', '.join(known) or 'no parameters'}, not {str(given)[:64]}")
    values = {key: parameter.default for key, parameter in known.items()}
    return name, values | {key: known[key].checked(name, key, value) for key, value in given.items()}


def kind_of(recipe: Recipe) -> Kind:
    """Whether a pipeline classifies or regresses."""
    return STEPS[recipe[-1][0]].kind


def learns_many(recipe: Recipe) -> bool:
    """Whether every step has ``learn_many``."""
    return all(STEPS[name].many for name, _ in recipe)


def steps_of(recipe: Recipe) -> list[Any]:
    """Fresh river estimators, one a step."""
    return [STEPS[name].make(**parameters) for name, parameters in recipe]


def pipeline(steps: list[Any]) -> compose.Pipeline:
    """River's pipeline of steps."""
    return compose.Pipeline(*steps)


def said(recipe: Recipe) -> str:
    """A recipe for people: names, and parameters that are not their defaults.

    >>> said(recipe_of(["StandardScaler", {"LogisticRegression": {"lr": 0.1}}]))
    'StandardScaler | LogisticRegression(lr=0.1)'
    """
    words = []
    for name, parameters in recipe:
        own = [f"{k}={v}" for k, v in parameters.items() if v != STEPS[name].parameters[k].default]
        words.append(f"{name}({', '.join(own)})" if own else name)
    return " | ".join(words)
