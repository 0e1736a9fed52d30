"""``/api/topologies/{name}/graph``: a topology's nodes and edges from its file, with the counters of its shards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.carry import Carrier
from mevflow.control.refusal import Refused
from mevflow.control.server.service import Service
from mevflow.control.server.topologies import refusal_of
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.status import shard_status, status
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import MevflowError

_COUNTERS = ("rows_in", "rows_out", "busy_s", "rejected")


class Graphs:
    """The endpoint. Settings stay out: they may hold passwords."""

    def __init__(self, service: Service, carrier: Carrier) -> None:
        self._service, self._carrier = service, carrier

    async def graph(self, request: Request) -> Response:
        """Nodes in the file's order; a counter that no shard has told is null."""
        carrier = self._carrier
        with carrier.dispatcher.guard("TopologyGraph", carrier.caller(request)) as (_, record):
            carrier.check(request)
            name = request.path_params["name"]
            record.topology = name[:128]
            body = await asyncio.to_thread(self._read, name)
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

    def _read(self, name: str) -> dict[str, Any]:
        settings = self._service.settings
        deployed = self._service.roll.deployed.get(name)
        try:
            topology = load(Path(deployed.file) if deployed else settings.file).topologies.get(name)
            if topology is None:
                raise Refused("NOT_FOUND", "NO_SUCH_TOPOLOGY", f"no topology {name[:64]!r} in the topology file")
            now = status(name, settings.var)
        except MevflowError as error:
            raise refusal_of(error) from error
        layout = Layout.live(settings.var, name)
        said = [shard_status(layout, shard["shard"]).get("nodes", {}) for shard in now["shards"]]
        return {
            "name": name,
            "summary": topology.summary,
            "state": now["state"],
            "nodes": [
                {"name": node.name, "use": node.use, "line": node.line, **_counters(said, node.name)}
                for node in topology.nodes.values()
            ],
            "edges": [
                {"from": edge.source, "from_port": edge.source_port, "to": node.name, "to_port": edge.port}
                for node in topology.nodes.values()
                for edge in node.edges
            ],
        }


def _counters(said: list[dict[str, Any]], node: str) -> dict[str, Any]:
    """Sums over the shards."""
    told = [nodes[node] for nodes in said if node in nodes]
    return {name: sum(each.get(name, 0) for each in told) if told else None for name in _COUNTERS}
