"""``mevflow opportunities``: what was found."""

from __future__ import annotations

import click

from mevflow.cli.output import csv_option, emit_csv, emit_json, json_option, table


@click.group()
def command() -> None:
    """The opportunities found."""


@command.command()
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option("--chain", help="One chain only, by its name (base) or evm-<chain id>.")
@click.option("--run-id", default="", help="A replay's rows instead of the live ones.")
@json_option
@csv_option
def top(limit: int, chain: str | None, run_id: str, as_json: bool, as_csv: bool) -> None:
    """The best by net profit: where, through which pools, how much, how long it stayed open."""
    from mevflow.flows.demo.report import connect, top_opportunities

    rows = top_opportunities(connect(), limit=limit, chain=chain, run_id=run_id)
    if as_json:
        for row in rows:
            emit_json(row)
        return
    show, digits = (emit_csv, "") if as_csv else (table, ",")
    show(
        ["chain", "slot", "path", "input", "net USD", "open s", "pools", "id"],
        [
            [
                r["chain"],
                str(r["slot"]),
                r["path"],
                r["amount_in"],
                f"{r['net_profit_usd']:{digits}.4f}",
                f"{r['open_s']:{digits}.1f}" if r["open_s"] is not None else "still",
                ", ".join(r["pools"]),
                r["opportunity_id"],
            ]
            for r in rows
        ],
    )
