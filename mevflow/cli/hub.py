"""``mevflow hub``: the WebSocket fan-out hub."""

from __future__ import annotations

import dataclasses

import click

from mevflow.cli.output import emit, json_option, note, table


@click.group()
def command() -> None:
    """Run the WebSocket fan-out hub. A deployed topology starts one by itself when none runs."""


@command.command()
@click.option(
    "--allow-remote", is_flag=True, help="Let it listen on an address that others can reach; it has no log-in."
)
@click.option("--origin", multiple=True, help="Let browsers in from pages of this origin (https://host); repeatable.")
@click.option("--max-clients", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--webtransport", is_flag=True, help="Also over WebTransport, on the UDP port of the same number.")
@click.option("--dscp", help="Mark packets: EF, AF41, CS5 …, or 0 to 63 (default: as configured).")
@json_option
def start(
    allow_remote: bool, origin: tuple[str, ...], max_clients: int, webtransport: bool, dscp: str | None, as_json: bool
) -> None:
    """Start it and wait until it answers; it stays until it is stopped."""
    from mevflow.flows.config import config
    from mevflow.sinks.websocket.hub import start_hub
    from mevflow.sinks.websocket.hub.wire import guard, socket_path

    options = ["--max-clients", str(max_clients)]
    options += ["--allow-remote"] if allow_remote else []
    options += ["--webtransport"] if webtransport else []
    for each in origin:
        options += ["--origin", each]
    web = config().websocket
    options += ["--dscp", web.dscp if dscp is None else dscp]
    guard(socket_path(web.port), config().control.authenticates)
    found = start_hub(web.host, web.port, config().var, options=options, metrics=config().serving())
    emit({"pid": found.pid, "url": found.url}, as_json)


@command.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop it in order; its clients are told."""
    from mevflow.flows.config import config
    from mevflow.sinks.websocket.hub import stop_hub

    stopped = stop_hub(config().websocket.port)
    if as_json:
        emit({"stopped": stopped}, as_json)
    else:
        note("the hub has stopped" if stopped else "the hub did not run")


@command.command()
@json_option
def status(as_json: bool) -> None:
    """Its feeds, its clients and what they missed. Exit code 3 when none runs."""
    from mevflow.flows.config import config
    from mevflow.operators.errors import UnreachableError
    from mevflow.sinks.websocket.hub import hub_status

    port = config().websocket.port
    found = hub_status(port)
    if found is None:
        raise UnreachableError(f"no hub runs for port {port}", hint="mevflow hub start")
    if as_json:
        emit(dataclasses.asdict(found), as_json)
        return
    emit({"pid": found.pid, "url": found.url, "metrics": found.metrics or "none", **found.messages}, as_json)
    for title, rows in (("feeds", found.feeds), ("clients", found.clients)):
        if rows:
            table(list(rows[0]), [[_text(cell) for cell in row.values()] for row in rows], title)


def _text(cell: object) -> object:
    return ", ".join(cell) or "all" if isinstance(cell, list) else cell
