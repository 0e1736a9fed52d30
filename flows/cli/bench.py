"""``mevflow bench``: measure one thing beside a peer or a limit."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from flows.cli.output import emit_json, json_option, table

BENCHES = {
    "pipeline": "Kafka -> decode -> detect -> ClickHouse, beside the raw loop, Faust and plain Bytewax",
    "clickhouse": "rows a second through the ClickHouse sink",
    "websocket": "messages a second to 1, 10 and 100 WebSocket clients",
    "detect": "events a second through the detection kernel",
    "kafka": "messages a second through the Kafka source, beside consume()+value()",
    "decide": "decisions a second",
    "split": "splits over parallel pools a second, beside a generic convex solver",
    "latency": "event in Kafka to decision out at 50,000 messages a second",
    "control": "status calls and policies: gRPC and HTTP, with TLS and without",
    "stacks": "an empty call on the stacks that the control service could stand on",
    "kill": "kill command to the last decision at 100,000 messages a second",
}


@click.command(epilog="Benches: " + "; ".join(f"{name} ({text})" for name, text in BENCHES.items()))
@click.argument("name", type=click.Choice([*BENCHES, "all"]))
@click.option("--shards", type=click.IntRange(1, 64), default=1, help="detect: how work divides over N processes.")
@json_option
def command(name: str, shards: int, as_json: bool) -> None:
    """Run the bench NAME (or all). Figures are ratios against something run in the same command."""
    if shards > 1 and name != "detect":
        raise click.UsageError("--shards is for the bench detect")
    options = {"shards": shards} if shards > 1 else {}
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path.insert(0, root)
    for each in BENCHES if name == "all" else (name,):
        outcome = importlib.import_module(f"bench.{each}").run(**options)
        if as_json:
            emit_json(outcome)
        else:
            show(outcome)


def show(outcome: dict[str, Any]) -> None:
    """A bench's figures as a table."""
    table(
        ["figure", "value", "unit", "against", "ratio"],
        [
            [
                figure["name"],
                f"{figure['value']:,.3g}" if figure["value"] < 1000 else f"{figure['value']:,.0f}",
                figure["unit"],
                figure["against"] or "",
                f"{figure['ratio']:.2f}" if figure["ratio"] is not None else "",
            ]
            for figure in outcome["figures"]
        ],
        title=outcome["bench"],
    )
