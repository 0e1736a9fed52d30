"""``mevflow grafana``: dashboards and data sources in a Grafana."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mevflow.cli.output import emit_json, json_option, note, table

if TYPE_CHECKING:
    from mevflow.metrics.grafana import Grafana, GrafanaChange, GrafanaSources

Command = TypeVar("Command", bound=Callable[..., Any])


def _options(command: Command) -> Command:
    for option in (
        click.option("--url", required=True, help="Of Grafana, e.g. http://127.0.0.1:3000."),
        click.option("--token-file", required=True, type=click.Path(path_type=Path), help="Holds its token."),
        click.option("--ca-file", type=click.Path(), default="", help="Trust this CA (PEM)."),
        click.option("--prometheus-url", default="http://127.0.0.1:9090", show_default=True, help="For Grafana."),
        click.option("--clickhouse-url", default="", help="For panels in SQL (plug-in grafana-clickhouse-datasource)."),
        click.option("--database", default="default", show_default=True, help="In that ClickHouse."),
        json_option,
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Put the six dashboards and their data sources into a Grafana."""


@command.command()
@_options
def plan(
    url: str, token_file: Path, ca_file: str, prometheus_url: str, clickhouse_url: str, database: str, as_json: bool
) -> None:
    """What apply would create or change; nothing is changed."""
    from mevflow.metrics.grafana import GrafanaSources

    found = _plan(_client(url, token_file, ca_file), GrafanaSources(prometheus_url, clickhouse_url, database))
    if as_json:
        emit_json([change.as_dict() for change in found])
        return
    table(["kind", "title", "", "differences"], [_cells(change, change.action) for change in found])


@command.command()
@_options
def apply(
    url: str, token_file: Path, ca_file: str, prometheus_url: str, clickhouse_url: str, database: str, as_json: bool
) -> None:
    """Create and change what differs; what is the same is left alone. Exit code 4 when an item failed."""
    from mevflow.metrics.grafana import GrafanaSources
    from mevflow.operators.errors import CheckFailedError

    client = _client(url, token_file, ca_file)
    done = []
    for result in client.apply(_plan(client, GrafanaSources(prometheus_url, clickhouse_url, database))):
        done.append(result)
        if not as_json and result.change.action != "same":
            note(f"{result.change.title}: {result.error or result.change.action + 'd'}")
    failed = [result for result in done if result.error]
    if as_json:
        emit_json([{**result.change.as_dict(), "error": result.error} for result in done])
    else:
        states = [(r.change, f"failed: {r.error}" if r.error else r.change.action) for r in done]
        table(["kind", "title", "", "differences"], [_cells(change, state) for change, state in states])
    if failed:
        raise CheckFailedError(f"{len(failed)} of {len(done)} failed: {failed[0].error}", key=failed[0].change.title)


def _client(url: str, token_file: Path, ca_file: str) -> Grafana:
    from mevflow.metrics.grafana import Grafana
    from mevflow.processes.private import read_secret

    return Grafana(url, read_secret(str(token_file)), ca=ca_file)


def _plan(client: Grafana, sources: GrafanaSources) -> list[GrafanaChange]:
    note("comparing with Grafana")
    return client.plan(sources)


def _cells(change: GrafanaChange, state: str) -> list[str]:
    return [change.kind, change.title, state, "; ".join(change.differences[:3])]
