"""``mevflow collect``: what an endpoint of a chain can do, and how collecting goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mevflow.cli.output import csv_option, emit_csv, emit_json, json_option, table
from mevflow.cli.settings import file_option

if TYPE_CHECKING:
    from mevflow.sources.evm.check import Finding


@click.group()
def command() -> None:
    """Collect swaps from nodes: topologies `collect` and `collect-solana` (docs/collect.md)."""


@command.command()
@click.argument("url")
@click.option("--geyser", is_flag=True, help="URL is a Geyser endpoint (Yellowstone); grpc:// and grpcs:// say so too.")
@click.option("--token-file", type=click.Path(dir_okay=False), help="Its x-token; else $YELLOWSTONE_X_TOKEN.")
@json_option
def check(url: str, geyser: bool, token_file: str | None, as_json: bool) -> None:
    """Try the endpoint URL: does it have all that collecting needs? Exit code 4 when it does not."""
    from pydantic import ValidationError

    from mevflow.operators.errors import CheckFailedError, UsageError

    try:
        findings = _findings(url, geyser or url.startswith(("grpc://", "grpcs://")), token_file)
    except ValidationError as wrong:
        raise UsageError(wrong.errors()[0]["msg"].removeprefix("Value error, "), key="URL") from wrong
    if as_json:
        for one in findings:
            emit_json({"what": one.what, "works": one.works, "detail": one.detail, "needed": one.needed})
    else:
        table(["what", "works", "detail"], [[one.what, "yes" if one.works else "no", one.detail] for one in findings])
    missing = [one.what for one in findings if one.needed and not one.works]
    if missing:
        raise CheckFailedError(f"cannot be collected from: {', '.join(missing)}", key=url)


def _findings(url: str, geyser: bool, token_file: str | None) -> list[Finding]:
    """What was tried. Raises ValidationError for a URL of another form."""
    if not geyser:
        from mevflow.sources.evm.check import check as try_endpoint
        from mevflow.sources.evm.rpc import EndpointSettings

        return try_endpoint(EndpointSettings(url=url))
    from mevflow.operators.parse.solana.events import VENUES
    from mevflow.sources.solana.check import check_geyser
    from mevflow.sources.solana.stream import GeyserEndpoint

    return check_geyser(GeyserEndpoint(url=url, token_file=token_file), tuple(sorted(VENUES)))


@command.command()
@file_option
@json_option
@csv_option
def status(file: Path, as_json: bool, as_csv: bool) -> None:
    """The topologies that collect: chain, state, blocks behind, rows given. Exit code 4 when one is in trouble."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime.status import TROUBLED
    from mevflow.flows.runtime.status import status as state_of
    from mevflow.flows.spec.topology import load
    from mevflow.operators.errors import CheckFailedError, UsageError

    uses = ("evm.source", "yellowstone.source")
    collecting = [
        (name, "solana" if node.use == "yellowstone.source" else str(node.settings.get("chain", "ethereum")))
        for name, topology in load(file).topologies.items()
        for node in topology.nodes.values()
        if node.use in uses
    ]
    if not collecting:
        raise UsageError(f"no topology of this file uses {' or '.join(uses)}", hint="docs/collect.md", file=str(file))
    rows = []
    for name, chain in collecting:
        found = state_of(name, config().var)
        shards = found["shards"]
        rows.append(
            {
                "topology": name,
                "chain": chain,
                "state": found["state"],
                "behind": sum(shard.get("behind", 0) for shard in shards),
                "rows": sum(shard.get("rows", 0) for shard in shards),
            }
        )
    if as_json:
        for row in rows:
            emit_json(row)
    else:
        show = emit_csv if as_csv else table
        show(["topology", "chain", "state", "blocks behind", "rows"], [list(row.values()) for row in rows])
    troubled = [row["topology"] for row in rows if row["state"] in TROUBLED]
    if troubled:
        raise CheckFailedError(f"in trouble: {', '.join(map(str, troubled))}", hint=f"mevflow logs {troubled[0]}")
