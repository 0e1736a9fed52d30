"""The socket: a thread a connection, and a bound on the statements that run at once."""

from __future__ import annotations

import socket
import threading
import time
from http.server import ThreadingHTTPServer

from mevflow.clickhouse.server.access import Access, is_loopback
from mevflow.clickhouse.server.engine import Engine
from mevflow.clickhouse.server.execute import Executor
from mevflow.clickhouse.server.handler import Handler
from mevflow.clickhouse.server.sessions import Sessions
from mevflow.operators.errors import MevflowError, UsageError

#: As ClickHouse's default for max_concurrent_queries.
MAX_STATEMENTS = 100
MAX_BODY_BYTES = 8 << 30


class Listener(ThreadingHTTPServer):
    """Serves ``engine`` at ``host:port``.

    Raises UsageError for an address beyond this machine without a password, MevflowError when the port is taken.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, engine: Engine, host: str, port: int, password: str, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        check_address(host, password)
        self.engine = engine
        self.access = Access(password)
        self.sessions = Sessions(engine)
        self.executor = Executor(engine, self.sessions)
        self.slots = threading.Semaphore(MAX_STATEMENTS)
        self.max_body_bytes = max_body_bytes
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            raise MevflowError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="stop what uses the port, or set another: MEVFLOW_CLICKHOUSE__PORT=8124",
            ) from None

    def server_bind(self) -> None:
        """Bind without the reverse name look-up that http.server does."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def drain(self, patience_s: float) -> None:
        """Stop taking connections, let running statements end, cancel those that take longer."""
        self.shutdown()
        self.server_close()
        if not self._idle_within(patience_s):
            self.engine.kill_all()
            self._idle_within(5.0)
        self.sessions.close()

    def _idle_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        taken = 0
        while taken < MAX_STATEMENTS:
            if not self.slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
                for _ in range(taken):
                    self.slots.release()
                return False
            taken += 1
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is its client's business."""


def check_address(host: str, password: str) -> None:
    """Raise UsageError for an address that other machines reach while no password is set."""
    if not password and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached by other machines, and no ClickHouse password is set",
            hint="listen on 127.0.0.1, or set MEVFLOW_CLICKHOUSE__PASSWORD",
        )
