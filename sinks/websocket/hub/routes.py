"""What the hub answers: WebSocket upgrades, and a few small pages for people and monitors.

A browser is let in only from a page of this machine or of a named origin: any web page may open a socket to
127.0.0.1, and the browser says in ``Origin`` which one does. A client without ``Origin`` is no browser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from mevflow.operators.errors import UsageError
from mevflow.sinks.websocket.hub.client import Client
from mevflow.sinks.websocket.hub.fanout import Fanout
from mevflow.sinks.websocket.hub.filters import Filter

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PREFIX = "/api/realtime"


class Routes:
    """Routes a request to a page or to a new :class:`Client`."""

    def __init__(
        self, fanout: Fanout, status: Callable[[], dict[str, Any]], origins: Sequence[str], max_clients: int
    ) -> None:
        self._fanout, self._status = fanout, status
        self._origins, self._max_clients = frozenset(origins), max_clients

    def __call__(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        path, _, query = request.path.decode("latin-1").partition("?")
        path = path.removeprefix(_PREFIX)
        if path == "/ws":
            return self._upgrade(request, query)
        if path == "/health":
            return _page(b'{"status":"ok"}')
        if path == "/connections":
            return _page(msgspec.json.encode(self._status()))
        if path == "/metrics":
            return _page(self._metrics().encode(), "text/plain; version=0.0.4")
        return None

    def _upgrade(self, request: WSUpgradeRequest, query: str) -> WSListener | WSUpgradeResponseWithListener:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._origins and urlsplit(origin).hostname not in _LOOPBACK:
            return _error(403, f"origin {origin[:80]} is not let in: start the hub with --origin")
        if len(self._fanout.clients) >= self._max_clients:
            return _error(503, f"{self._max_clients} clients are connected already")
        try:
            wanted = Filter.from_query(query)
        except UsageError as error:
            return _error(400, str(error))
        return Client(wanted, self._fanout.patience, self._fanout.subscribe, self._fanout.leave)

    def _metrics(self) -> str:
        """Prometheus' text format."""
        lines = ["# TYPE mevflow_websocket_clients gauge", f"mevflow_websocket_clients {len(self._fanout.clients)}"]
        for name, value in self._fanout.totals().items():
            metric = f"mevflow_websocket_messages_{name}_total"
            lines += [f"# TYPE {metric} counter", f"{metric} {value}"]
        return "\n".join(lines) + "\n"


def _page(body: bytes, kind: str = "application/json") -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body, {"Content-Type": kind}), None)


def _error(status: int, text: str) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, text.encode()), None)
