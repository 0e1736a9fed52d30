"""``mevflow clickhouse``: run the embedded server, migrate a database, query it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mevflow.cli.output import csv_option, emit, emit_json, json_option, note, table

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

#: Bounds of a query that was not given its own, so that a slip cannot fill the terminal or the machine.
MAX_ROWS = 1000
MAX_SECONDS = 30


@click.group()
def command() -> None:
    """Run the embedded ClickHouse: start, stop, migrate, status, query."""


@command.command()
@json_option
def start(as_json: bool) -> None:
    """Start the embedded server and wait until it answers."""
    from mevflow.clickhouse.daemon import start as start_server
    from mevflow.clickhouse.daemon import status as server_status
    from mevflow.flows.config import config

    settings = config()
    where = settings.clickhouse
    before = server_status(settings.var, where.host, where.port).pid
    password = where.password.get_secret_value()
    pid = start_server(settings.var, where.host, where.port, password, metrics=settings.serving())
    emit(
        {
            "state": "running" if before == pid else "started",
            "pid": pid,
            "url": f"http://{where.host}:{where.port}",
        },
        as_json,
    )


@command.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop the embedded server; running statements end first."""
    from mevflow.clickhouse.daemon import stop as stop_server
    from mevflow.flows.config import config

    stopped = stop_server(config().var)
    emit({"state": "stopped" if stopped else "not running"}, as_json)


@command.command()
@json_option
def status(as_json: bool) -> None:
    """The server's process, and every migration with when it was applied. Exit code 3 when nothing answers."""
    from mevflow.clickhouse.daemon import status as server_status
    from mevflow.clickhouse.migrate import history
    from mevflow.flows.config import config
    from mevflow.operators.errors import UnreachableError

    settings = config()
    where = settings.clickhouse
    found = server_status(settings.var, where.host, where.port)
    if not found.answering:
        if as_json:
            emit_json({"answering": False, "pid": found.pid, "url": f"http://{where.host}:{where.port}"})
        raise UnreachableError(
            f"no ClickHouse answers at {where.host}:{where.port}",
            hint="start one with: mevflow clickhouse start",
        )
    client = _client()
    applied = history(client, where.database)
    record = {
        "answering": True,
        "embedded": found.pid is not None,
        "pid": found.pid,
        "url": f"http://{found.host}:{found.port}",
        "version": client.server_version,
        "database": where.database,
        "log": found.log if found.pid is not None else "",
    }
    if as_json:
        emit_json({**record, "migrations": [_migration(entry) for entry in applied]})
        return
    emit(record, False)
    table(
        ["version", "name", "applied at (UTC)"],
        [(f"{entry.version:04d}", entry.name, entry.applied_at or "pending") for entry in applied],
        title="Migrations",
    )


@command.command()
@json_option
def migrate(as_json: bool) -> None:
    """Create the database and its tables, or bring them up to this version."""
    from mevflow.clickhouse.migrate import history
    from mevflow.clickhouse.migrate import migrate as apply
    from mevflow.flows.config import config

    database = config().clickhouse.database
    client = _client()
    done = apply(client, database)
    if as_json:
        emit_json(
            {
                "database": database,
                "applied": [f"{step.version:04d}_{step.name}" for step in done],
                "migrations": [_migration(entry) for entry in history(client, database)],
            }
        )
        return
    for step in done:
        click.echo(f"applied {step.version:04d}_{step.name}")
    if not done:
        click.echo(f"{database} is up to date")


@command.command()
@click.argument("sql")
@json_option
@csv_option
@click.option("--format", "form", default="", help="Print the answer in a ClickHouse format, e.g. CSVWithNames.")
@click.option("--write", is_flag=True, help="Allow statements that change something; lifts the bounds.")
@click.option("--max-rows", type=click.IntRange(1), default=MAX_ROWS, show_default=True)
@click.option("--max-seconds", type=click.IntRange(1), default=MAX_SECONDS, show_default=True)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A value for {NAME:Type} in the query.")
def query(
    sql: str,
    as_json: bool,
    as_csv: bool,
    form: str,
    write: bool,
    max_rows: int,
    max_seconds: int,
    params: tuple[str, ...],
) -> None:
    """Run SQL (or ``@NAME``, one of the templates of clickhouse/queries). Read-only and bounded unless --write.

    With --json every row is one JSON object on a line.
    """
    import json

    from clickhouse_connect.driver.exceptions import ClickHouseError

    from mevflow.clickhouse.queries import load
    from mevflow.flows.config import config
    from mevflow.operators.errors import MevflowError, UsageError

    form = "CSVWithNames" if as_csv else form
    pairs = dict(_pair(text) for text in params)
    if sql.startswith("@"):
        template = load(sql[1:])
        sql, pairs = template.sql, {**template.defaults, **pairs}
    bounds: dict[str, Any] = {
        "readonly": 1,
        "limit": max_rows,
        "max_execution_time": max_seconds,
    }
    settings = {"database": config().clickhouse.database, **({} if write else bounds)}
    chosen = form or ("JSONEachRow" if as_json else "JSONCompactEachRowWithNames")
    try:
        answer = _client().raw_query(sql, parameters=pairs, settings=settings, fmt=None if write else chosen)
    except ClickHouseError as error:
        raise MevflowError(str(error)) from None
    if form or as_json or write:
        click.echo(answer.decode("utf-8", "replace"), nl=False)
        return
    lines = [json.loads(line) for line in answer.decode("utf-8", "replace").splitlines()]
    if not lines:
        raise UsageError("the statement has no result", hint="add --write to run statements that change something")
    rows = lines[1:]
    table(lines[0], rows[:max_rows])
    if len(rows) >= max_rows:
        note(f"the first {max_rows} rows; more with --max-rows")


def _client() -> Client:
    from mevflow.clickhouse.client import connect
    from mevflow.flows.config import config

    where = config().clickhouse
    return connect(where.host, where.port, user=where.user, password=where.password.get_secret_value())


def _migration(entry: Any) -> dict[str, Any]:
    return {
        "version": entry.version,
        "name": entry.name,
        "checksum": entry.checksum,
        "applied_at": entry.applied_at or None,
    }


def _pair(text: str) -> tuple[str, str]:
    from mevflow.operators.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--param takes NAME=VALUE, not {text!r}")
    return name, value
