"""``mevflow collect``: what an endpoint of an EVM chain can do."""

from __future__ import annotations

import click

from mevflow.cli.output import emit_json, json_option, table


@click.group()
def command() -> None:
    """Collect swaps from nodes of EVM chains: topology `collect` (docs/collect.md)."""


@command.command()
@click.argument("url")
@json_option
def check(url: str, as_json: bool) -> None:
    """Try the endpoint URL: does it have all that collecting needs? Exit code 4 when it does not."""
    from pydantic import ValidationError

    from mevflow.operators.errors import CheckFailedError, UsageError
    from mevflow.sources.evm.check import check as try_endpoint
    from mevflow.sources.evm.rpc import EndpointSettings

    try:
        settings = EndpointSettings(url=url)
    except ValidationError as wrong:
        raise UsageError(wrong.errors()[0]["msg"].removeprefix("Value error, "), key="URL") from wrong
    findings = try_endpoint(settings)
    if as_json:
        for one in findings:
            emit_json({"what": one.what, "works": one.works, "detail": one.detail, "needed": one.needed})
    else:
        table(["what", "works", "detail"], [[one.what, "yes" if one.works else "no", one.detail] for one in findings])
    missing = [one.what for one in findings if one.needed and not one.works]
    if missing:
        raise CheckFailedError(f"cannot be collected from: {', '.join(missing)}", key=url)
