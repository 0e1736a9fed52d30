"""``mevflow rollback``: the topology as it was before the last change."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.cli.settings import file_option


@click.command()
@click.argument("name")
@file_option
@json_option
def command(name: str, file: Path, as_json: bool) -> None:
    """Run NAME as it was before the last rescale, upgrade or rollback, from where it stands now."""
    note(f"rolling back {name}")
    from mevflow.flows.config import config
    from mevflow.flows.runtime import change

    spec = change.rollback(name, config().var, note)
    emit({"topology": name, "state": "running", "shards": spec.shards, "deployment": spec.deployment}, as_json)
