"""``mevflow logs``: what the shards of a topology wrote."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from mevflow.cli.settings import file_option
from mevflow.operators.errors import UsageError


@click.command()
@click.argument("name")
@click.option("--lines", "-n", default=100, show_default=True, help="How many of the last lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on as more is written.")
@file_option
def command(name: str, lines: int, follow: bool, file: Path) -> None:
    """Print the log of every shard of NAME, each line headed by its shard."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime.layout import Layout

    root = Layout.live(config().var, name).root
    paths = sorted(root.glob("shard-*.log"))
    if not paths:
        raise UsageError(f"{name} has no logs", hint="mevflow status", file=str(root))
    marks = {}
    for path in paths:
        text = path.read_text(errors="replace")
        marks[path] = len(text.encode())
        for line in text.splitlines()[-lines:]:
            click.echo(f"{path.stem}: {line}")
    while follow:
        for path in paths:
            with path.open("rb") as log:
                log.seek(marks[path])
                fresh = log.read()
                marks[path] += len(fresh)
            for line in fresh.decode(errors="replace").splitlines():
                click.echo(f"{path.stem}: {line}")
        sys.stdout.flush()
        time.sleep(0.2)
