"""What a sink's writers have done, for Prometheus."""

from __future__ import annotations

import threading
from collections import Counter

from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import BOUNDS
from mevflow.metrics.page import Page
from mevflow.sinks.clickhouse.block import InsertBlock


class Figures:
    """Every writer adds, under the lock; any thread may read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Counter[str] = Counter()
        self._seconds = Buckets(BOUNDS["mevflow_clickhouse_insert_seconds"])
        self._retries = self._queued = 0
        self._blocked_s = 0.0

    def queued(self, blocks: int) -> None:
        """So many blocks more (or fewer) are not stored yet."""
        with self._lock:
            self._queued += blocks

    def blocked(self, seconds: float) -> None:
        """The stream has waited for a writer."""
        with self._lock:
            self._blocked_s += seconds

    def stored(self, block: InsertBlock, seconds: float) -> None:
        """A block is in ClickHouse, after all its attempts."""
        with self._lock:
            self._rows[block.table.name] += block.rows
            self._seconds.observe(seconds)

    def again(self) -> None:
        """An INSERT has to be sent again."""
        with self._lock:
            self._retries += 1

    def tell(self, page: Page, stage: str) -> None:
        """Put all of it, as of the sink ``stage``."""
        for table, rows in list(self._rows.items()):
            page.put("mevflow_clickhouse_insert_rows", rows, stage=stage, table=table)
        page.put("mevflow_clickhouse_insert_seconds", self._seconds, stage=stage)
        page.put("mevflow_clickhouse_insert_retries", self._retries, stage=stage)
        page.put("mevflow_clickhouse_insert_blocked_seconds", self._blocked_s, stage=stage)
        page.put("mevflow_clickhouse_insert_queue_blocks", self._queued, stage=stage)
