"""``mevflow demo``: the main job on the recorded days (``make run``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, note, table
from mevflow.cli.settings import file_option


@click.command()
@click.option("--keep", is_flag=True, help="Leave the services and the topology running.")
@file_option
@json_option
def command(keep: bool, file: Path, as_json: bool) -> None:
    """Start Kafka and ClickHouse, feed two recorded days, run detect-live, report, stop everything in order.

    A second run finds the days fed and processed, and only reports.
    """
    from mevflow.cli.progress import progress
    from mevflow.flows.config import config
    from mevflow.flows.demo import main_job as demo

    def bar(total: int, text: str) -> Any:
        return progress(total, text, enabled=not as_json)

    outcome = demo.run(config(), file, keep, note, bar)
    if as_json:
        emit_json(outcome)
    else:
        show(outcome)


def show(outcome: dict[str, Any]) -> None:
    """The report for people."""
    table(
        ["chain", "transactions", "swaps", "opportunities", "episodes", "sum of best profits, USD", "from", "to"],
        [
            [
                c["chain"],
                c["transactions"],
                c["swaps"],
                c["opportunities"],
                c["episodes"],
                f"{c['best_profit_usd']:,.2f}",
                f"{c['first']:%Y-%m-%d %H:%M}",
                f"{c['last']:%Y-%m-%d %H:%M}",
            ]
            for c in outcome["chains"]
        ],
        title="By chain",
    )
    table(
        ["chain", "slot", "path", "input", "profit USD", "open", "pools"],
        [
            [
                t["chain"],
                str(t["slot"]),
                t["path"],
                f"{t['amount_in']:,.6g}",
                f"{t['net_profit_usd']:,.2f}",
                "not seen to close" if t["open_s"] is None else f"{t['open_s']:,.1f} s, {t['open_slots']} slots",
                ", ".join(f"{pool[:8]}…" for pool in t["pools"]),
            ]
            for t in outcome["top"]
        ],
        title="The best ten opportunities",
    )
    click.echo("What pays right after an event; docs/detection.md says which of these another transaction could meet.")
    table(
        ["chain", "arm", "decisions", "mean propensity", "landed", "reward USD"],
        [
            [
                a["chain"],
                a["arm"],
                a["decisions"],
                f"{a['mean_propensity']:.3f}",
                a["landed"],
                f"{a['reward_usd']:,.2f}",
            ]
            for a in outcome["arms"]
        ],
        title="Decisions by arm",
    )
    landing = outcome["landing"]
    click.echo(
        f"Landing hung on the bid in {landing['hung_on_bid']:,} of {landing['settled']:,} settled bids, so these days "
        f"{'rank few' if landing['hung_on_bid'] else 'cannot rank'} tips; {landing['implausible']:,} episodes were too "
        "good to be true and left out: docs/evaluation.md"
    )
    table(["table", "rows"], list(outcome["tables"].items()), title="Rows in ClickHouse")
    seconds = outcome["seconds"]
    click.echo(
        f"{outcome['published']:,} messages published in {seconds['feed']:.1f} s; "
        f"{outcome['processed']:,} processed in "
        f"{seconds['detect']:.1f} s including the start ({outcome['messages_per_s']:,}/s)"
    )
    first = "" if outcome["kept_running"] else "make run KEEP=1, then "
    click.echo(
        f"\nNext: {first}mevflow status detect-live; mevflow opportunities top; mevflow listen;\n"
        "mevflow clickhouse query 'SELECT * FROM arbitrage_opportunities LIMIT 5'; docs/architecture.md"
    )
