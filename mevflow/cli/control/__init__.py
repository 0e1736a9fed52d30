"""``mevflow control``: the control service, and everything that it can be asked."""

from __future__ import annotations

import copy

import click

from mevflow.cli.control.keys import keys
from mevflow.cli.control.policies import apply, history, model, plan, rollback, validate
from mevflow.cli.control.serving import serve, start, stop
from mevflow.cli.control.shards import kill, log_level, pause, release, resume, snapshot
from mevflow.cli.control.showing import acks, status, watch
from mevflow.cli.control.topologies import topologies


@click.group()
def command() -> None:
    """The control service, its shards and its keys. Policies: mevflow policy; models: mevflow model; mevflow kill."""


for each in (serve, start, stop, acks, pause, resume, snapshot, log_level, topologies, keys):
    command.add_command(each)

# A command has one spelling. These were here before `mevflow policy`, `model`, `kill` and `release`, and still work.
for each in (status, validate, plan, apply, rollback, model, history, kill, release, watch):
    former = copy.copy(each)
    former.hidden = True
    command.add_command(former)
