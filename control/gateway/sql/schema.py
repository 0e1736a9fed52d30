"""``/api/clickhouse/schema``: what a statement may name here: tables with their columns, and functions."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.sql.functions import allowed
from mevflow.control.gateway.sql.tree import SYSTEM_TABLES, TABLE_FUNCTIONS
from mevflow.control.gateway.tables.select import TableCalls

_TABLES = """
SELECT database, name, engine, comment, total_rows AS rows FROM system.tables
WHERE (database = currentDatabase() AND NOT startsWith(name, '.'))
   OR (database = 'system' AND name IN {system:Array(String)})
ORDER BY database = 'system', name
"""
_COLUMNS = """
SELECT database, table, name, type, comment FROM system.columns
WHERE default_kind != 'EPHEMERAL'
  AND (database = currentDatabase() OR (database = 'system' AND table IN {system:Array(String)}))
ORDER BY database, table, position
"""
_FUNCTIONS = "SELECT name, is_aggregate AS aggregate FROM system.functions ORDER BY lower(name)"


class SqlSchema:
    """The endpoint."""

    def __init__(self, calls: TableCalls) -> None:
        self._calls = calls

    async def look(self, request: Request) -> Response:
        """Databases with tables and columns, and the functions that pass (others are refused)."""
        carrier = self._calls.carrier
        with carrier.dispatcher.guard("QuerySchema", carrier.caller(request)) as (identity, _):
            carrier.check(request)
            system = "[" + ",".join(f"'{name}'" for name in sorted(SYSTEM_TABLES)) + "]"
            tables = await self._calls.rows(_TABLES, {"system": system}, identity.name)
            columns = await self._calls.rows(_COLUMNS, {"system": system}, identity.name)
            functions = await self._calls.rows(_FUNCTIONS, {}, identity.name)
        of: dict[tuple[str, str], list[dict[str, object]]] = {}
        for row in columns:
            of.setdefault((row.pop("database"), row.pop("table")), []).append(row)
        found: dict[str, list[dict[str, object]]] = {}
        for row in tables:
            database = row.pop("database")
            found.setdefault(database, []).append({**row, "columns": of.get((database, row["name"]), [])})
        body = {
            "databases": [{"name": name, "tables": rows} for name, rows in found.items()],
            "table_functions": sorted(TABLE_FUNCTIONS),
            "functions": [
                {"name": row["name"], "aggregate": bool(row["aggregate"])} for row in functions if allowed(row["name"])
            ],
        }
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")
