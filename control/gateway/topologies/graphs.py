"""``/api/topologies/{name}/graph``: a topology's nodes and edges, with the counters and rates of its shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.topologies.resolved import ResolvedFiles
from mevflow.control.server.service import Service
from mevflow.control.server.topologies import refusal_of
from mevflow.flows.runtime.status import status
from mevflow.operators.errors import MevflowError


class Graphs:
    """The endpoint. Settings stay out: they may hold passwords."""

    def __init__(self, service: Service, carrier: Carrier, files: ResolvedFiles) -> None:
        self._service, self._carrier, self._files = service, carrier, files

    async def graph(self, request: Request) -> Response:
        """Nodes in the order in which data flows; what no shard has told is null.

        Rows and records are sums over the shards, rates of the last seconds. ``busy_share`` is of one thread, where it
        is highest; ``behind``: records that a source has yet to read. A topology that does not run has no rates.
        """
        carrier = self._carrier
        with carrier.dispatcher.guard("TopologyGraph", carrier.caller(request)) as (_, record):
            carrier.check(request)
            name = request.path_params["name"]
            record.topology = name[:128]
            body = await asyncio.to_thread(self._read, name)
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

    def _read(self, name: str) -> dict[str, Any]:
        of = self._files.of(name)
        try:
            now = status(name, self._service.settings.var)
        except MevflowError as error:
            raise refusal_of(error) from error
        shards = now["shards"]
        return {
            "name": name,
            "summary": of.resolved.summary,
            "state": now["state"],
            "nodes": [
                {
                    "name": node.name,
                    "use": node.kind.use,
                    "summary": node.kind.summary,
                    "line": of.written.nodes[node.name].line,
                    **_figures(shards, node.name),
                }
                for node in of.resolved.nodes
            ],
            "edges": [
                {
                    "from": wire.source,
                    "from_port": wire.source_port,
                    "to": node.name,
                    "to_port": wire.port,
                    "rows": _told(shards, "ports", wire.source, wire.source_port),
                    "rows_per_s": _told(shards, "port_rates", wire.source, wire.source_port),
                }
                for node in of.resolved.nodes
                for wire in node.wires
            ],
        }


def _figures(shards: list[dict[str, Any]], node: str) -> dict[str, Any]:
    counts = {name: _told(shards, "nodes", node, name) for name in ("rows_in", "rows_out", "busy_s", "rejected")}
    waiting = [shard["waiting"][node] for shard in shards if node in shard.get("waiting", {})]
    return {
        **counts,
        "rows_in_per_s": _told(shards, "rates", node, "rows_in"),
        "rows_out_per_s": _told(shards, "rates", node, "rows_out"),
        "busy_share": _told(shards, "rates", node, "busy_s", max),
        "behind": sum(waiting) if waiting else None,
    }


def _told(
    shards: list[dict[str, Any]], kind: str, node: str, name: str, joined: Callable[[Iterable[float]], float] = sum
) -> float | None:
    """What the shards say of one thing, joined. A node that is known and has not said a name yet says zero of it."""
    said = [each[node].get(name, 0) for shard in shards if node in (each := shard.get(kind, {}))]
    return joined(said) if said else None
