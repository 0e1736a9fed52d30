"""``mevflow restart``: a rolling restart."""

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
    """Drain and start the shards of NAME again, one after the other."""
    note(f"restarting {name}")
    from mevflow.flows.config import config
    from mevflow.flows.runtime import change

    change.restart(name, config().var, note)
    emit({"topology": name, "state": "running"}, as_json)
