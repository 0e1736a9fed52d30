"""``mevflow evaluate``: what another policy would have brought on the logged decisions, or why nobody can say."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import click

from mevflow.cli.output import emit_json, json_option, table


@click.command()
@click.option("--policy", default="", help="uniform, arm:NAME, or a policy by name, run on the logged record.")
@click.option("--model", default="", help="A registered policy, as it would decide now; the verdict is kept with it.")
@click.option("--target-run", default="", help="The run id of a replay that ran the target on the same topic.")
@click.option("--topology", default="detect-live", show_default=True)
@click.option("--run-id", default="", help="Whose decisions are the log; empty: the live run's.")
@click.option("--from", "since", default="1970-01-01", show_default=True, help="First time, UTC.")
@click.option("--to", "until", default="2100-01-01", show_default=True, help="Time after the last, UTC.")
@click.option("--chain", default="", help="Only decisions of this chain: its name, or evm-<chain id>.")
@click.option("--by", "unit", type=click.Choice(["episode", "decision"]), default="episode", show_default=True)
@click.option("--once", is_flag=True, help="Normal intervals: for one look at a log of a size fixed before.")
@json_option
def command(
    policy: str,
    model: str,
    target_run: str,
    topology: str,
    run_id: str,
    since: str,
    until: str,
    chain: str,
    unit: str,
    once: bool,
    as_json: bool,
) -> None:
    """Judge a target policy on logged decisions. Exit code 4 when the log cannot answer."""
    from mevflow.flows.config import config
    from mevflow.flows.demo.report import connect
    from mevflow.flows.registry import ModelRegistry
    from mevflow.learning.evaluation.report import evaluate
    from mevflow.learning.evaluation.stored import read_log, replayed_chances
    from mevflow.learning.evaluation.targets import chances_of
    from mevflow.learning.verdict import model_chances, note, verdict
    from mevflow.operators.chains import number_of
    from mevflow.operators.errors import CheckFailedError

    if [bool(policy), bool(model), bool(target_run)].count(True) != 1:
        raise click.UsageError("say one of --policy, --model and --target-run")
    if chain:
        number_of(chain)
    registry = ModelRegistry(config().var / "models")
    meta = registry.find(model) if model else None
    state = registry.state(meta) if meta else b""
    chain = chain or (meta.chain if meta else "")
    client = connect()
    try:
        log, ids = read_log(client, topology, since, until, chain, run_id)
        if target_run:
            target, there = replayed_chances(client, log, ids, topology, target_run, run_id)
            target = target[there]
            log = replace(
                log,
                contexts=log.contexts[there],
                chances=log.chances[there],
                arms=log.arms[there],
                rewards=log.rewards[there],
                episodes=log.episodes[there],
            )
            click.echo(f"{int(there.sum()):,} of {len(there):,} decisions were made by {target_run} too", err=True)
        elif meta is not None:
            target = model_chances(log, meta, state)
        else:
            target = chances_of(log, policy)
    finally:
        client.close()
    found = evaluate(log, target, by_episode=unit == "episode", once=once)
    said, whose = found.support, policy or model or target_run
    if meta is not None:
        judged = verdict(found, meta, topology, run_id, since, until)
        note(registry, meta, judged)
        for short in judged.shortfalls:
            click.echo(f"mevflow model swap refuses {meta.name}@{meta.version} unless forced: {short}", err=True)
    if as_json:
        emit_json(asdict(found) | {"target": whose, "enough": said.enough})
    elif found.estimates:
        click.echo(
            f"{said.decisions:,} decisions, {said.choices:,} with a choice, worth {said.effective:,.0f} for the "
            f"target; largest weight {said.largest_weight:,.1f}; logged {found.logged:+.4f} USD per {found.unit} "
            f"of {found.units:,}"
        )
        table(
            ["estimate", f"USD per {found.unit}", "low", "high", "interval"],
            [
                [
                    e.method,
                    f"{e.value:+.4f}",
                    *_shown(e.low, e.high),
                    "at any look" if e.holds else "at one" if once else "",
                ]
                for e in found.estimates
            ],
            title=f"What {whose} would have brought",
        )
    if not said.enough:
        more = "it cannot be said how many more" if said.needed is None else f"about {said.needed:,} decisions more"
        raise CheckFailedError(
            f"the log cannot judge {whose}: {'; '.join(said.refusals)}",
            hint=f"needed: {more} of this kind",
        )


def _shown(low: float, high: float) -> tuple[str, str]:
    return ("", "") if math.isnan(low) else (f"{low:+.4f}", f"{high:+.4f}")
