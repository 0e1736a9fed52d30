"""Parts, rows and bytes of the tables, as the engine tells them, for Prometheus."""

from __future__ import annotations

import json
import threading

from mevflow.clickhouse.server.engine import Connection, Engine
from mevflow.clickhouse.server.errors import ServerError
from mevflow.metrics.page import Page

#: Inserts are refused when one partition has too many parts, so the fullest partition is what counts.
_SQL = """
SELECT database, table, max(parts) AS parts, sum(rows) AS rows, sum(bytes) AS bytes FROM (
    SELECT database, table, count() AS parts, sum(rows) AS rows, sum(bytes_on_disk) AS bytes
    FROM system.parts WHERE active AND database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')
    GROUP BY database, table, partition_id
) GROUP BY database, table ORDER BY database, table LIMIT 500
"""


class Parts:
    """Asks over a connection of its own, one scrape at a time."""

    def __init__(self, engine: Engine) -> None:
        self._connection: Connection | None = engine.connect()
        self._lock = threading.Lock()

    def tell(self, page: Page) -> None:
        """Put them, by table."""
        with self._lock:
            if self._connection is None:
                return
            try:
                answer, _ = self._connection.query(_SQL, "JSONEachRow")
            except ServerError:
                return  # it is being shut down, or out of memory: the others of the page are told
        for line in answer.decode().splitlines():
            row = json.loads(line)
            labels = {"database": row["database"], "table": row["table"]}
            page.put("mevflow_clickhouse_parts", float(row["parts"]), **labels)
            page.put("mevflow_clickhouse_rows", float(row["rows"]), **labels)
            page.put("mevflow_clickhouse_bytes", float(row["bytes"]), **labels)

    def close(self) -> None:
        """Let the engine go."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
