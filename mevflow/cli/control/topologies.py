"""``mevflow control topologies``: what is deployed where the service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.control.connection import connect, plain, reaching
from mevflow.cli.output import emit, emit_json, table
from mevflow.operators.errors import CheckFailedError


@click.group()
def topologies() -> None:
    """Deploy, drain, rescale, upgrade and replay topologies where the service runs."""


@topologies.command("list")
@reaching
def list_(as_json: bool, **where: Any) -> None:
    """Every topology of the service's file."""
    with connect(**where) as control:
        rows = control.list_topologies().topologies
    if as_json:
        emit_json([plain(row) for row in rows])
        return
    table(
        ["topology", "state", "shards", "nodes", "summary"],
        [[r.name, r.state, r.shards, len(r.nodes), r.summary] for r in rows],
    )


@topologies.command()
@click.argument("names", nargs=-1)
@click.option("--yaml", "yaml", type=click.Path(exists=True, path_type=Path), help="This file, not the service's.")
@reaching
def validate(names: tuple[str, ...], yaml: Path | None, as_json: bool, **where: Any) -> None:
    """Report every problem. Exit code 4 when there is any."""
    with connect(**where) as control:
        reply = control.validate_topology(names, yaml=yaml.read_text() if yaml else "")
    if as_json:
        emit_json(plain(reply))
    for problem in () if as_json else reply.problems:
        click.echo(f"line {problem.line}: {problem.key}: {problem.message}")
    if not reply.valid:
        raise CheckFailedError(f"{len(reply.problems)} problems")
    if not as_json:
        click.echo("valid")


@topologies.command()
@click.argument("name")
@reaching
def status(name: str, as_json: bool, **where: Any) -> None:
    """Lag, rates and the last snapshot of NAME."""
    with connect(**where) as control:
        reply = control.topology_status(name)
    if as_json:
        emit_json(plain(reply))
        return
    click.echo(f"{reply.name}: {reply.state}")
    table(
        ["shard", "state", "pid", "restarts", "rows", "rows/s", "behind", "snapshot, s ago"],
        [
            [s.shard, s.state, str(s.pid), s.restarts, s.rows, round(s.rows_per_s), s.lag, round(s.snapshot_age_s, 1)]
            for s in reply.shards
        ],
    )


@topologies.command()
@click.argument("name")
@click.option("--shards", type=click.IntRange(1, 256), default=None)
@click.option("--fresh", is_flag=True, help="Forget saved state.")
@reaching
def deploy(name: str, shards: int | None, fresh: bool, as_json: bool, **where: Any) -> None:
    """Start NAME."""
    with connect(**where) as control:
        emit(plain(control.deploy(name, shards=shards or 0, fresh=fresh)), as_json)


@topologies.command()
@click.argument("name")
@click.option("--timeout", "timeout_s", default=60.0, show_default=True)
@reaching
def stop(name: str, timeout_s: float, as_json: bool, **where: Any) -> None:
    """Drain NAME."""
    with connect(**where) as control:
        emit(plain(control.stop(name, timeout_s=timeout_s)), as_json)


@topologies.command()
@click.argument("name")
@click.argument("shards", type=click.IntRange(1, 256))
@click.option("--fresh", is_flag=True, help="Forget saved state.")
@reaching
def rescale(name: str, shards: int, fresh: bool, as_json: bool, **where: Any) -> None:
    """Drain NAME, then start it with SHARDS shards."""
    with connect(**where) as control:
        emit(plain(control.rescale(name, shards, fresh=fresh)), as_json)


@topologies.command()
@click.argument("name")
@click.option("--rollback", is_flag=True, help="Of going back to what ran before the last change.")
@reaching
def plan(name: str, rollback: bool, as_json: bool, **where: Any) -> None:
    """Show what an upgrade of NAME to its file would change. Nothing stops."""
    with connect(**where) as control:
        reply = control.plan_topology(name, rollback=rollback)
    if as_json:
        emit_json(plain(reply))
        return
    click.echo(f"{name}, plan {reply.plan}: {reply.refusal or 'would be accepted'}")
    rows = [[d.node or "(topology)", d.setting, d.what, d.before, d.after] for d in reply.differences]
    table(["node", "setting", "what", "before", "after"], rows)
    if reply.forgets:
        click.echo(f"saved state of these is left behind: {', '.join(reply.forgets)}")


@topologies.command()
@click.argument("name")
@click.option("--plan", default="", help="Refuse it when this plan is no longer what would be done.")
@reaching
def upgrade(name: str, plan: str, as_json: bool, **where: Any) -> None:
    """Drain NAME, then run it as its file has it now, with its state."""
    with connect(**where) as control:
        emit(plain(control.upgrade_topology(name, plan=plan)), as_json)


@topologies.command()
@click.argument("name")
@click.option("--plan", default="", help="Refuse it when this plan is no longer what would be done.")
@reaching
def rollback(name: str, plan: str, as_json: bool, **where: Any) -> None:
    """Drain NAME, then run it as it was before the last change, from where it stands."""
    with connect(**where) as control:
        emit(plain(control.rollback_topology(name, plan=plan)), as_json)


@topologies.command()
@click.argument("name")
@click.option("--run-id", required=True)
@click.option("--from", "from_", metavar="TIME")
@click.option("--to", metavar="TIME")
@click.option("--no-clickhouse", is_flag=True, help="Write the result files only.")
@click.option("--dry-run", is_flag=True)
@reaching
def replay(
    name: str,
    run_id: str,
    from_: str | None,
    to: str | None,
    no_clickhouse: bool,
    dry_run: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Run NAME over a window of history, where the service runs. Interrupting ends it."""
    from mevflow.cli.progress import progress
    from mevflow.flows.times import time_us

    with connect(**where) as control, progress(100, "replay", enabled=not as_json) as bar:
        events = control.replay(
            name,
            run_id,
            from_us=time_us(from_) if from_ else None,
            to_us=time_us(to) if to else None,
            files_only=no_clickhouse,
            dry_run=dry_run,
        )
        for event in events:
            bar(100 * event.done // max(event.messages, 1))
            if as_json:
                emit_json(plain(event))
    if not as_json:
        click.echo(f"{event.messages:,} messages")
        table(["result", "rows", "sha256", "file"], [[r.message, r.rows, r.sha256[:16], r.file] for r in event.results])
