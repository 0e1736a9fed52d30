"""``/api/topologies/{name}/commands``: what each stage of a topology can be told, as forms are made from it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.commands.draft import STATE_KINDS
from mevflow.control.gateway.calls.shape import as_written
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.topologies.resolved import ResolvedFiles
from mevflow.control.server.service import Service
from mevflow.flows.spec.resolve import ResolvedNode
from mevflow.operators.stage import Stage

#: A model's command may bear what it has learned, which is nothing for a form.
_MOST_BYTES = 64 << 10


class CommandForms:
    """The endpoint."""

    def __init__(self, service: Service, carrier: Carrier, files: ResolvedFiles) -> None:
        self._service, self._carrier, self._files = service, carrier, files

    async def look(self, request: Request) -> Response:
        """A row for each stage and kind of command: the JSON schema of its payload, and what it would begin with.

        ``in_force``: the payload of the last command (null: none, no JSON, or more than 64 KiB). ``by_file``: what of a
        payload the topology file sets, which holds until a command comes. Whoever may read commands may read both.
        """
        carrier = self._carrier
        with carrier.dispatcher.guard("TopologyCommands", carrier.caller(request)) as (_, record):
            carrier.check(request)
            name = request.path_params["name"]
            record.topology = name[:128]
            found = await asyncio.to_thread(self._files.of, name)
            rows = [row for node in found.resolved.nodes for row in self._rows(name, node)]
        body = msgspec.json.encode({"name": name, "rows": rows})
        return Response(body, 200, {"cache-control": "no-store"}, "application/json")

    def _rows(self, topology: str, node: ResolvedNode) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        if not issubclass(node.kind, Stage):
            return rows
        for kind, payload in node.kind.commands.items():
            held = self._service.ledger.in_force(topology, kind, node.name)
            given = held.current.command.payload if kind in STATE_KINDS and held.current else b""
            rows.append(
                {
                    "node": node.name,
                    "use": node.kind.use,
                    "kind": kind,
                    "schema": payload.model_json_schema(),
                    "version": held.version,
                    "in_force": as_written(given) if len(given) <= _MOST_BYTES else None,
                    "by_file": node.settings.model_dump(mode="json", include=set(payload.model_fields)),
                }
            )
        return rows
