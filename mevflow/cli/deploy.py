"""``mevflow deploy``: start a named topology."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option
from mevflow.cli.settings import file_option


@click.command()
@click.argument("name")
@click.option("--shards", type=click.IntRange(1, 256), help="Override the number of shards.")
@click.option("--foreground", is_flag=True, help="Stay attached; Ctrl-C drains.")
@click.option("--fresh", is_flag=True, help="Forget saved state; start where the sources say.")
@file_option
@json_option
def command(name: str, shards: int | None, foreground: bool, fresh: bool, file: Path, as_json: bool) -> None:
    """Deploy the topology NAME: check everything, then start its shards under a supervisor."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime import deploy

    spec = deploy.prepare(file, name, config().var, shards=shards, fresh=fresh)
    if foreground:
        from mevflow.flows.runtime.supervisor import Supervisor

        raise click.exceptions.Exit(Supervisor(spec).run())
    pid = deploy.start(spec)
    emit(
        {"topology": name, "state": "running", "shards": spec.shards, "pid": pid, "folder": spec.root},
        as_json,
    )
