"""``mevflow config``: the configuration, and where each value comes from."""

from __future__ import annotations

import os
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, table


@click.group()
def command() -> None:
    """Show the configuration."""


@command.command()
@json_option
def show(as_json: bool) -> None:
    """Every setting with its value and its origin: default, mevflow.toml or the environment."""
    import tomllib

    from mevflow.flows.config import TOML, config, home

    path = home() / TOML
    written = _flat(tomllib.loads(path.read_text())) if path.exists() else {}
    rows = []
    for key, value in _flat(config().model_dump()).items():
        variable = "MEVFLOW_" + key.upper().replace(".", "__")
        origin = variable if variable in os.environ else str(path) if key in written else "default"
        rows.append({"key": key, "value": str(value), "origin": origin})
    if as_json:
        emit_json(rows)
    else:
        table(["key", "value", "origin"], [[r["key"], r["value"], r["origin"]] for r in rows])


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
