"""``mevflow bench``: measure one thing beside a peer or a limit."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from mevflow.bench import BENCHES
from mevflow.cli.output import emit_json, json_option, note


@click.command(epilog="Benches: " + "; ".join(f"{name} ({text})" for name, text in BENCHES.items()))
@click.argument("name", metavar="NAME|all|profile NAME", type=click.Choice([*BENCHES, "all", "profile"]))
@click.argument("profiled", required=False, metavar="", type=click.Choice(list(BENCHES)))
@click.option("--output", type=click.Path(path_type=Path), help="profile: the file; otherwise var/profiles/NAME.json.")
@click.option("--shards", type=click.IntRange(1, 64), default=1, help="detect: how work divides over N processes.")
@json_option
def command(name: str, profiled: str | None, output: Path | None, shards: int, as_json: bool) -> None:
    """Run the bench NAME (or all). Figures are ratios against something run in the same command.

    `profile NAME` runs it under py-spy and writes a speedscope file: where the time went, in every process of it.
    """
    if (name == "profile") != (profiled is not None):
        raise click.UsageError("say which: mevflow bench profile NAME" if name == "profile" else "one NAME at a time")
    if profiled is not None:
        from mevflow.bench.profile import record
        from mevflow.flows.config import config

        target = output or config().var / "profiles" / f"{profiled}.json"
        record(profiled, target)
        note(f"{target}: open it at speedscope.app, or by `npx speedscope`")
        return
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
