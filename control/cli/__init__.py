"""``mevflow control``: the control service, and everything that it can be asked."""

from __future__ import annotations

import click

from control.cli.keys import keys
from control.cli.policies import apply, history, model, plan, rollback, validate
from control.cli.serving import serve, start, stop
from control.cli.shards import kill, log_level, pause, release, resume, snapshot
from control.cli.showing import acks, status, watch
from control.cli.topologies import topologies


@click.group()
def command() -> None:
    """Change running topologies, and know which shard has done so. `mevflow control serve` runs the service."""


for each in (
    serve,
    start,
    stop,
    status,
    validate,
    plan,
    apply,
    rollback,
    model,
    history,
    kill,
    release,
    pause,
    resume,
    snapshot,
    log_level,
    watch,
    acks,
    topologies,
    keys,
):
    command.add_command(each)
