"""``mevflow bench``: measure one thing beside a peer or a limit."""

from __future__ import annotations

import importlib

import click

from mevflow.bench import BENCHES
from mevflow.cli.output import emit_json, json_option


@click.command(epilog="Benches: " + "; ".join(f"{name} ({text})" for name, text in BENCHES.items()))
@click.argument("name", type=click.Choice([*BENCHES, "all"]))
@click.option("--shards", type=click.IntRange(1, 64), default=1, help="detect: how work divides over N processes.")
@json_option
def command(name: str, shards: int, as_json: bool) -> None:
    """Run the bench NAME (or all). Figures are ratios against something run in the same command."""
    if shards > 1 and name != "detect":
        raise click.UsageError("--shards is for the bench detect")
    from mevflow.bench.figures import show

    options = {"shards": shards} if shards > 1 else {}
    for each in BENCHES if name == "all" else (name,):
        outcome = importlib.import_module(f"mevflow.bench.{each}").run(**options)
        if as_json:
            emit_json(outcome)
        else:
            show(outcome)
