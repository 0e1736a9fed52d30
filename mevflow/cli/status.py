"""``mevflow status``: what runs, how fast, how far behind."""

from __future__ import annotations

from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, note, table


@click.command()
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Refresh once a second until interrupted.")
@json_option
def command(name: str | None, watch: bool, as_json: bool) -> None:
    """State of every deployed topology, or of NAME in detail."""
    import time

    from mevflow.flows.config import config
    from mevflow.flows.runtime.deploy import status

    var = config().var
    while True:
        names = [name] if name else sorted(p.name for p in (var / "run").glob("*") if p.is_dir())
        rows = [status(each, var) for each in names]
        if as_json:
            emit_json(rows[0] if name else rows)
        else:
            _show(rows, detailed=name is not None)
        if not watch:
            return
        time.sleep(1)
        if not as_json:
            click.clear()


def _show(rows: list[dict[str, Any]], detailed: bool) -> None:
    from mevflow.flows.runtime.deploy import source_rows

    if not rows:
        click.echo("nothing has been deployed; see `mevflow topologies list`")
        return
    table(
        ["topology", "state", "shard", "pid", "restarts", "rows in", "rows/s", "caught up"],
        [
            [
                row["topology"],
                row["state"],
                *(
                    [
                        s["shard"],
                        s.get("pid") or "-",
                        s.get("restarts", 0),
                        source_rows(s),
                        round(source_rows(s) / max(s["updated_s"] - s["started_s"], 1e-9)) if "updated_s" in s else 0,
                        "yes" if s.get("caught_up") else "no",
                    ]
                ),
            ]
            for row in rows
            for s in row["shards"] or [{"shard": "-"}]
        ],
    )
    if detailed:
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
            for node, notes in shard.get("notes", {}).items():
                for text in notes:
                    note(f"{node}: {text}")
