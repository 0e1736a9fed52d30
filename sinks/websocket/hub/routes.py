"""What the hub answers: WebSocket upgrades, and a few small pages for people and monitors.

A browser is let in only from the hub's own pages or from those of a named origin: any web page may open a socket to
127.0.0.1, and the browser says in ``Origin`` which one does. A page may also point its own name at 127.0.0.1, so a hub
that listens there takes no other ``Host``. A client without ``Origin`` and ``Sec-Fetch-Site`` is no browser.

Where callers are authenticated (``wire.guard``) clients come through the gateway, which checks all of this itself.
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


class HubRoutes:
    """Routes a request to a page or to a new :class:`Client`."""

    def __init__(
        self,
        fanout: Fanout,
        status: Callable[[], dict[str, Any]],
        origins: Sequence[str],
        max_clients: int,
        *,
        remote: bool,
        guarded: Callable[[], bool],
    ) -> None:
        self._fanout, self._status, self._guarded = fanout, status, guarded
        self._origins, self._max_clients, self._remote = frozenset(origins), max_clients, remote

    def __call__(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        why = self._foreign(request)
        if why:
            return _error(403, why)
        path, _, query = request.path.decode("latin-1").partition("?")
        path = path.removeprefix(_PREFIX)
        if path == "/health":
            return _page(b'{"status":"ok"}')
        if path in ("/ws", "/connections") and self._guarded():
            return _error(401, f"callers are authenticated: log in at the gateway, {_PREFIX}{path} of its address")
        if path == "/ws":
            return self._upgrade(query, admitted=False)
        if path == "/connections":
            return _page(msgspec.json.encode(self._status()))
        if path == "/metrics":
            return _page(self._metrics().encode(), "text/plain; version=0.0.4")
        return None

    def admitted(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """What a client gets that the gateway has let in."""
        return self._upgrade(request.path.decode("latin-1").partition("?")[2], admitted=True)

    def ticketed(self, wanted: Filter) -> Client | None:
        """The client of who shows the gateway's ticket; None when there are too many."""
        return None if self._full() else self._client(wanted, admitted=True)

    def _foreign(self, request: WSUpgradeRequest) -> str:
        """Why a request is not answered: a page from elsewhere made it. Empty when none did."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1:
            return "a request names one host"
        if not self._remote and _name(hosts[0]) not in _LOOPBACK:
            return f"the host is 127.0.0.1 or localhost, not {hosts[0][:80]!r}"
        origins = request.headers.getall("Origin", [])
        if not origins:
            site = request.headers.get("Sec-Fetch-Site")
            return "pages of other sites are not let in" if site in ("cross-site", "same-site") else ""
        if len(origins) > 1 or (origins[0] != f"http://{hosts[0]}" and origins[0] not in self._origins):
            return f"origin {origins[0][:80]!r} is not let in: start the hub with --origin"
        return ""

    def _upgrade(self, query: str, *, admitted: bool) -> WSListener | WSUpgradeResponseWithListener:
        if self._full():
            return _error(503, f"{self._max_clients} clients are connected already")
        try:
            wanted = Filter.from_query(query)
        except UsageError as error:
            return _error(400, str(error))
        return self._client(wanted, admitted=admitted)

    def _full(self) -> bool:
        return len(self._fanout.clients) >= self._max_clients

    def _client(self, wanted: Filter, *, admitted: bool) -> Client:
        fanout = self._fanout
        return Client(wanted, fanout.patience, fanout.subscribe, fanout.leave, admitted=admitted)

    def _metrics(self) -> str:
        """Prometheus' text format."""
        lines = ["# TYPE mevflow_websocket_clients gauge", f"mevflow_websocket_clients {len(self._fanout.clients)}"]
        for name, value in self._fanout.totals().items():
            metric = f"mevflow_websocket_messages_{name}_total"
            lines += [f"# TYPE {metric} counter", f"{metric} {value}"]
        return "\n".join(lines) + "\n"


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _page(body: bytes, kind: str = "application/json") -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body, {"Content-Type": kind}), None)


def _error(status: int, text: str) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, text.encode()), None)
