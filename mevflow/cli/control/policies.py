"""``mevflow policy validate|plan|apply|rollback|history``, ``mevflow model swap``."""

from __future__ import annotations

from typing import Any

import click

from mevflow.cli.control.connection import connect, delivering, how, passing, payload_of, plain, reaching, show_reply
from mevflow.cli.output import csv_option, emit_csv, emit_json, table
from mevflow.operators.errors import CheckFailedError

_KIND = click.option("--kind", type=click.Choice(["policy", "model"]), default="policy", show_default=True)


@click.command()
@click.argument("topology")
@click.argument("target")
@click.argument("payload")
@_KIND
@reaching
def validate(topology: str, target: str, payload: str, kind: str, as_json: bool, **where: Any) -> None:
    """Ask the stage itself whether it would take PAYLOAD (JSON, @FILE or -). Exit code 4 when not."""
    with connect(**where) as control:
        reply = control.validate(topology, target, payload_of(payload), kind=kind)
    if as_json:
        emit_json(plain(reply))
    for fault in () if as_json else reply.violations:
        click.echo(f"{fault.reason}: {fault.description}")
    if not reply.valid:
        raise CheckFailedError("it would be rejected")
    if not as_json:
        click.echo(f"accepted by {', '.join(reply.stages) or 'nobody: no stage is concerned'}")


@click.command()
@click.argument("topology")
@click.argument("target")
@click.argument("payload")
@_KIND
@reaching
def plan(topology: str, target: str, payload: str, kind: str, as_json: bool, **where: Any) -> None:
    """What applying PAYLOAD would change, and who would be asked. Exit code 4 when it would be rejected."""
    with connect(**where) as control:
        reply = control.plan(topology, target, payload_of(payload), kind=kind)
    if as_json:
        emit_json(plain(reply))
    else:
        click.echo(f"version {reply.version} is in force" if reply.version else "the topology file's own is in force")
        table(
            ["", "path", "before", "after"],
            [[c.op, c.path, c.before.decode() or "-", c.after.decode() or "-"] for c in reply.changes],
        )
        asked = ", ".join(f"{a.topology}/{a.shard}/{a.stage or '*'}" for a in reply.affected)
        click.echo(f"asked: {asked or 'nobody; a shard that starts later reads it first'}")
        for fault in reply.validation.violations:
            click.echo(f"{fault.reason}: {fault.description}")
    if not reply.validation.valid:
        raise CheckFailedError("it would be rejected")


@click.command()
@click.argument("topology")
@click.argument("target")
@click.argument("payload")
@click.option("--rollback", is_flag=True, help="If one shard refuses, give the others the former state again.")
@delivering
@reaching
def apply(topology: str, target: str, payload: str, rollback: bool, as_json: bool, **options: Any) -> None:
    """Set the policy of TARGET (a node, or what it uses) to PAYLOAD: the full state, as JSON, @FILE or -."""
    given = how(options, rollback=rollback)
    with connect(**options) as control:
        show_reply(control.apply(topology, target, payload_of(payload), how=given), as_json)


@click.command()
@click.argument("topology")
@click.argument("target")
@click.option("--to-version", type=click.IntRange(0), default=0, help="0: the one before the version in force.")
@_KIND
@passing
@delivering
@reaching
def rollback(
    topology: str, target: str, to_version: int, kind: str, force: bool, as_json: bool, **options: Any
) -> None:
    """Set again, as a new version, what an earlier version of TARGET set."""
    given = how(options, force=force)
    with connect(**options) as control:
        show_reply(control.rollback(topology, target, kind=kind, to_version=to_version, how=given), as_json)


@click.command()
@click.argument("topology")
@click.argument("target")
@click.argument("payload")
@click.option("--rollback", is_flag=True, help="If one shard refuses, give the others the former model again.")
@passing
@delivering
@reaching
def model(topology: str, target: str, payload: str, rollback: bool, force: bool, as_json: bool, **options: Any) -> None:
    """Swap the model of TARGET for PAYLOAD (JSON, @FILE or -), without pausing the stream.

    The gate of `mevflow model swap` holds for it.
    """
    given = how(options, rollback=rollback, force=force)
    with connect(**options) as control:
        show_reply(control.swap_model(topology, target, payload_of(payload), how=given), as_json)


@click.command()
@click.argument("topology", default="")
@click.argument("target", default="")
@click.option("--kind", default="", help="policy, model, kill …")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@csv_option
@reaching
def history(topology: str, target: str, kind: str, limit: int, as_json: bool, as_csv: bool, **where: Any) -> None:
    """Commands that were in force, newest first."""
    from mevflow.control.client.client import outcome
    from mevflow.flows.times import iso

    with connect(**where) as control:
        rows = control.history(topology, target, kind=kind, limit=limit).commands
    if as_json:
        emit_json([plain(row) for row in rows])
        return
    show = emit_csv if as_csv else table
    show(
        ["issued", "topology", "target", "kind", "version", "outcome", "by", "reason"],
        [
            [
                iso(row.issued_at_us),
                row.topology or "*",
                row.target or "-",
                row.kind,
                row.version,
                outcome(row),
                row.issuer,
                row.reason,
            ]
            for row in rows
        ],
    )
