"""Tables of our names that no migration made: nothing is written to them, and none is replaced.

A database in which the record of migrations is not there yet is not ours: what bears one of our names in it is somebody
else's. ``schema_migrations`` itself is a name that other tools use, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from clickhouse_connect.driver.client import Client

RECORD = "schema_migrations"
_RECORD_COLUMNS = {"version", "name", "checksum", "applied_at"}
_CREATES = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+VIEW|VIEW|TABLE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE
)
_COLUMNS = """
SELECT table, groupArray(name) FROM system.columns WHERE database = {database:String} AND table IN {names:Array(String)}
GROUP BY table ORDER BY table"""


def strangers(client: Client, database: str, statements: Iterable[str]) -> list[str]:
    """Tables and views of ``database`` with a name that the migrations' statements give, and that none of them made."""
    names = sorted({RECORD, *(name for statement in statements for name in _CREATES.findall(statement))})
    rows = client.query(_COLUMNS, parameters={"database": database, "names": names}).result_rows
    there = {str(table): set(columns) for table, columns in rows}
    if there.get(RECORD, set()) >= _RECORD_COLUMNS:
        return []
    return list(there)
