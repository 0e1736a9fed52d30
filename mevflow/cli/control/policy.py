"""``mevflow policy``: what stages go by, and which shard has it."""

from __future__ import annotations

import click

from mevflow.cli.control.policies import apply, history, plan, rollback, validate
from mevflow.cli.control.showing import status, watch


@click.group()
def command() -> None:
    """Policies of running topologies: validate, plan, apply, status, history, rollback, watch."""


for each in (validate, plan, apply, status, history, rollback, watch):
    command.add_command(each)
