"""The files of a deployment: those of the project, and those below ``var`` that are state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mevflow.flows.config import TOML, Config
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import UsageError

#: Below ``var``: what each process writes of itself while it runs, and what others keep (tables, metrics).
_NOT_STATE = {"clickhouse", "prometheus", "hub", "wheel", "site", "coverage"}
_FLEETING = (".pid", ".log", ".claim", ".lock", ".sock")
_FLEETING_NAMES = {"claim", "lock", "service.json"}


def project_files(config: Config, home: Path) -> tuple[list[Path], list[str]]:
    """Configuration, topology file and every file that these name, below ``home``; and what lies elsewhere, by path."""
    wanted = [
        home / TOML,
        config.topologies,
        *_paths(config.control),
        *_paths(config.kafka),
        *_paths(config.clickhouse),
    ]
    try:
        file = load(config.topologies)
    except UsageError:  # it is kept as it is
        settings: list[Any] = []
    else:
        settings = [file.defaults, [t.control for t in file.topologies.values()]]
        settings += [node.settings for t in file.topologies.values() for node in t.nodes.values()]
    beside = config.topologies.parent
    named = [beside / text for text in _texts(settings) if "/" in text or "." in text]
    wanted += [path for path in named if path.exists()]
    inside: list[Path] = []
    outside: list[str] = []
    for path in dict.fromkeys(Path(os.path.abspath(each)) for each in wanted):
        if not path.is_relative_to(home) or path == home:
            if path.exists() and path != home and config.topologies.is_relative_to(home):
                outside.append(str(path))
        elif not path.is_relative_to(config.var):
            inside += _files(path)
    return list(dict.fromkeys(inside)), outside


def state_files(var: Path, topics: bool) -> Iterator[Path]:
    """What is below ``var`` and not known elsewhere. ``topics``: with the embedded broker's log."""
    for path in _files(var):
        parts = path.relative_to(var).parts
        if parts[0] == "kafka":
            if topics and parts[1] == "data" and path.name != ".lock":
                yield path
        elif parts[0] not in _NOT_STATE and path.name not in _FLEETING_NAMES and path.suffix not in _FLEETING:
            yield path


def _paths(settings: BaseModel) -> list[Path]:
    return [value for _, value in settings if isinstance(value, Path)]


def _texts(value: Any) -> Iterator[str]:
    """Every string among nested settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _files(path: Path) -> list[Path]:
    """A file, or every plain file below a folder; links are not followed."""
    if path.is_symlink() or not path.exists():
        return []
    if path.is_file():
        return [path]
    return sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())
