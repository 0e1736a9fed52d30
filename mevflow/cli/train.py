"""``mevflow train``: a replay into a learner, and what it learned under a name."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit_json, json_option, note, table
from mevflow.cli.settings import file_option


@click.command()
@click.argument("topology")
@click.argument("node")
@click.option("--name", required=True, help="Register what was learned under this name.")
@click.option("--of", "label", default="", help="One of the node's models alone: a chain, or a candidate.")
@click.option("--from", "from_", metavar="TIME", help="First chain time, e.g. 2022-04-06T06:00Z.")
@click.option("--to", metavar="TIME", help="Chain time that the window ends before.")
@click.option("--run-id", default="", help="Names the run (default: train-NAME).")
@click.option("--dry-run", is_flag=True, help="Print what would be read and stop.")
@file_option
@json_option
def command(
    topology: str,
    node: str,
    name: str,
    label: str,
    from_: str | None,
    to: str | None,
    run_id: str,
    dry_run: bool,
    file: Path,
    as_json: bool,
) -> None:
    """Run NODE of TOPOLOGY over a window of its topics from nothing, and register what it has learned.

    Ctrl-C ends it and registers nothing. The same window and settings give the same content id.
    """
    import msgspec

    from mevflow.cli.replay import carry_out
    from mevflow.flows.config import config
    from mevflow.flows.registry import ModelRegistry
    from mevflow.flows.replay import plan as replay
    from mevflow.flows.times import time_us
    from mevflow.learning.training import check_node, register

    plan = replay.plan(
        file,
        topology,
        config().var,
        run_id or f"train-{name}",
        from_us=time_us(from_) if from_ else None,
        to_us=time_us(to) if to else None,
        warmup_us=0,
        to_clickhouse=False,
    )
    check_node(plan, node)
    if dry_run:
        emit_json(plan.as_dict())
        return
    outcome = carry_out(plan, quiet=as_json)
    done = register(plan, node, name, label, ModelRegistry(config().var / "models"))
    if as_json:
        emit_json({"run_id": plan.run_id, "messages": outcome["messages"], "models": msgspec.to_builtins(done)})
        return
    table(
        ["model", "id", "learner", "chain", "target", "lessons"],
        [[f"{m.name}@{m.version}", m.id[:12], m.learner, m.chain, m.target, m.lessons] for m in done],
    )
    note(f"{outcome['messages']:,} messages in {outcome['seconds']:.1f} s; give it to shards by mevflow model swap")
