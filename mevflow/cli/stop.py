"""``mevflow stop``: drain a topology."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option
from mevflow.cli.settings import file_option


@click.command()
@click.argument("name")
@click.option("--timeout", "seconds", default=60.0, show_default=True, help="Seconds to drain before it is killed.")
@file_option
@json_option
def command(name: str, seconds: float, file: Path, as_json: bool) -> None:
    """Stop NAME in order: sources end, the last epoch is snapshotted, sinks flush. It resumes exactly there."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime.deploy import stop

    emit(stop(name, config().var, seconds), as_json)
