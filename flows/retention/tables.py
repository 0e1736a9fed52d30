"""TTL of ClickHouse tables: rows go once their chain time is so many days old."""

from __future__ import annotations

import re

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from mevflow.flows.retention import RetentionChange
from mevflow.operators.errors import MevflowError, UsageError

_TTL = re.compile(r"\bTTL toDateTime\(timestamp\) \+ toIntervalDay\((\d+)\)")
_ANY_TTL = re.compile(r"\bTTL (.+?)(?: SETTINGS |$)", re.DOTALL)


def changes(client: Client, database: str, days: dict[str, int]) -> list[RetentionChange]:
    """What has to be changed so that each table keeps its number of days (0: for ever).

    Raises UsageError for a table that is not there or whose rows have no chain time.
    """
    sql = """
    SELECT t.name, t.create_table_query FROM system.tables AS t
    INNER JOIN system.columns AS c ON c.database = t.database AND c.table = t.name
    WHERE t.database = {database:String} AND c.name = 'timestamp' AND t.engine LIKE '%MergeTree'
    """
    rows = client.query(sql, parameters={"database": database}).result_rows
    there = {str(name): str(create) for name, create in rows}
    unknown = sorted(days.keys() - there.keys())
    if unknown:
        raise UsageError(
            f"cannot be bounded by days: {', '.join(unknown)}",
            hint=f"tables with chain time: {', '.join(sorted(there))}",
            key="retention.tables",
        )
    found = []
    for name, kept in sorted(days.items()):
        now = kept_days(there[name])
        wanted = _words(kept)
        if now != wanted:
            found.append(RetentionChange("table", name, now, wanted, _effect(client, database, name, kept)))
    return found


def apply(client: Client, database: str, name: str, days: int) -> None:
    """Let a table keep so many days from now on (0: for ever); older rows go soon. Raises MevflowError."""
    what = f"MODIFY TTL toDateTime(timestamp) + INTERVAL {int(days)} DAY" if days else "REMOVE TTL"
    try:
        client.command(f"ALTER TABLE {database}.`{name}` {what}")
    except ClickHouseError as error:
        raise MevflowError(f"the TTL cannot be changed: {error}", key=name) from None


def kept_days(create: str) -> str:
    """What a table's definition says: ``90 days``, ``for ever``, or a TTL that somebody else wrote."""
    ours = _TTL.search(create)
    if ours is not None:
        return _words(int(ours[1]))
    other = _ANY_TTL.search(create)
    return f"TTL {other[1].strip()}" if other is not None else _words(0)


def _words(days: int) -> str:
    return f"{days} days" if days else "for ever"


def _effect(client: Client, database: str, name: str, days: int) -> str:
    if not days:
        return ""
    sql = f"SELECT count() FROM {database}.`{name}` WHERE timestamp < now() - INTERVAL {int(days)} DAY"
    return f"{int(client.query(sql).result_rows[0][0]):,} rows are older"
