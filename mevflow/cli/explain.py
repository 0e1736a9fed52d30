"""``mevflow explain``: a decision from its source offset to its reward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, table
from mevflow.cli.settings import file_option


@click.command()
@click.argument("decision_id")
@click.option("--run-id", default="", help="A replay's decision instead of the live one.")
@click.option("--rederive", is_flag=True, help="Compute it once more from the record. Exit code 4 when it differs.")
@file_option
@json_option
def command(decision_id: str, run_id: str, rederive: bool, file: Path, as_json: bool) -> None:
    """Show where a decision came from, what it knew, and what came of it.

    DECISION_ID is 32 hexadecimal digits, or the first six or more of them.
    """
    from mevflow.clickhouse.client import connect
    from mevflow.flows.config import config
    from mevflow.flows.explain import explain

    at = config().clickhouse
    client = connect(at.host, at.port, user=at.user, password=at.password.get_secret_value(), database=at.database)
    story = explain(client, decision_id, run_id)
    if rederive:
        _rederive(client, story["decision"], file, as_json)
    elif as_json:
        emit_json(story)
    else:
        _show(story)


def _rederive(client: Any, decision: dict[str, Any], file: Path, as_json: bool) -> None:
    from mevflow.flows.spec.resolve import resolve
    from mevflow.flows.spec.topology import load
    from mevflow.learning.rederive import rederive
    from mevflow.operators.decide.settings import BanditSettings
    from mevflow.operators.errors import CheckFailedError, UsageError

    nodes = resolve(load(file), decision["topology"]).of_use("bandit.decide")
    if len(nodes) != 1 or not isinstance(nodes[0].settings, BanditSettings):
        raise UsageError(f"{decision['topology']} has {len(nodes)} nodes that decide, not one", file=str(file))
    found = rederive(client, decision, nodes[0].settings)
    if as_json:
        emit_json([one.as_dict() for one in found])
    else:
        table(
            ["part", "", "logged", "computed"],
            [[one.what, "equal" if one.equal else one.why or "differs", one.logged, one.computed] for one in found],
        )
    wrong = [one.what for one in found if not one.equal]
    if wrong:
        raise CheckFailedError(f"not what follows from the record: {', '.join(wrong)}", key=decision["decision_id"])


def _show(story: dict[str, Any]) -> None:
    from mevflow.operators.model.labels import PREDICTS

    decision, lineage, found = story["decision"], story["lineage"], story["opportunity"]
    click.echo(f"Decision {decision['decision_id']}  ({decision['topology']}, {decision['run_id'] or 'live'})")
    if lineage is None:
        _line("source", "not recorded")
    else:
        _line("source", f"{lineage['topic']}[{lineage['partition']}]@{lineage['offset']}")
    _line(
        "event",
        f"{decision['chain']} slot {decision['slot']}, transaction {decision['tx_index']}, "
        f"instruction {decision['ix_index']}, {decision['timestamp']:%Y-%m-%d %H:%M:%S} UTC",
    )
    if found is None:
        _line("opportunity", f"{decision['opportunity_id']} (not recorded)")
    else:
        since = f"open since slot {found['opened_slot']}" + (", late" if found["late"] else "")
        _line("opportunity", f"{decision['opportunity_id']}  {found['path']}, {since}")
        _line(
            "expected",
            f"{found['net_profit']} raw = {found['net_profit_usd']:,.6f} USD "
            f"{'net' if found['cost'] is not None else 'before costs, which are not known'}, "
            f"{found['gross_profit']} raw gross, for {found['amount_in']} raw in",
        )
    _line("policy", f"{decision['policy']} version {decision['policy_version']}, model {decision['model_version']}")
    _line(
        "chosen",
        f"{decision['arm']}, propensity {decision['propensity']:.6f}, tip {decision['tip']} raw, "
        f"seed {decision['seed']}",
    )
    for outcome in story["outcomes"]:
        _line(
            "outcome",
            f"{outcome['kind']}, reward {outcome['reward_usd']:+,.6f} USD, {_realised(outcome)}, "
            f"settled after slot {outcome['slot']}",
        )
        _line("evidence", outcome["evidence"])
    if not story["outcomes"]:
        _line("outcome", "not known yet")
    if found is not None:
        legs = zip(
            found["pools"], found["venues"], found["mints_in"], found["amounts_in"], found["amounts_out"], strict=True
        )
        table(["pool", "venue", "token in", "raw in", "raw out"], legs, title="Legs")
    if story["scores"]:
        table(
            ["model", "predicts", "score", "candidate", "labels", "model id"],
            [
                [
                    row["model"],
                    f"{row['target']}: {PREDICTS.get(row['target'], 'a plug-in says')}",
                    f"{row['score']:.6g}",
                    row["candidate"],
                    row["model_version"],
                    row["model_id"][:12] or "-",
                ]
                for row in story["scores"]
            ],
            title="What models said",
        )
    names = decision["features"].items()
    table(["feature", "value"], [[name, f"{value:.6g}"] for name, value in names], title="Context")
    estimates = {row["arm"]: row["estimate_usd"] for row in story["counterfactuals"]}
    taken = story["outcomes"][-1]["reward_usd"] if story["outcomes"] else None
    table(
        ["arm", "propensity", "score", "reward USD", ""],
        [
            [
                arm,
                f"{chance:.6f}",
                f"{score:.6g}",
                _money(taken if arm == decision["arm"] else estimates.get(arm)),
                "taken" if arm == decision["arm"] else "by the landing rule" if arm in estimates else "",
            ]
            for arm, chance, score in zip(
                decision["arms"], decision["arm_propensities"], decision["arm_scores"], strict=True
            )
        ],
        title="Eligible arms",
    )


def _line(key: str, text: str) -> None:
    click.echo(f"  {key:<12} {text}")


def _realised(outcome: dict[str, Any]) -> str:
    raw = outcome["realized_profit"]
    return "what it realised is not known" if raw is None else f"{raw} raw realised"


def _money(usd: float | None) -> str:
    return "" if usd is None else f"{usd:+,.6f}"
