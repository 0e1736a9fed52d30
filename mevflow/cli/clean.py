"""``mevflow clean``: what dead processes and old replays left behind, and what is kept for too long."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click

from mevflow.cli.output import emit_json, json_option, note, table


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--days", type=click.FloatRange(0), default=7.0, show_default=True, help="Keep replays this long.")
@json_option
def command(dry_run: bool, days: float, as_json: bool) -> None:
    """Remove dead processes from Prometheus' targets, and the folders of replays that ended days ago.

    Puts [retention] of mevflow.toml into force: days of chain time that tables keep, MiB that topics keep. What a
    replay wrote to ClickHouse stays. Topologies, their state and their logs are never touched.
    """
    from mevflow.flows.config import config
    from mevflow.flows.replay.jobs import forget
    from mevflow.metrics import targets

    var = config().var
    rows = [
        ("target", " ".join(each.identity.values()), f"{each.targets[0]} is dead")
        for each in targets.prune(var, dry_run=dry_run)
    ]
    for folder in _old_replays(var, days):
        rows.append(("replay", str(folder.relative_to(var)), f"ended more than {days:g} days ago"))
        if not dry_run:
            shutil.rmtree(folder)
            forget(folder)
    rows += _retention(dry_run)
    if as_json:
        emit_json(
            {"dry_run": dry_run, "removed": [dict(zip(("kind", "what", "why"), row, strict=True)) for row in rows]}
        )
        return
    if rows:
        table(["kind", "what", "why"], rows)
    note(f"{len(rows)} {'would be removed or bounded' if dry_run else 'removed or bounded'}")


def _retention(dry_run: bool) -> list[tuple[str, str, str]]:
    """What the settings change; done unless ``dry_run``."""
    from mevflow.flows.config import config
    from mevflow.flows.demo.report import connect
    from mevflow.flows.retention import RetentionChange, tables, topics

    wanted, database, bootstrap = config().retention, config().clickhouse.database, config().kafka.bootstrap
    found: list[RetentionChange] = []
    if wanted.tables:
        client = connect()
        for change in tables.changes(client, database, wanted.tables):
            found.append(change)
            if not dry_run:
                tables.apply(client, database, change.name, wanted.tables[change.name])
        client.close()
    if wanted.topics:
        for change in topics.changes(bootstrap, wanted.topics):
            found.append(change)
            if not dry_run:
                topics.apply(bootstrap, change.name, wanted.topics[change.name])
    return [
        (change.kind, change.name, f"kept {change.now}, is to be kept {change.wanted}; {change.effect}".rstrip("; "))
        for change in found
    ]


def _old_replays(var: Path, days: float) -> list[Path]:
    """Folders of replays whose processes have ended and where nothing was written for so long."""
    from mevflow.flows.runtime.layout import Layout
    from mevflow.processes.background import ProcessId

    before = time.time() - days * 86_400
    found = []
    for spec in sorted((var / "replay").glob("*/*/spec.json")):
        folder = spec.parent
        written = max(each.stat().st_mtime for each in folder.rglob("*"))
        if ProcessId.load(Layout(folder).supervisor) is None and written < before:
            found.append(folder)
    return found
