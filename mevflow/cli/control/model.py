"""``mevflow model``: which models were set, and another one."""

from __future__ import annotations

from typing import Any

import click

from mevflow.cli.control.connection import connect, plain, reaching
from mevflow.cli.control.policies import model
from mevflow.cli.output import emit_json, table


@click.group()
def command() -> None:
    """Models of running topologies."""


command.add_command(model, "swap")


@command.command("list")
@click.argument("topology", default="")
@reaching
def list_(topology: str, as_json: bool, **where: Any) -> None:
    """Models that were set by command, newest first."""
    from mevflow.control.client.client import outcome
    from mevflow.flows.replay.times import iso

    with connect(**where) as control:
        rows = control.history(topology, kind="model").commands
    if as_json:
        emit_json([plain(row) for row in rows])
        return
    table(
        ["issued", "topology", "target", "version", "outcome", "by", "bytes"],
        [
            [iso(r.issued_at_us), r.topology or "*", r.target, r.version, outcome(r), r.issuer, len(r.payload)]
            for r in rows
        ],
    )
