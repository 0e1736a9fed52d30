"""``mevflow backup``: everything that a deployment would need to go on elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.cli.settings import absolute, file_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), callback=absolute)
@click.option("--drain", is_flag=True, help="Stop what runs in order, and start it again afterwards.")
@click.option("--topics/--no-topics", default=True, show_default=True, help="With the embedded broker's log.")
@file_option
@json_option
def command(folder: Path, drain: bool, topics: bool, file: Path, as_json: bool) -> None:
    """Write tables, recovery stores, control state, topology file and registry to FOLDER, all of one moment.

    Exit code 4 when something runs and --drain is not given. It has what is secret here: keep it as you keep var/.
    """
    note(f"backing up to {folder}")
    from mevflow.flows.backup.take import backup
    from mevflow.flows.config import config

    made = backup(config(), file, folder, drain=drain, with_topics=topics, say=note)
    for each in made.left_out:
        note(f"not in it: {each}")
    emit(
        {
            "folder": str(folder),
            "tables": len(made.tables),
            "rows": sum(table.rows for table in made.tables),
            "files": len(made.files),
            "bytes": sum(each.size for each in made.files),
            "topics": made.topics,
        },
        as_json,
    )
