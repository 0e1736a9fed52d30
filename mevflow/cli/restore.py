"""``mevflow restore``: a deployment from a backup."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.cli.settings import absolute


@click.command()
@click.argument("backup", type=click.Path(path_type=Path), callback=absolute)
@click.argument("folder", type=click.Path(path_type=Path), required=False, callback=absolute)
@click.option("--check", is_flag=True, help="Only check that the backup is whole.")
@json_option
def command(backup: Path, folder: Path | None, check: bool, as_json: bool) -> None:
    """Restore BACKUP into the empty FOLDER and an empty ClickHouse database; nothing of it runs then.

    Where state and ClickHouse are is what the backup's mevflow.toml and MEVFLOW_… variables say. Exit code 4 when the
    backup is damaged or something is in the way.
    """
    from mevflow.flows.backup.manifest import Manifest
    from mevflow.flows.backup.restore import restore
    from mevflow.operators.errors import UsageError

    if check:
        found = Manifest.load(backup)
        note(f"checking {len(found.files)} files")
        found.check(backup)
    elif folder is None:
        raise UsageError("FOLDER is missing", hint="mevflow restore BACKUP FOLDER, or --check")
    else:
        note(f"restoring to {folder}")
        found = restore(backup, folder, note)
        for name in found.topologies:
            note(f"next: mevflow deploy {name} --file {folder / 'topologies.yaml'}")
    emit(
        {
            "backup": str(backup),
            "state": "whole" if check else "restored",
            "tables": len(found.tables),
            "rows": sum(table.rows for table in found.tables),
            "topologies": ", ".join(found.topologies),
        },
        as_json,
    )
