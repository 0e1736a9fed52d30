"""``mevflow pools``: the pools that are known, and whether their chain says the same."""

from __future__ import annotations

from typing import Any

import click

from mevflow.cli.output import csv_option, emit_csv, emit_json, json_option, table


@click.group()
def command() -> None:
    """The pools that swaps were stored of."""


@command.command("list")
@click.option("--chain", default="", help="One chain only, by its name (base) or evm-<chain id>.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000))
@json_option
@csv_option
def list_(chain: str, limit: int, as_json: bool, as_csv: bool) -> None:
    """Pools by their number of swaps."""
    from mevflow.flows.demo.report import connect
    from mevflow.flows.pools.stored import listed

    rows = listed(connect(), chain, limit=limit)
    if as_json:
        for row in rows:
            emit_json(_plain(row))
        return
    show = emit_csv if as_csv else table
    show(
        ["chain", "pool", "pair", "venue", "fee pips", "swaps", "last swap"],
        [
            [
                *(row["chain"], row["pool"], row["pair"] or "", row["venue"], str(row["fee_pips"])),
                *(row["swaps"], f"{row['last_seen']:%Y-%m-%d %H:%M:%S}"),
            ]
            for row in rows
        ],
    )


@command.command()
@click.argument("pool")
@json_option
def show(pool: str, as_json: bool) -> None:
    """One POOL: what it is, and the last state that its rows told (raw units)."""
    from mevflow.flows.demo.report import connect
    from mevflow.flows.pools.stored import shown

    found = _plain(shown(connect(), pool))
    if as_json:
        emit_json(found)
    else:
        table(["field", "value"], [[name, str(value)] for name, value in found.items()])


@command.command()
@click.argument("pools", nargs=-1)
@click.option("--rpc", required=True, metavar="URL", help="A node that has the state of the last stored block.")
@click.option("--chain", default="ethereum", show_default=True)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="The busiest pools.")
@json_option
def audit(pools: tuple[str, ...], rpc: str, chain: str, limit: int, as_json: bool) -> None:
    """Hold POOLS, or the busiest, against their contracts at the last block stored. Exit code 4 when one differs.

    Reserves of Uniswap v2's kind; price, tick and liquidity of v3's.
    """
    from mevflow.flows.demo.report import connect
    from mevflow.flows.pools.stored import audit as hold
    from mevflow.operators.errors import CheckFailedError, UsageError

    if not rpc.startswith(("http://", "https://")):
        raise UsageError("an address of http:// or https://", key="--rpc")
    found = hold(connect(), chain, rpc, list(pools), limit)
    if as_json:
        for one in found:
            emit_json({"pool": one.pool, "block": one.block, "equal": one.equal, "told": one.told, "said": one.said})
    else:
        table(
            ["pool", "equal", "rows told", "contract says"],
            [[one.pool, "yes" if one.equal else "NO", str(one.told), str(one.said)] for one in found],
            title=f"{chain}, end of block {found[0].block}" if found else chain,
        )
    wrong = [one.pool for one in found if not one.equal]
    if wrong:
        raise CheckFailedError(
            f"{len(wrong)} of {len(found)} pools differ from their contracts",
            hint="a fork that was taken back, rows missing, or a venue that does not log alike",
            key=wrong[0],
        )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}
