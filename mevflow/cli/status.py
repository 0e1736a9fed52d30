"""``mevflow status``: what runs, how fast, how far behind, and what is in trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import csv_option, emit_csv, emit_json, json_option, note, table
from mevflow.cli.settings import file_option


@click.command()
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Refresh once a second until interrupted.")
@file_option
@json_option
@csv_option
def command(name: str | None, watch: bool, file: Path, as_json: bool, as_csv: bool) -> None:
    """State of every deployed topology, or of NAME in detail.

    Exit code 4 when one is in trouble: failing (a shard dies again and again at one place), failed, killed, orphaned or
    fenced.
    """
    import sys
    import time

    from mevflow.flows.config import config
    from mevflow.flows.runtime.status import TROUBLED, status
    from mevflow.operators.errors import CheckFailedError

    var = config().var
    while True:
        names = [name] if name else sorted(p.name for p in (var / "run").glob("*") if p.is_dir())
        rows = [status(each, var) for each in names]
        if name and rows[0]["state"] == "never deployed":
            from mevflow.flows.spec.topology import load

            load(file).get(name)  # says what it may have been meant for
        if watch and not as_json and not as_csv and sys.stdout.isatty():
            click.clear()
        if as_json:
            emit_json(rows[0] if name else rows)
        elif as_csv:
            emit_csv(_COLUMNS, _shards(rows))
        else:
            _show(rows, name is not None, var)
        if not watch:
            break
        time.sleep(1)
    troubled = [row for row in rows if row["state"] in TROUBLED]
    if troubled:
        raise CheckFailedError(
            "; ".join(_trouble(row) for row in troubled), hint=f"mevflow logs {troubled[0]['topology']}"
        )


def _trouble(row: dict[str, Any]) -> str:
    """One topology's state with what is known of why."""
    text = f"{row['topology']} is {row['state']}"
    if row.get("orphans"):
        pids = ", ".join(map(str, row["orphans"]))
        return f"{text}: shards live without a supervisor (pid {pids}); mevflow stop {row['topology']} ends them"
    if row.get("fenced_by"):
        return f"{text}: it was taken over by {row['fenced_by']}"
    for shard in row["shards"]:
        if shard.get("failing_at"):
            text += f"; shard {shard['shard']} died {shard['failures']} times in a row at: {shard['failing_at']}"
        elif shard.get("last_error") and row["state"] != "running":
            text += f"; shard {shard['shard']}: {shard['last_error']}"
    return text


_COLUMNS = ("topology", "state", "shard", "pid", "restarts", "rows in", "rows/s", "behind", "caught up")


def _shards(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """A line of :data:`_COLUMNS` for each shard, or for a topology that has none."""
    return [
        [
            row["topology"],
            row["state"],
            s["shard"],
            str(s.get("pid") or "-"),
            s.get("restarts", 0),
            s.get("rows", 0),
            round(s.get("rows_per_s", 0.0)),
            s.get("behind", "-"),
            "yes" if s.get("caught_up") else "no",
        ]
        for row in rows
        for s in row["shards"] or [{"shard": "-"}]
    ]


def _show(rows: list[dict[str, Any]], detailed: bool, var: Path) -> None:
    if not rows:
        note(f"nothing has been deployed from {var}; see `mevflow topologies list`")
        return
    table(_COLUMNS, _shards(rows))
    if detailed:
        if rows[0].get("metrics"):
            note(f"metrics: http://{rows[0]['metrics']}/metrics, of its shards http://{rows[0]['metrics']}/shards")
        for shard in rows[0]["shards"]:
            nodes = shard.get("nodes", {})
            table(
                ["node", "rows in", "rows out", "dead letters", "busy s"],
                [
                    [n, int(c["rows_in"]), int(c["rows_out"]), int(c.get("rejected", 0)), f"{c['busy_s']:.2f}"]
                    for n, c in nodes.items()
                ],
                title=f"shard {shard['shard']}",
            )
            if shard.get("metrics"):
                note(f"metrics: http://{shard['metrics']}/metrics")
            for node, notes in shard.get("notes", {}).items():
                for text in notes:
                    note(f"{node}: {text}")
