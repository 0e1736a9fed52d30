"""What a configuration is made of: the environment's variables over the tables of a TOML file.

Read without pydantic-settings, whose import takes a third of the time in which a short command answers.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel

from mevflow.operators.errors import UsageError

_BETWEEN = "__"


def from_toml(path: Path) -> dict[str, Any]:
    """The tables of a file; nothing where there is none. Raises UsageError with the file and line."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the configuration cannot be read: {error}", file=str(path)) from None


def from_variables(model: type[BaseModel], prefix: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What variables say of ``model``'s fields: ``PREFIX_FIELD``, ``PREFIX_GROUP__FIELD``, of any case.

    A group, a list or a mapping may be given as JSON; a variable for one field of a group comes after that. Variables
    of no field are left alone. Raises UsageError for what should be JSON and is not.
    """
    found: dict[str, Any] = {}
    named = sorted((name.lower(), name) for name in variables)
    for low, name in named:  # a group comes before its fields
        if not low.startswith(prefix.lower()):
            continue
        *groups, last = low.removeprefix(prefix.lower()).split(_BETWEEN)
        field = [*groups, last][0]
        if field not in model.model_fields or (groups and not _is_group(_within(model, field))):
            continue
        annotation: Any = model
        into = found
        for group in groups:
            annotation = _within(annotation, group)
            into = into.setdefault(group, {})
            if not isinstance(into, dict):
                break
        if isinstance(into, dict):
            value = _value(_within(annotation, last), variables[name], name)
            into[last] = merged(into[last], value) if isinstance(into.get(last), dict) else value
    return found


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _within(annotation: Any, name: str) -> Any:
    """The type of a field of a group; None where nothing is known of it."""
    known = _is_group(annotation) and name in annotation.model_fields
    return annotation.model_fields[name].annotation if known else None


def _value(annotation: Any, text: str, name: str) -> Any:
    if not text or not (_is_group(annotation) or get_origin(annotation) in (dict, list, tuple)):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"the configuration is wrong: {name} is no JSON: {error}") from None


def merged(below: dict[str, Any], above: Any) -> Any:
    """Two trees of tables as one, in which what ``above`` says stands."""
    if not isinstance(above, dict):
        return above
    whole = dict(below)
    for key, value in above.items():
        whole[key] = merged(whole[key], value) if isinstance(whole.get(key), dict) else value
    return whole
