"""``/api/provisioning/health`` (for probes, without a token) and ``/api/health/metrics/performance``."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections import deque
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.tables.reader import ClickHouseReader
from mevflow.control.server.service import Service

_LAG_EVERY_S = 0.25
_FRESH_S = 2.0


class Health:
    """Two endpoints, and a task that measures how late the event loop is."""

    def __init__(self, service: Service, carrier: Carrier, reader: ClickHouseReader) -> None:
        self._service, self._carrier, self._reader = service, carrier, reader
        self._began = time.monotonic()
        self._late_ms: deque[float] = deque(maxlen=1000)
        self._clickhouse = (float("-inf"), False)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._task = asyncio.create_task(self._measure(), name="loop-lag")

    async def stop(self) -> None:
        """Stop measuring."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._late_ms.append(1000 * (loop.time() - due))

    async def probe(self, request: Request) -> Response:
        """200 when the service takes calls, else 503. Says nothing that is not for everyone."""
        ready = self._service.ready
        body = {"status": "ok" if ready else "draining", "ready": ready, "clickhouse": await self._clickhouse_answers()}
        return Response(
            msgspec.json.encode(body), 200 if ready else 503, {"cache-control": "no-store"}, "application/json"
        )

    async def _clickhouse_answers(self) -> bool:
        """As of at most two seconds ago, so that probes cost nothing."""
        asked, answers = self._clickhouse
        if time.monotonic() - asked > _FRESH_S:
            self._clickhouse = (time.monotonic(), answers)
            answers = await self._reader.ping()
            self._clickhouse = (time.monotonic(), answers)
        return answers

    async def performance(self, request: Request) -> Response:
        """Calls by method, the event loop's lateness, and what the shards say of themselves."""
        carrier = self._carrier
        with carrier.dispatcher.guard("Metrics", carrier.caller(request)):
            carrier.check(request)
        return Response(msgspec.json.encode(self._figures()), 200, {"cache-control": "no-store"}, "application/json")

    def _figures(self) -> dict[str, Any]:
        late = sorted(self._late_ms) or [0.0]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        shards = self._service.roll.status("")
        return {
            "uptime_s": round(time.monotonic() - self._began, 1),
            "calls": self._carrier.dispatcher.timings.summary(),
            "loop_late_ms": {
                "p50": round(late[len(late) // 2], 3),
                "p99": round(late[len(late) * 99 // 100], 3),
                "max": round(late[-1], 3),
            },
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "audit_lost": self._service.writer.audit_lost,
            "shards": [
                {
                    "topology": row.topology,
                    "shard": row.shard,
                    "state": row.state,
                    "messages": row.messages,
                    "lag": row.lag,
                    "pulse_age_ms": row.pulse_age_ms,
                }
                for row in shards
            ],
        }
