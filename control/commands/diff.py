"""What differs between two JSON documents, by JSON pointer (RFC 6901)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mevflow.v1.control_service_pb2 import Change


def changes(before: Any, after: Any) -> list[Change]:
    """Every leaf that was added, removed or replaced; lists are compared as wholes.

    >>> [(c.op, c.path) for c in changes({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}, "d": [1]})]
    [('remove', '/a'), ('replace', '/b/c'), ('add', '/d')]
    """
    if before is None:
        before = {}
    return list(_walk("", before, after))


def _walk(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            here = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                yield Change(path=here, op="remove", before=_json(before[key]))
            elif key not in before:
                yield Change(path=here, op="add", after=_json(after[key]))
            else:
                yield from _walk(here, before[key], after[key])
    elif type(before) is not type(after) or before != after:
        yield Change(path=path, op="replace", before=_json(before), after=_json(after))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
