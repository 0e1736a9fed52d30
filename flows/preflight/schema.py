"""ClickHouse tables of our names that are there already, and whether ours could write to them."""

from __future__ import annotations

import time

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from mevflow.clickhouse.migrate import history, load
from mevflow.clickhouse.strangers import RECORD, strangers
from mevflow.flows.config import Config
from mevflow.flows.demo.report import connect_server
from mevflow.flows.preflight.finding import PreflightFinding
from mevflow.operators.errors import MevflowError, UnreachableError
from mevflow.sinks.clickhouse.columns import TIME, Number
from mevflow.sinks.clickhouse.tables import TABLES, Table

_AREA = "ClickHouse"
_CLOCKS_S = 2.0
_APART = "keep them apart: MEVFLOW_CLICKHOUSE__DATABASE=another_name"


def look_at_schema(config: Config) -> list[PreflightFinding]:
    """Findings for the server, the migrations and each table; one only when none answers."""
    where = f"{config.clickhouse.host}:{config.clickhouse.port}"
    database = config.clickhouse.database
    try:
        client = connect_server()
    except UnreachableError:
        advice = "mevflow clickhouse start, or MEVFLOW_CLICKHOUSE__HOST"
        return [
            PreflightFinding(_AREA, where, "note", "no ClickHouse answers; tables are looked at when one does", advice)
        ]
    except MevflowError as error:
        return [PreflightFinding(_AREA, where, "blocked", error.message, error.hint)]
    try:
        found = [PreflightFinding(_AREA, where, "ok", f"version {client.server_version}"), _clock(client, where)]
        columns = _columns(client, database)
        if not columns:
            return [*found, PreflightFinding(_AREA, f"database {database}", "create", "with its tables")]
        others = strangers(client, database, [each for step in load() for each in step.statements])
        migrated = RECORD in columns and not others
        if migrated:
            found.append(_migrations(client, database))
        found += [_judged(table, columns, migrated) for table in TABLES.values()]
        judged = {table.name for table in TABLES.values()}
        return found + [_of_another(name) for name in others if name not in judged]
    except (MevflowError, ClickHouseError) as error:
        message = error.message if isinstance(error, MevflowError) else str(error)
        return [PreflightFinding(_AREA, f"database {database}", "blocked", message, _APART)]
    finally:
        client.close()


def _clock(client: Client, where: str) -> PreflightFinding:
    began = time.time()
    server_s = int(client.query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows[0][0]) / 1e6
    apart_s = abs(server_s - (began + time.time()) / 2)
    if apart_s > _CLOCKS_S:
        advice = "let both follow one time server: fences and leases are judged by times"
        return PreflightFinding(
            _AREA, f"clock of {where}", "note", f"{apart_s:.1f} s apart from this machine's", advice
        )
    return PreflightFinding(_AREA, f"clock of {where}", "ok", "as this machine's")


def _columns(client: Client, database: str) -> dict[str, dict[str, str]]:
    """Table -> column -> type."""
    sql = "SELECT table, name, type FROM system.columns WHERE database = {database:String}"
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in client.query(sql, parameters={"database": database}).result_rows:
        found.setdefault(table, {})[name] = kind
    return found


def _migrations(client: Client, database: str) -> PreflightFinding:
    pending = [f"{step.version:04d}_{step.name}" for step in history(client, database) if not step.applied_at]
    if pending:
        return PreflightFinding(_AREA, f"database {database}", "create", f"migrations {', '.join(pending)}")
    return PreflightFinding(_AREA, f"database {database}", "ok", "up to date")


def _of_another(name: str) -> PreflightFinding:
    """A table with the name of a view of ours, or of the record of migrations."""
    return PreflightFinding(_AREA, f"table {name}", "blocked", "another table of this name", _APART)


def _judged(table: Table, columns: dict[str, dict[str, str]], migrated: bool) -> PreflightFinding:
    subject = f"table {table.name}"
    there = columns.get(table.name)
    if there is None:
        return PreflightFinding(_AREA, subject, "create", f"{len(table.columns)} columns")
    missing = [column.name for column in table.columns if column.name not in there]
    other = [
        f"{column.name} is {there[column.name]}, not {column.kind}"
        for column in table.columns
        if isinstance(column, Number) and column.kind != TIME and column.kind not in there.get(column.name, column.kind)
    ]
    if migrated and not other:  # what is missing comes by migrations that are pending
        return PreflightFinding(_AREA, subject, "ok", "as it should be" if not missing else "older")
    wrong = [*other, *(f"no column {name}" for name in missing)]
    if not wrong:
        wrong = ["was not made by a migration"]
    more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    return PreflightFinding(
        _AREA, subject, "blocked", f"another table of this name: {'; '.join(wrong[:4])}{more}", _APART
    )
