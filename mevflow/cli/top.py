"""``mevflow top``: what every node of every running topology does right now."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mevflow.cli.output import emit_json, json_option, note
from mevflow.cli.settings import file_option

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A node between two looks: rows a second, share of a core, dead letters since the shard's start.

    ``behind`` is its shard's, in records.
    """

    topology: str
    shard: int
    node: str
    in_per_s: float
    out_per_s: float
    busy_pct: float
    dead_letters: int
    behind: int


@click.command()
@click.option("--every", "pause_s", type=click.FloatRange(0.5, 60), default=2.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Look twice, print, and end.")
@file_option
@json_option
def command(pause_s: float, once: bool, file: Path, as_json: bool) -> None:
    """Rates, lag, share of a core and dead letters of every node, and what live clients missed; until Ctrl-C.

    Without a terminal it prints once. Exit code 3 when nothing runs.
    """
    import sys

    from mevflow.flows.config import config
    from mevflow.operators.errors import UnreachableError

    var, port = config().var, config().websocket.port
    before = _look(var)
    if not before:
        raise UnreachableError("no topology runs", hint="mevflow status, mevflow deploy NAME")
    if as_json or once or not sys.stdout.isatty():
        note(f"measuring for {pause_s:g} s")
        time.sleep(pause_s)
        found = loads(before, _look(var))
        if as_json:
            emit_json({"nodes": [asdict(load) for load in found], "live": _live(port)})
            return
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 160).print(_view(found, _live(port)))
        return
    from rich.live import Live

    with Live(_view(loads(before, before), _live(port)), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(pause_s)
            after = _look(var)
            live.update(_view(loads(before, after), _live(port)), refresh=True)
            before = after


def loads(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[NodeLoad]:
    """What each node did between two looks at :func:`mevflow.flows.runtime.status.status`, the busiest first.

    A shard that was started anew in between has no rates yet.
    """
    known = {(row["topology"], shard["shard"]): shard for row in before for shard in row["shards"]}
    found = []
    for row in after:
        for shard in row["shards"]:
            then = known.get((row["topology"], shard["shard"]), {})
            seconds = shard.get("updated_s", 0.0) - then.get("updated_s", 0.0)
            same = then.get("pid") == shard.get("pid") and seconds > 0
            for node, counts in shard.get("nodes", {}).items():
                old = then.get("nodes", {}).get(node, counts) if same else counts
                change = {key: (counts[key] - old[key]) / seconds if same else 0.0 for key in counts}
                found.append(
                    NodeLoad(
                        row["topology"],
                        shard["shard"],
                        node,
                        round(change["rows_in"], 1),
                        round(change["rows_out"], 1),
                        round(100 * change["busy_s"], 1),
                        int(counts.get("rejected", 0)),
                        int(shard.get("behind", 0)),
                    )
                )
    return sorted(found, key=lambda load: (load.topology, load.shard, -load.busy_pct, load.node))


def _look(var: Path) -> list[dict[str, Any]]:
    """The topologies that run."""
    from mevflow.flows.runtime.status import status

    rows = [status(path.name, var) for path in sorted((var / "run").glob("*")) if path.is_dir()]
    return [row for row in rows if row["pid"] is not None]


def _live(port: int) -> dict[str, int]:
    """What the hub says of its clients; empty when none runs."""
    from mevflow.sinks.websocket.hub import hub_status

    found = hub_status(port)
    return {} if found is None else {"clients": len(found.clients), **found.messages}


def _view(found: list[NodeLoad], live: dict[str, int]) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for name in ("topology", "shard", "node"):
        table.add_column(name)
    for name in ("in/s", "out/s", "busy %", "dead letters", "behind"):
        table.add_column(name, justify="right")
    for load in found:
        table.add_row(
            load.topology,
            str(load.shard),
            load.node,
            f"{load.in_per_s:,.0f}",
            f"{load.out_per_s:,.0f}",
            f"{load.busy_pct:.1f}",
            f"{load.dead_letters:,}",
            f"{load.behind:,}",
        )
    hub = ", ".join(f"{name} {count:,}" for name, count in live.items()) or "no hub runs"
    return Group(Text(f"{time.strftime('%H:%M:%S')}  live messages: {hub}"), table)
