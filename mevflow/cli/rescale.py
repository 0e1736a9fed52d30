"""``mevflow rescale``: another number of shards, with the state."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.cli.settings import file_option


@click.command()
@click.argument("name")
@click.argument("shards", type=click.IntRange(1, 256))
@file_option
@json_option
def command(name: str, shards: int, file: Path, as_json: bool) -> None:
    """Run NAME with SHARDS shards. Its positions are divided anew; stages that keep state refuse by name."""
    note(f"rescaling {name}")
    from mevflow.flows.config import config
    from mevflow.flows.runtime import change

    spec = change.rescale(name, config().var, shards, note)
    emit({"topology": name, "state": "running", "shards": spec.shards, "deployment": spec.deployment}, as_json)
