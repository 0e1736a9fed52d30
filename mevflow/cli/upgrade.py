"""``mevflow upgrade``: the topology file as it is now, with the state."""

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
    """Run NAME as the topology file has it now, with its state. A stage whose state does not fit is named."""
    note(f"upgrading {name}")
    from mevflow.flows.config import config
    from mevflow.flows.runtime import change

    spec = change.upgrade(file, name, config().var, note)
    emit({"topology": name, "state": "running", "shards": spec.shards, "deployment": spec.deployment}, as_json)
