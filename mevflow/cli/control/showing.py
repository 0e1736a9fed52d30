"""``mevflow policy status|watch``, ``mevflow control acks``."""

from __future__ import annotations

from typing import Any

import click

from mevflow.cli.control.connection import connect, plain, reaching
from mevflow.cli.output import emit_json, table
from mevflow.operators.errors import UsageError


@click.command()
@click.argument("topology", default="")
@click.option("--command", "command_id", default="", help="Of one command, by its id.")
@reaching
def status(topology: str, command_id: str, as_json: bool, **where: Any) -> None:
    """What is in force, and which shard has it."""
    from mevflow.control.client.client import outcome

    with connect(**where) as control:
        reply = control.status(topology, command_id=command_id)
    if as_json:
        emit_json(plain(reply))
        return
    if reply.killed:
        click.echo(f"KILLED: {', '.join(reply.killed)}")
    table(
        ["topology", "target", "kind", "version", "outcome", "has it", "expected", "by"],
        [
            [
                c.topology or "*",
                c.target or "-",
                c.kind,
                c.version,
                outcome(c),
                c.applied,
                c.expected,
                c.issuer,
            ]
            for c in reply.commands
        ],
        title="In force",
    )
    if not command_id:
        table(
            ["topology", "shard", "state", "heard, ms ago", "rows", "behind", "killed", "paused"],
            [
                [s.topology, s.shard, s.state, s.heard_ms_ago, s.messages, s.lag, str(s.killed), str(s.paused)]
                for s in reply.shards
            ],
            title="Shards",
        )


@click.command()
@click.argument("topology", default="")
@click.option("--from", "from_offset", type=click.IntRange(0), help="From this offset on (default: from now on).")
@click.option("--limit", type=click.IntRange(1), help="End after so many events.")
@reaching
def watch(topology: str, from_offset: int | None, limit: int | None, as_json: bool, **where: Any) -> None:
    """Calls and what came of them, as they happen. `--json` gives one object a line; resume with --from."""
    from mevflow.flows.times import iso

    with connect(**where) as control:
        for number, event in enumerate(control.watch(topology, from_offset=from_offset), start=1):
            if as_json:
                emit_json(plain(event))
            else:
                row = event.record
                click.echo(
                    f"{event.offset} {iso(row.timestamp_us)} {row.identity or '-'} {row.method} {row.status} "
                    f"{row.topology}/{row.target} {row.outcome} {row.detail}".rstrip()
                )
            if number == limit:
                return


@click.command()
@click.argument("topology", default="")
@click.option("--command", "command_id", default="", help="Of one command, from its first answer on.")
@click.option("--from", "positions", multiple=True, metavar="PARTITION:OFFSET", help="Resume; repeat.")
@click.option("--limit", type=click.IntRange(1), help="End after so many answers.")
@reaching
def acks(
    topology: str, command_id: str, positions: tuple[str, ...], limit: int | None, as_json: bool, **where: Any
) -> None:
    """Answers of shards, as they come."""
    from mevflow.v1.control_pb2 import ControlAck

    try:
        start = {int(part): int(offset) for part, _, offset in (text.partition(":") for text in positions)}
    except ValueError as error:
        raise UsageError(f"--from takes PARTITION:OFFSET: {error}") from error
    with connect(**where) as control:
        rows = control.watch_acks(topology, command_id=command_id, from_positions=start)
        for number, event in enumerate(rows, start=1):
            if as_json:
                emit_json(plain(event))
            else:
                ack = event.ack
                click.echo(
                    f"{event.position.partition}:{event.position.offset} {ack.topology}/{ack.shard}/{ack.stage or '*'} "
                    f"{ControlAck.Status.Name(ack.status)} v{ack.version} {ack.reason} {ack.detail}".rstrip()
                )
            if number == limit:
                return
