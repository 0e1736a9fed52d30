"""The hub process: ``python -m mevflow.sinks.websocket.hub.server --port 8002``.

One hub a port: the lock file beside the local socket is held while it lives, so that of two that start at once the
second ends at once. It ends on SIGTERM, SIGINT or a STOP record, telling every client (close code 1001), and, with
``--linger``, when no feed has been connected for that long.

Exit codes: 0 stopped, 2 cannot work as configured (the port is taken, a remote address without leave).
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picows import WSCloseCode, ws_create_server

from mevflow.metrics.page import Page
from mevflow.metrics.serving import Serving
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.private import UMASK, open_private
from mevflow.sinks.websocket.hub.client import Patience
from mevflow.sinks.websocket.hub.dscp import code_point, mark
from mevflow.sinks.websocket.hub.fanout import Batching, Fanout
from mevflow.sinks.websocket.hub.feeds import READ_AHEAD_BYTES, Feeds
from mevflow.sinks.websocket.hub.handover import HANDSHAKE_S, MAX_CLIENT_FRAME, READ_BUFFER_BYTES, Handovers
from mevflow.sinks.websocket.hub.routes import HubRoutes
from mevflow.sinks.websocket.hub.wire import door_path, guarded, socket_path, ticket_path

if TYPE_CHECKING:
    from mevflow.sinks.websocket.hub.webtransport import WebTransport

LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: How soon clients end that came in before the hub was guarded.
_GUARD_S = 1.0


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What a hub may be told. ``linger_s`` 0 means that it stays until it is stopped."""

    host: str = "127.0.0.1"
    port: int = 8002
    socket: Path | None = None
    linger_s: float = 0.0
    max_clients: int = 1000
    allow_remote: bool = False
    origins: tuple[str, ...] = ()
    dscp: int | None = None
    webtransport: bool = False
    metrics: Serving | None = None
    batching: Batching = field(default_factory=Batching)
    patience: Patience = field(default_factory=Patience)


class Hub:
    """One hub; :meth:`run` serves until it is stopped."""

    def __init__(self, options: HubOptions) -> None:
        if options.host not in LOOPBACK and not options.allow_remote:
            raise UsageError(
                f"{options.host} is not this machine alone, and the hub has no log-in",
                hint="listen on 127.0.0.1 behind a proxy, or say --allow-remote",
                key="host",
            )
        self.options = options
        self._path = options.socket or socket_path(options.port)
        self._started = time.time()
        self._metrics = ""

    async def run(self) -> None:
        """Serve. Raises UsageError when the port is taken."""
        self._stopping = asyncio.Event()
        options = self.options
        self._fanout = Fanout(options.batching, options.patience)
        self._feeds = Feeds(self._fanout, self.status, self._stopping.set)
        routes = HubRoutes(
            self._fanout,
            self.status,
            options.origins,
            options.max_clients,
            remote=options.allow_remote,
            guarded=self._guarded,
        )
        handovers = Handovers(routes.admitted, lambda connection: mark(connection, options.dscp))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        try:
            web = await ws_create_server(
                routes,
                options.host,
                options.port,
                max_frame_size=MAX_CLIENT_FRAME,
                read_buffer_init_size=READ_BUFFER_BYTES,
                enable_auto_ping=True,
                backlog=1024,
                websocket_handshake_timeout=HANDSHAKE_S,
            )
        except OSError as error:
            raise UsageError(
                f"cannot listen on {options.host}:{options.port}: {error.strerror}",
                hint="another program has the port: MEVFLOW_WEBSOCKET__PORT sets another",
                key="port",
            ) from error
        for listening in web.sockets:
            mark(listening, options.dscp)
        self._path.unlink(missing_ok=True)  # left by a hub that was killed; the lock says that none lives
        local = await asyncio.start_unix_server(self._feeds.serve, self._path, limit=READ_AHEAD_BYTES)
        self._path.chmod(0o600)
        handovers.listen(door_path(self._path))
        udp = await self._webtransport(routes) if options.webtransport else None
        works = (self._fanout.run(), self._fanout.watch(), self._linger(), self._keep_guard())
        tasks = [asyncio.create_task(work) for work in works]
        for task in tasks:
            task.add_done_callback(self._failed)
        endpoint = None
        if options.metrics is not None:
            endpoint = options.metrics.begin("mevflow-hub", {}, [self.tell])
            self._metrics = endpoint.address
        await self._stopping.wait()
        if endpoint is not None:
            endpoint.close()
        self._path.unlink(missing_ok=True)
        local.close()
        handovers.close()
        web.close()
        for task in tasks:
            task.cancel()
        for client in list(self._fanout.clients):
            client.end(WSCloseCode.GOING_AWAY, "the hub stops")
        for _ in range(50):  # until they have answered, half a second at most
            if not self._fanout.clients:
                break
            await asyncio.sleep(0.01)
        if udp is not None:
            udp.close()
        failures = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for failure in filter(None, failures):
            raise failure

    async def _webtransport(self, routes: HubRoutes) -> WebTransport:
        """Raises UsageError when the UDP port is taken, or what it needs is not installed."""
        try:
            from mevflow.sinks.websocket.hub.webtransport import WebTransport
        except ImportError as error:
            hint = "pip install 'mevflow[webtransport]'"
            raise UsageError(f"WebTransport needs aioquic: {error}", hint=hint, key="webtransport") from error
        host, port = self.options.host, self.options.port
        door = WebTransport(host, port, routes.ticketed)
        try:
            await door.listen(ticket_path(self._path))
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port} (UDP): {error.strerror}", key="port") from error
        return door

    def status(self) -> dict[str, Any]:
        """The page ``/connections`` and the answer to ``mevflow hub status``."""
        return {
            "pid": os.getpid(),
            "url": f"ws://{self.options.host}:{self.options.port}/ws",
            "started_s": self._started,
            "metrics": self._metrics,
            "messages": self._fanout.totals(),
            "feeds": self._feeds.describe(),
            "clients": [client.describe() for client in self._fanout.clients],
        }

    def tell(self, page: Page) -> None:
        """Put what goes through, what waits and what was lost. Called by another thread."""
        page.put("mevflow_websocket_feeds", len(self._feeds))
        self._fanout.tell(page)

    async def _linger(self) -> None:
        alone_since = time.monotonic()
        while True:
            await asyncio.sleep(0.2)
            now = time.monotonic()
            if len(self._feeds):
                alone_since = now
            if self.options.linger_s and now - alone_since > self.options.linger_s:
                self._stopping.set()
                return

    def _guarded(self) -> bool:
        return guarded(self._path)

    async def _keep_guard(self) -> None:
        """Once callers are authenticated, end who came in without proof."""
        while True:
            await asyncio.sleep(_GUARD_S)
            if self._guarded():
                for client in list(self._fanout.clients):
                    if not client.admitted:
                        client.end(WSCloseCode.POLICY_VIOLATION, "callers are authenticated now: through the gateway")

    def _failed(self, task: asyncio.Task[None]) -> None:
        self._stopping.set()


def serve(options: HubOptions) -> None:
    """Run a hub in this process until it is stopped; returns at once when one already has the port's lock.

    Raises UsageError when the host or the port cannot be had.
    """
    hub = Hub(options)
    lock = open_private((options.socket or socket_path(options.port)).with_suffix(".lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    with lock:
        asyncio.run(hub.run())


def main(argv: list[str]) -> int:
    """Entry point of the hub process."""
    batching, patience = Batching(), Patience()
    parser = argparse.ArgumentParser(prog="python -m mevflow.sinks.websocket.hub.server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8002)
    parser.add_argument("--socket", type=Path, default=None)
    parser.add_argument("--linger", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--max-clients", type=int, default=1000)
    parser.add_argument("--allow-remote", action="store_true")
    parser.add_argument("--origin", action="append", default=[])
    parser.add_argument("--dscp", default="", help="EF, AF41, CS5 …, or 0 to 63; empty: packets are left alone")
    parser.add_argument("--webtransport", action="store_true", help="also over HTTP/3, on the UDP port of that number")
    parser.add_argument("--metrics", default="", help="JSON of a Serving; empty: none")
    parser.add_argument("--batch-ms", type=float, default=batching.batch_ms)
    parser.add_argument("--max-messages", type=int, default=batching.max_messages)
    parser.add_argument("--queue-bytes", type=int, default=patience.queue_bytes)
    parser.add_argument("--max-age", type=float, default=patience.max_age_s, metavar="SECONDS")
    parser.add_argument("--stalled", type=float, default=patience.stalled_s, metavar="SECONDS")
    given = parser.parse_args(argv)
    os.umask(UMASK)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    for chatty in ("picows", "quic", "http3"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        serve(
            HubOptions(
                host=given.host,
                port=given.port,
                socket=given.socket,
                linger_s=given.linger,
                max_clients=given.max_clients,
                allow_remote=given.allow_remote,
                origins=tuple(given.origin),
                dscp=code_point(given.dscp),
                webtransport=given.webtransport,
                metrics=Serving.parse(given.metrics),
                batching=Batching(given.batch_ms, given.max_messages),
                patience=Patience(given.queue_bytes, given.max_age, given.stalled),
            )
        )
    except MevflowError as error:
        print(f"mevflow: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
