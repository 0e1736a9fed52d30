"""``/api/clickhouse/templates``: the queries that ``/api/clickhouse/query`` knows by name."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.clickhouse import queries
from mevflow.control.gateway.door.carry import Carrier


class SqlTemplates:
    """The endpoint."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def listing(self, request: Request) -> Response:
        """Names, what they answer, their text and their parameters' defaults."""
        carrier = self._carrier
        with carrier.dispatcher.guard("QueryTemplates", carrier.caller(request)):
            carrier.check(request)
        templates = map(queries.load, queries.names())
        rows = [{"name": t.name, "summary": t.summary, "sql": t.sql, "defaults": t.defaults} for t in templates]
        body = msgspec.json.encode({"templates": rows})
        return Response(body, 200, {"cache-control": "no-store"}, "application/json")
