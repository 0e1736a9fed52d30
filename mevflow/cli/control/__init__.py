"""``mevflow control``: the control service, and everything that it can be asked."""

from __future__ import annotations

import click

from mevflow.cli.control.keys import keys
from mevflow.cli.control.policies import apply, history, model, plan, rollback, validate
from mevflow.cli.control.serving import serve, start, stop
from mevflow.cli.control.shards import kill, log_level, pause, release, resume, snapshot
from mevflow.cli.control.showing import acks, status, watch
from mevflow.cli.control.topologies import topologies


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
