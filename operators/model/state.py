"""What a river pipeline has learned, as plain data: numbers, texts, containers, and objects of listed classes.

The state is a list of objects, each after those that it holds, so nothing is nested deeply and nothing can hold itself.
Reading runs no code of the state's choosing: an object is made empty and gets the attributes that ``classes.py`` lists,
each checked for its kind. A state comes from a file or a command, so it is bounded, and tried before it is used.
"""

from __future__ import annotations

import math
import random
import statistics
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import river
from river import proba, stats
from river._river_rust.drift import AdaptiveWindowing
from river._river_rust.vectordict import VectorDict
from river.tree.splitter import ebst_splitter, gaussian_splitter, tebst_splitter

from mevflow.operators.errors import StateError
from mevflow.operators.learn.state import MAX_UPDATES
from mevflow.operators.model.classes import BY_NAME, CLASSES, CONTAINERS, FIXED, WINDOW
from mevflow.operators.model.pipelines import Recipe, recipe_of, steps_of

STATE_VERSION = 1

#: A state is at most so large. A regression tree of depth 6 over eight features takes about 5 MB.
MAX_BYTES = 64 << 20
MAX_OBJECTS = 500_000

#: What a container holds: an entry a feature, a class or a branch. Some models look at all of it for every row.
MAX_ITEMS = 1_000

#: Objects within objects: a tree's branches, and the values that a leaf has seen.
MAX_NESTED = 10_000

#: Whole numbers are smaller: a count can go on for ever without leaving what a state can hold.
_LARGEST_INT = 1 << 62

_REF = "object"

#: What several objects of a tree hold together. Anything else has one place: a few nodes that hold each other twice,
#: level by level, would be a tree that nobody lives to walk through.
_SHARED = (random.Random, gaussian_splitter.GaussianSplitter, tebst_splitter.TEBSTSplitter)

_WORDS = struct.Struct("<625I")
#: An ADWIN window before its rows, one of its rows' heads, and what follows them (see :func:`_check_window`).
_WINDOW_HEAD, _WINDOW_ROW, _WINDOW_TAIL = 84, 16, 28
#: The part of the head that says what the window was made with.
_WINDOW_PARAMETERS = 36


class PipelineState(msgspec.Struct, frozen=True):
    """``objects`` are pairs of a class's short name and its attributes; ``steps`` are numbers of the pipeline's own."""

    version: int
    river: str
    learned: int
    recipe: list[Any]
    steps: list[int]
    objects: list[tuple[str, dict[str, Any]]]


def encode_steps(recipe: Recipe, steps: list[Any], learned: int = 0) -> bytes:
    """Everything that a pipeline's steps have learned from ``learned`` labels.

    Raises StateError for what classes.py does not list, and for numbers that are none or without measure.
    """
    places: dict[int, int] = {}
    objects: list[tuple[str, dict[str, Any]]] = []
    waiting: list[tuple[Any, dict[str, Any] | None]] = [(step, None) for step in reversed(steps)]
    while waiting:
        item, fields = waiting.pop()
        if id(item) in places:
            continue
        if fields is None:
            fields = _fields(item)
            waiting.append((item, fields))
            waiting += [(inner, None) for value in fields.values() for inner in _objects(value)]
            continue
        encoded = {name: _encode(value, places) for name, value in fields.items()}
        places[id(item)] = len(objects)
        objects.append((type(item).__name__, encoded))
    numbers = [places[id(step)] for step in steps]
    return msgspec.msgpack.encode(
        PipelineState(STATE_VERSION, river.__version__, learned, _plain(recipe), numbers, objects)
    )


def recipe_in(state: bytes) -> tuple[Recipe, int]:
    """The pipeline that a state is of, and how many labels it has learned. Raises StateError, UsageError."""
    saved = _saved(state)
    if not 0 <= saved.learned <= MAX_UPDATES:
        raise StateError(f"a pipeline that learned {saved.learned} labels, not 0 to {MAX_UPDATES}")
    return recipe_of(saved.recipe), saved.learned


def decode_steps(recipe: Recipe, state: bytes, kinds: tuple[type, ...] | None = None) -> list[Any]:
    """The steps of a pipeline with a state. Raises StateError unless it is one of this recipe, whole and possible.

    ``kinds`` are the classes of the steps where no recipe names them.
    """
    fresh = steps_of(recipe)
    kinds = tuple(type(step) for step in fresh) if kinds is None else kinds
    saved = _saved(state)
    if saved.recipe != _plain(recipe):
        raise StateError("the state is of another pipeline, or of other parameters", hint="see `mevflow model show`")
    if len(saved.objects) > MAX_OBJECTS or len(saved.steps) != len(kinds):
        raise StateError(f"the state has {len(saved.objects):,} objects and {len(saved.steps)} steps")
    made = _Made()
    try:
        for name, fields in saved.objects:
            made.add(_made(name, fields, made))
        steps = [made.take(number) for number in saved.steps]
    except (ValueError, TypeError, IndexError, OverflowError, RecursionError, struct.error) as error:
        raise StateError(f"the state cannot be: {error}") from None
    if tuple(type(step) for step in steps) != kinds:
        raise StateError("the state's steps are not the pipeline's")
    for step, wanted in zip(steps, fresh, strict=False):  # no recipe has what ``kinds`` names
        if repr(step._get_params()) != repr(wanted._get_params()):
            raise StateError(f"the state's {type(step).__name__} has other parameters than the pipeline's")
    return steps


def _saved(state: bytes) -> PipelineState:
    if len(state) > MAX_BYTES:
        raise StateError(f"the state has {len(state):,} bytes, more than {MAX_BYTES:,}")
    try:
        saved = msgspec.msgpack.decode(state, type=PipelineState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateError(f"the model's state is unreadable: {error}") from None
    if (saved.version, saved.river) != (STATE_VERSION, river.__version__):
        raise StateError(
            f"the state is of version {saved.version} and river {saved.river[:16]}, not {STATE_VERSION} and "
            f"{river.__version__}",
            hint="train the model anew with this release",
        )
    return saved


def _plain(recipe: Recipe) -> list[Any]:
    return [[name, parameters] for name, parameters in recipe]


def _fields(item: Any) -> dict[str, Any]:
    """The attributes of an object that are kept."""
    kind = type(item)
    if kind not in CLASSES:
        raise StateError(f"a {kind.__module__}.{kind.__qualname__} cannot be kept", hint="see operators/model/classes")
    if kind is VectorDict:
        weights, initializer, mask, _ = item.__reduce_ex__(4)[1]
        if initializer is not None or mask is not None:
            raise StateError("weights are kept between two lessons only")
        return {"weights": weights}
    if kind is AdaptiveWindowing:
        _, arguments, window = item.__reduce_ex__(4)[:3]
        return {"arguments": list(arguments[1:]), "window": window}
    if kind is random.Random:
        _, words, gauss_next = item.getstate()
        return {"words": _WORDS.pack(*words), "gauss_next": gauss_next}
    return {name: getattr(item, name) for name in CLASSES[kind]}


def _objects(value: Any) -> Iterator[Any]:
    """Objects of listed classes within a value."""
    if type(value) in CLASSES:
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _encode(value: Any, places: dict[int, int]) -> Any:
    kind = type(value)
    if isinstance(value, np.floating):
        kind, value = float, float(value)
    if kind in (int, float) and not _is_number(value):
        raise StateError("it holds a number that is none or without measure")
    if value is None or kind in (bool, int, float, str, bytes):
        return value
    if kind in CLASSES:
        if id(value) not in places:
            raise StateError(f"a {kind.__name__} holds itself")
        return [_REF, places[id(value)]]
    if kind is set:
        return ["set", sorted(value)]
    if kind is list:
        return ["list", [_encode(inner, places) for inner in value]]
    tag = "counter" if kind is Counter else "dict"
    if kind is defaultdict:
        tag = {float: "floats", stats.Min: "mins", stats.Max: "maxs"}.get(value.default_factory, "")
    elif kind not in (dict, Counter):
        tag = ""
    if not tag:
        raise StateError(f"a {kind.__module__}.{kind.__qualname__} cannot be kept")
    return [tag, [[key, _encode(inner, places)] for key, inner in value.items()]]


class _Made:
    """The objects of a state so far, each taken by one that holds it."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._nested: list[int] = []  # how deep each is
        self._taken: set[int] = set()
        self._deepest = 0  # of those taken since the last was added

    def add(self, item: Any) -> None:
        """Add an object that holds what was taken since the last one."""
        if self._deepest >= MAX_NESTED:
            raise ValueError(f"objects are nested more than {MAX_NESTED:,} deep")
        self._objects.append(item)
        self._nested.append(self._deepest + 1)
        self._deepest = 0

    def take(self, number: int) -> Any:
        """The object of a number, for whoever holds it."""
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise ValueError(f"an object refers to number {str(number)[:40]} of {len(self._objects)} before it")
        item = self._objects[number]
        if number in self._taken and not isinstance(item, _SHARED):
            raise ValueError(f"a {type(item).__name__} is held twice")
        self._taken.add(number)
        self._deepest = max(self._deepest, self._nested[number])
        return item


def _made(name: str, fields: dict[str, Any], made: _Made) -> Any:
    """An object of a listed class with checked attributes; what it holds is in ``made``."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise ValueError(f"there is no class {name[:64]!r} in a model's state")
    wanted = CLASSES[kind]
    if fields.keys() != wanted.keys():
        odd = sorted(fields.keys() ^ wanted.keys())[:4]
        raise ValueError(f"{name} has not the attributes that it should: {', '.join(odd)}")
    values: dict[str, Any] = {}
    for label, value in fields.items():
        own, _, inside = wanted[label].partition(":")
        values[label] = _decode(value, made)
        _check(values[label], own.split("|"), inside.split("|"), f"{name}.{label}")
        fixed = FIXED.get((kind, label))
        if fixed is not None and (type(values[label]) is not type(fixed) or values[label] != fixed):
            raise ValueError(f"{name}.{label} is {values[label]!r:.40}, not {fixed}")
    if kind is VectorDict:
        return VectorDict(values["weights"], None, None)
    if kind is AdaptiveWindowing:
        return _window(values["arguments"], values["window"])
    if kind is random.Random:
        generator = random.Random(0)
        words = _WORDS.unpack(values["words"])
        if words[-1] > 624:
            raise ValueError(f"a generator of random numbers stands at {words[-1]}")
        generator.setstate((3, words, values["gauss_next"]))
        return generator
    if kind is statistics.NormalDist:
        return statistics.NormalDist(values["_mu"], values["_sigma"])
    item: Any = object.__new__(kind)
    for label, value in values.items():
        object.__setattr__(item, label, value)
    if kind is ebst_splitter.EBSTNode:
        item._update_estimator = item._update_estimator_univariate
    elif kind is proba.Gaussian:
        item._rng = random.Random(0)  # for samples, which nobody takes
    return item


def _decode(value: Any, made: _Made) -> Any:
    if not isinstance(value, list):
        return value
    tag, content = value
    if tag == _REF:
        return made.take(content)
    if tag not in CONTAINERS:
        raise ValueError(f"there is no container {str(tag)[:64]!r} in a model's state")
    if len(content) > MAX_ITEMS:
        raise ValueError(f"a container holds {len(content):,} entries, more than {MAX_ITEMS:,}")
    container = CONTAINERS[tag]()
    if tag in ("list", "set"):
        inner = [_decode(each, made) for each in content]
        return type(container)(inner)
    for key, each in content:
        if type(key) not in (str, bool, int, float):
            raise ValueError(f"a key is a {type(key).__name__}")
        container[key] = _decode(each, made)
    return container


def _check(value: Any, own: list[str], inside: list[str], where: str) -> None:
    kind = _kind(value)
    if kind not in own:
        raise ValueError(f"{where} is a {kind}, not {' or '.join(own)}")
    if kind in CONTAINERS:
        for inner in value.values() if isinstance(value, dict) else value:
            if _kind(inner) not in inside:
                raise ValueError(f"{where} holds a {_kind(inner)}, not {' or '.join(inside)}")


def _is_number(value: float) -> bool:
    return not math.isnan(value) if isinstance(value, float) else abs(value) < _LARGEST_INT


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        if not _is_number(value):
            raise ValueError("a number is none, or without measure")
        return "num"
    if isinstance(value, defaultdict):
        return {float: "floats", stats.Min: "mins", stats.Max: "maxs"}[value.default_factory]  # type: ignore[index]
    return {Counter: "counter"}.get(type(value), type(value).__name__)


def _window(arguments: list[Any], window: bytes) -> AdaptiveWindowing:
    """ADWIN's window. River's own reader ends the process over bytes that are none, so they are measured first."""
    if arguments != list(WINDOW.values()):
        raise ValueError(f"ADWIN cannot have been made with {arguments}")
    made = AdaptiveWindowing(*arguments)
    _check_window(window, _fields(made)["window"])
    made.__setstate__(window)
    return made


def _check_window(window: bytes, new: bytes) -> None:
    """Head (84 bytes), count of rows, rows of two arrays of ``buckets + 1`` numbers, tail (28 bytes): nothing else.

    A row's head says how many of its numbers are in use. Head and tail say what the window was made with, as a ``new``
    one does.
    """
    buckets = int(WINDOW["max_buckets"])
    if window[:_WINDOW_PARAMETERS] != new[:_WINDOW_PARAMETERS] or window[-_WINDOW_TAIL:] != new[-_WINDOW_TAIL:]:
        raise ValueError("ADWIN's window was made with something else")
    (rows,) = struct.unpack_from("<Q", window, _WINDOW_HEAD)
    arrays = 2 * (8 + 8 * (buckets + 1))
    if not 1 <= rows <= 64 or len(window) != _WINDOW_HEAD + 8 + rows * (_WINDOW_ROW + arrays) + _WINDOW_TAIL:
        raise ValueError(f"ADWIN's window of {rows} rows has {len(window)} bytes")
    at = _WINDOW_HEAD + 8
    for _ in range(rows):
        _, used = struct.unpack_from("<QQ", window, at)
        at += _WINDOW_ROW
        if used > buckets:
            raise ValueError(f"a row of ADWIN's window uses {used} of {buckets} numbers")
        for _ in range(2):
            count, *numbers = struct.unpack_from(f"<Q{buckets + 1}d", window, at)
            if count != buckets + 1 or not all(math.isfinite(number) for number in numbers):
                raise ValueError("a row of ADWIN's window holds what is no number")
            at += 8 + 8 * (buckets + 1)
