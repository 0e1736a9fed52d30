"""``mevflow verify``: execute an opportunity on a node, at its block."""

from __future__ import annotations

from dataclasses import asdict

import click

from mevflow.cli.output import emit_json, json_option, table


@click.command()
@click.argument("opportunity_id")
@click.option("--rpc", required=True, metavar="URL", help="A node that has the state of that block.")
@json_option
def command(opportunity_id: str, rpc: str, as_json: bool) -> None:
    """Execute an opportunity by its pools, in simulated calls, right after its event; nothing is sent.

    Prints predicted and executed amounts. Exit code 4 when any differs, or the cycle reverts.
    """
    from mevflow.flows.demo.report import connect
    from mevflow.flows.verify import verify
    from mevflow.operators.errors import CheckFailedError, UsageError

    if not rpc.startswith(("http://", "https://")):
        raise UsageError("an address of http:// or https://", key="--rpc")
    client = connect()
    try:
        found = verify(client, opportunity_id, rpc)
    finally:
        client.close()
    if as_json:
        emit_json(asdict(found) | {"equal": found.equal})
    else:
        table(
            ["pool", "predicted", "executed"],
            [[pool, f"{told:,}", f"{got:,}"] for pool, told, got in found.legs],
            title=f"{found.path} on {found.chain}, block {found.block} {found.where}",
        )
        click.echo(f"profit predicted {found.predicted_profit:,}, executed {found.executed_profit:,} raw units")
    if not found.equal:
        raise CheckFailedError(
            "the chain gives other amounts than predicted",
            hint="" if found.where.startswith("after") else "later transactions of its block may have moved the pools",
            key=opportunity_id,
        )
