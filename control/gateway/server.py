"""The gateway's server: Starlette on uvicorn, in the event loop of the control service."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Served
from starlette.routing import WebSocketRoute

from mevflow.control.gateway import openapi
from mevflow.control.gateway.calls.calls import endpoint
from mevflow.control.gateway.calls.channel import SocketChannel
from mevflow.control.gateway.calls.routes import ROUTES
from mevflow.control.gateway.door import pages, problems, protocol
from mevflow.control.gateway.door.carry import MAX_BODY, Carrier
from mevflow.control.gateway.door.login import Login
from mevflow.control.gateway.door.origin import Origins
from mevflow.control.gateway.door.sessions import CSRF_HEADER, CookieSessions
from mevflow.control.gateway.endpoints.catalogue import ENDPOINTS
from mevflow.control.gateway.endpoints.endpoint import Endpoints, Surroundings
from mevflow.control.gateway.health import Health
from mevflow.control.gateway.live.bridge import TopicBridge
from mevflow.control.gateway.live.realtime import Realtime
from mevflow.control.gateway.sql.queries import QueryEndpoints
from mevflow.control.gateway.sql.schema import SqlSchema
from mevflow.control.gateway.sql.templates import SqlTemplates
from mevflow.control.gateway.tables.datasets import Datasets
from mevflow.control.gateway.tables.history import TABLES
from mevflow.control.gateway.tables.reader import ClickHouseReader
from mevflow.control.gateway.tables.select import TableCalls
from mevflow.control.gateway.tables.stories import Stories
from mevflow.control.gateway.topologies.command_forms import CommandForms
from mevflow.control.gateway.topologies.graphs import Graphs
from mevflow.control.gateway.topologies.model_deploy import ModelDeploy
from mevflow.control.gateway.topologies.resolved import ResolvedFiles
from mevflow.control.refusal import Refused
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.service import Service
from mevflow.flows.config import ClickHouseConfig
from mevflow.metrics.http import HttpMeter
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.addresses import is_loopback

_GRACE_S = 5


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """Where it listens (``port`` 0: a free one), who may call from a page, ClickHouse, and the hub's local
    socket (None: no live messages), the URL of a Prometheus if any, and hosts of Grafana."""

    host: str = "127.0.0.1"
    port: int = 8001
    context: ssl.SSLContext | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    max_body: int = MAX_BODY
    clickhouse: ClickHouseConfig = field(default_factory=ClickHouseConfig)
    hub: Path | None = None
    prometheus: str = ""
    grafana: tuple[str, ...] = ()

    def beside(self, authenticates: bool) -> Callable[[Service, Dispatcher], HttpServer]:
        """What ``mevflow.control.server.process`` starts. Raises UsageError for an open door."""
        if not is_loopback(self.host) and (not authenticates or self.context is None):
            raise UsageError(f"without authentication and TLS the gateway listens on loopback only, not on {self.host}")
        return lambda service, dispatcher: HttpServer(service, dispatcher, self, authenticates=authenticates)


class HttpServer:
    """Serves until stopped."""

    #: What its address is called among the service's.
    name = "http"

    def __init__(self, service: Service, dispatcher: Dispatcher, door: HttpDoor, *, authenticates: bool) -> None:
        self._door = door
        self._reader = ClickHouseReader(door.clickhouse)
        carrier = Carrier(
            dispatcher, CookieSessions(), Origins(door.origins, authenticates=authenticates), max_body=door.max_body
        )
        self._health = Health(service, carrier, self._reader)
        self._realtime = Realtime(carrier, door.hub, authenticates=authenticates)
        self._bridge = TopicBridge(carrier, service.settings.bootstrap)
        self._endpoints = Endpoints(carrier, _surroundings(service, door))
        self._meter = HttpMeter(
            _application(
                service, carrier, self._reader, self._health, self._realtime, self._bridge, self._endpoints, door
            )
        )
        self.tell = self._meter.tell
        self._server = _Server(
            uvicorn.Config(
                self._meter,
                http=protocol.BoundedHttp,
                ws=protocol.WebSockets,
                ws_max_size=door.max_body,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=_GRACE_S,
                limit_concurrency=2_000,
                ssl_context_factory=None if door.context is None else lambda _config, _default: _given(door.context),
            )
        )
        self.address = ""

    async def start(self) -> None:
        """Listen. Raises MevflowError when the port is taken."""
        family = socket.AF_INET6 if ":" in self._door.host else socket.AF_INET
        # Without the protocol asyncio would not turn Nagle's algorithm off: 40 ms a call.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._door.host, self._door.port))
        except OSError as error:
            listener.close()
            raise MevflowError(
                f"the gateway cannot listen on {self._door.host}:{self._door.port}: {error.strerror}",
                hint="MEVFLOW_CONTROL__HTTP_PORT",
            ) from error
        scheme = "http" if self._door.context is None else "https"
        host = f"[{self._door.host}]" if ":" in self._door.host else self._door.host
        self.address = f"{scheme}://{host}:{listener.getsockname()[1]}"
        for name in ("uvicorn.error", "uvicorn.asgi"):
            logging.getLogger(name).setLevel(logging.CRITICAL if name == "uvicorn.error" else logging.WARNING)
        await self._server.begin([listener])
        self._health.start()
        self._realtime.start()

    async def stop(self) -> None:
        """Take no new requests, let those under way end, close the channels."""
        self._realtime.stop()
        await self._health.stop()
        await self._server.end()
        self._bridge.close()
        self._endpoints.close()
        self._reader.close()


def _given(context: ssl.SSLContext | None) -> ssl.SSLContext:
    assert context is not None
    return context


class _Server(uvicorn.Server):
    """uvicorn's server inside a loop that is someone else's: signals and the end are not its own."""

    async def begin(self, sockets: list[socket.socket]) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=sockets)
        self._sockets = sockets

    async def end(self) -> None:
        await self.shutdown(sockets=self._sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _surroundings(service: Service, door: HttpDoor) -> Surroundings:
    settings = service.settings
    return Surroundings(
        settings.bootstrap, settings.file, settings.var, door.clickhouse, door.hub, door.prometheus, door.grafana
    )


def _application(
    service: Service,
    carrier: Carrier,
    reader: ClickHouseReader,
    health: Health,
    realtime: Realtime,
    bridge: TopicBridge,
    plain: Endpoints,
    door: HttpDoor,
) -> Starlette:
    login, queries, datasets = Login(carrier), QueryEndpoints(carrier, reader), Datasets(carrier, reader)
    tables = TableCalls(carrier, reader)
    stories = Stories(tables)
    files = ResolvedFiles(service)
    described = msgspec.json.encode(openapi.document())

    async def describe(request: Request) -> Response:
        return Response(described, 200, media_type="application/json")

    routes: list[Any] = [Served(each.path, endpoint(carrier, each), methods=[each.verb]) for each in _ordered()]
    routes += [
        Served("/api/session", login.begin, methods=["POST"]),
        Served("/api/session", login.look, methods=["GET"]),
        Served("/api/session", login.end, methods=["DELETE"]),
        Served("/api/provisioning/health", health.probe, methods=["GET"]),
        Served("/api/health/metrics/performance", health.performance, methods=["GET"]),
        Served("/api/clickhouse/query", queries.ask, methods=["POST"]),
        Served("/api/clickhouse/cancel", queries.cancel, methods=["POST"]),
        Served("/api/clickhouse/progress", queries.progress, methods=["GET"]),
        Served("/api/clickhouse/schema", SqlSchema(tables).look, methods=["GET"]),
        Served("/api/datasets/schema", datasets.schema, methods=["GET"]),
        Served("/api/datasets/export", datasets.export, methods=["GET"]),
        Served("/api/openapi.json", describe, methods=["GET"]),
        WebSocketRoute("/api/control/ws", SocketChannel(carrier).serve),
        *(WebSocketRoute(path, realtime.serve) for path in ("/api/realtime/ws", "/ws")),
        WebSocketRoute(bridge.path, bridge.serve),
        Served("/api/realtime/connections", realtime.connections, methods=["GET"]),
        Served("/api/realtime/webtransport", realtime.ticket, methods=["POST"]),
        *(Served(each.path, tables.endpoint(each), methods=["GET"]) for each in TABLES),
        Served("/api/opportunities/{id}", stories.opportunity, methods=["GET"]),
        Served("/api/decisions/{id}", stories.decision, methods=["GET"]),
        Served("/api/topologies/{name}/graph", Graphs(service, carrier, files).graph, methods=["GET"]),
        Served("/api/topologies/{name}/commands", CommandForms(service, carrier, files).look, methods=["GET"]),
        *(Served(each.path, plain.serve(each), methods=[each.verb]) for each in ENDPOINTS),
        Served("/api/training/models/{id}/deploy", ModelDeploy(carrier, service.settings.var).deploy, methods=["POST"]),
        Served("/api/clickhouse/templates", SqlTemplates(carrier).listing, methods=["GET"]),
        Served("/api/stats/summary", stories.figures, methods=["GET"]),
        *pages.routes(),
    ]
    middleware = []
    if door.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(door.origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["authorization", "content-type", CSRF_HEADER],
                allow_credentials=True,
            )
        )
    return Starlette(
        routes=routes, middleware=middleware, exception_handlers={HTTPException: _not_found, Refused: _refused}
    )


def _ordered() -> list[Any]:
    """Fixed paths before those with a name in them, and the most called one first."""
    return sorted(ROUTES, key=lambda each: ("{" in each.path, each.call != "Status"))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problems.answer(error)


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    if status == 405:
        return problems.answer(Refused("UNIMPLEMENTED", "METHOD_NOT_ALLOWED", f"not with {request.method}"))
    return problems.answer(
        Refused("NOT_FOUND", "NO_SUCH_PATH", "there is nothing here; /api/openapi.json says what is")
    )
