"""The socket and the event loop: uvicorn inside a process whose end is not its own affair."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from mevflow.clickhouse.server.handler import Handler
from mevflow.clickhouse.server.protocol import bounded_protocol
from mevflow.clickhouse.server.services import Services
from mevflow.metrics.http import HttpMeter
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.addresses import is_loopback

#: After running statements were cancelled, their answers have so long to leave, in seconds.
_LAST_WORDS_S = 5.0


class Listener:
    """Serves at ``host:port`` (0: a free one).

    Raises UsageError for an address beyond this machine without a password, MevflowError when the port is taken.
    """

    def __init__(self, services: Services, host: str, port: int, password: str) -> None:
        check_address(host, password)
        self._services = services
        self._handler = Handler(services)
        self.meter = HttpMeter(self._handler)
        self._socket = _bind(host, port)
        self.port = int(self._socket.getsockname()[1])
        limits = services.limits
        self._server = _Server(
            uvicorn.Config(
                self.meter,
                http=bounded_protocol(limits),
                ws="none",
                loop="uvloop",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=int(limits.idle_s),
                backlog=256,
            )
        )
        # What callers do wrong is said to them; uvicorn's complaints about it are nobody's business.
        for name in ("uvicorn.error", "uvicorn.asgi"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    async def serve(self, stop: asyncio.Event, patience_s: float) -> None:
        """Serve until ``stop``; let running statements end, and cancel those that take longer than ``patience_s``."""
        self._server.config.timeout_graceful_shutdown = int(patience_s + _LAST_WORDS_S)
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._server.should_exit = True
        await asyncio.wait([serving], timeout=patience_s)
        if not serving.done():
            await asyncio.to_thread(self._services.engine.kill, "1")
        await serving
        self._handler.close()
        self._services.sessions.close()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's."""
        yield


def _bind(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise MevflowError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="stop what uses the port, or set another: MEVFLOW_CLICKHOUSE__PORT=8124",
        ) from None
    listening.setblocking(False)
    return listening


def check_address(host: str, password: str) -> None:
    """Raise UsageError for an address that other machines reach while no password is set."""
    if not password and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached by other machines, and no ClickHouse password is set",
            hint="listen on 127.0.0.1, or set MEVFLOW_CLICKHOUSE__PASSWORD",
        )
