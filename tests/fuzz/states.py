"""Learned states that are damaged where it hurts: whole in form, and wrong, odd or contradictory in what they say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from mevflow.operators.learn.state import Array, PolicyState
from tests.fuzz.mutate import mutated

_NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 1e-12, 1e6, 1e15, 1e154, 1e308, -1e308, float("inf"), -float("inf"),
            float("nan"))  # fmt: skip
_COUNTS = (0, 1, -1, 7, 1 << 31, 1 << 53, 10**15, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1)
_WORDS = ("", "skip", "0.5", "a" * 300, "\x00", "1e400", "-0.1", "nan")

#: A state with another's bytes among its own is mostly unreadable, so most are damaged in what they say.
_BYTES_TOO = 0.15


def policy_state(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A policy's state after one to three changes to arrays, counts or names."""
    if rng.random() < _BYTES_TOO:
        return mutated(rng, seeds)
    saved = msgspec.msgpack.decode(rng.choice(seeds), type=PolicyState)
    for _ in range(rng.choice((1, 1, 2, 3))):
        saved = _changed_policy(rng, saved, seeds)
    return msgspec.msgpack.encode(saved)


def _changed_policy(rng: random.Random, saved: PolicyState, seeds: Sequence[bytes]) -> PolicyState:
    replace = msgspec.structs.replace
    match rng.randrange(16):
        case 0:
            return replace(saved, updates=rng.choice((*_COUNTS[:9], saved.updates % 10**14 * 2, saved.updates // 2)))
        case 1:
            return replace(saved, arms=_changed_names(rng, saved.arms))
        case 2:
            return replace(saved, features=rng.choice((0, -1, saved.features + 1, 1 << 40)))
        case 3:
            return replace(saved, chain=rng.choice((0, 2, -1, 999)), version=rng.choice((saved.version,) * 3 + (1, 99)))
        case 4:  # another's array of that name
            other = msgspec.msgpack.decode(rng.choice(seeds), type=PolicyState)
            shared = sorted(other.arrays.keys() & saved.arrays.keys())
            taken = {label: other.arrays[label] for label in shared[: rng.randrange(len(shared) + 1)]}
            return replace(saved, arrays={**saved.arrays, **taken})
        case _ if saved.arrays:
            label = rng.choice(sorted(saved.arrays))
            return replace(saved, arrays={**saved.arrays, label: _changed_array(rng, saved.arrays[label])})
        case _:
            return saved


def _changed_names(rng: random.Random, arms: list[str]) -> list[str]:
    match rng.randrange(5) if arms else 2:
        case 0:
            return rng.sample(arms, len(arms))
        case 1:
            return arms[: rng.randrange(len(arms))]
        case 2:
            return [*arms, *(arms[:1] or ["0.5"])]
        case 3:
            return arms * rng.choice((2, 1_000))
        case _:
            at = rng.randrange(len(arms))
            return [*arms[:at], rng.choice(_WORDS), *arms[at + 1 :]]


def _changed_array(rng: random.Random, array: Array) -> Array:
    """An array of the same or another form with other values."""
    if rng.random() < 0.08:
        form = rng.choice(("<i4", ">f8", "<f8", "|O", "x" * 40, "<c16"))
        return Array(form, rng.choice((array.shape, [-1], [], [1 << 40], array.shape[::-1])), array.data)
    try:
        values = np.frombuffer(array.data, array.dtype).copy()
    except (ValueError, TypeError):
        return array
    if not values.size:
        return array
    at = rng.randrange(values.size)
    with np.errstate(all="ignore"):
        match rng.randrange(9):
            case 0 | 1 | 2:
                values[at] = _fitting(rng, values)
            case 3:
                values[:] = _fitting(rng, values)
            case 4:
                values *= np.asarray(rng.choice((-1, 0, 2, 1_000_000)), values.dtype)
            case 5 if values.dtype.kind == "f":
                values *= rng.choice((1e-300, 1.0 + 1e-6, 1e150))
            case 6:
                rng.shuffle(values)  # type: ignore[arg-type]
            case 7:
                end = at + rng.randrange(1, 1 + values.size)
                values[at:end] = _fitting(rng, values)
            case _:
                values[at] = -values[at]
    return Array(array.dtype, array.shape, values.tobytes())


def _fitting(rng: random.Random, values: np.ndarray) -> Any:
    if values.dtype.kind == "f":
        return rng.choice(_NUMBERS)
    return np.array(rng.choice(_COUNTS[:9])).astype(values.dtype)


def pipeline_state(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A pipeline's state after one to three changes to what its objects hold."""
    if rng.random() < _BYTES_TOO:
        return mutated(rng, seeds)
    content: dict[str, Any] = msgspec.msgpack.decode(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_pipeline(rng, content)
    try:
        return msgspec.msgpack.encode(content)
    except OverflowError:  # an int beyond 64 bits is none in msgpack
        return b""


def _change_pipeline(rng: random.Random, content: dict[str, Any]) -> None:
    objects = content["objects"]
    if not objects:
        return
    place = rng.randrange(len(objects))
    match rng.randrange(14):
        case 0:
            content["learned"] = rng.choice(_COUNTS)
        case 1:
            content["steps"] = rng.sample(content["steps"], rng.randrange(len(content["steps"]) + 1))
        case 2:
            content["recipe"] = [[name, _changed_value(rng, options, place)] for name, options in content["recipe"]]
        case 3:
            objects[place] = rng.choice(objects)
        case 4:
            del objects[place]
        case _:  # classes alike: a tree has a thousand numbers for each of its parameters
            kind = rng.choice(sorted({name for name, _ in objects}))
            fields = rng.choice([fields for name, fields in objects if name == kind])
            if fields:
                label = rng.choice(sorted(fields))
                fields[label] = _changed_value(rng, fields[label], place)


def _changed_value(rng: random.Random, value: Any, place: int) -> Any:
    """Another value: mostly of the same kind."""
    if rng.random() < 0.05:
        return rng.choice((None, True, "", "x" * 1_000, [], {}, 1 << 63, b"\0" * 40, ["object", 0], ["list", []]))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((*_COUNTS, value + 1, -value, *_NUMBERS[:5]))
    if isinstance(value, float):
        return rng.choice((*_NUMBERS, -value, value * 1e9, *_COUNTS[:3]))
    if isinstance(value, bytes):
        return mutated(rng, [value]) if value else b"\xff"
    if isinstance(value, str):
        return rng.choice(_WORDS)
    if isinstance(value, dict) and value:
        label = rng.choice(sorted(value))
        return {**value, label: _changed_value(rng, value[label], place)}
    if isinstance(value, list) and len(value) == 2 and value[0] == "object":
        return ["object", rng.choice((value[1], 0, place, max(value[1] - 1, 0), 1 << 40, -1))]
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], list) and value[1]:
        return [value[0], _changed_items(rng, value[1], place)]
    return value


def _changed_items(rng: random.Random, items: list[Any], place: int) -> list[Any]:
    at = rng.randrange(len(items))
    match rng.randrange(4):
        case 0:
            return items[:at]
        case 1:
            return [*items, items[at]]
        case _:
            item = items[at]
            if isinstance(item, list) and len(item) == 2 and item[0] != "object":
                other: Any = [item[0], _changed_value(rng, item[1], place)]
                if rng.random() < 0.1:
                    other = [rng.choice((*_WORDS, 1.5, None, True)), item[1]]
            else:
                other = _changed_value(rng, item, place)
            return [*items[:at], other, *items[at + 1 :]]
