"""Sessions: a ``session_id`` keeps one engine connection, with its settings and temporary tables, between requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mevflow.clickhouse.server.engine import Connection, Engine
from mevflow.clickhouse.server.errors import SESSION_IS_LOCKED, SESSION_NOT_FOUND, refuse

#: What ClickHouse uses when the request names no ``session_timeout``, and the most that it allows, in seconds.
DEFAULT_TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 3600.0


@dataclass
class _Session:
    connection: Connection
    busy: threading.Lock = field(default_factory=threading.Lock)
    expires_at: float = 0.0


class EngineSessions:
    """Sessions by (user, id). A session serves one request at a time; an idle one is closed after its timeout."""

    def __init__(self, engine: Engine, most: int = 1000) -> None:
        self._engine = engine
        self._most = most
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._guard = threading.Lock()

    @contextmanager
    def use(self, user: str, name: str, timeout_s: float, must_exist: bool) -> Iterator[Connection]:
        """The connection of session ``name``; made now unless ``must_exist``.

        Raises ServerError when another request is using the session or, with ``must_exist``, there is none.
        """
        session = self._enter((user, name), must_exist)
        try:
            yield session.connection
        finally:
            session.expires_at = time.monotonic() + min(timeout_s, MAX_TIMEOUT_S)
            session.busy.release()

    def _enter(self, key: tuple[str, str], must_exist: bool) -> _Session:
        with self._guard:
            self._expire()
            session = self._sessions.get(key)
            if session is None:
                if must_exist:
                    raise refuse(SESSION_NOT_FOUND, f"Session {key[1]} not found")
                session = self._sessions[key] = _Session(self._engine.connect())
            if not session.busy.acquire(blocking=False):
                raise refuse(SESSION_IS_LOCKED, f"Session {key[1]} is locked by a concurrent client")
            return session

    def _expire(self) -> None:
        """Close idle sessions past their time, and the oldest idle ones beyond the bound."""
        now = time.monotonic()
        idle = sorted((session.expires_at, key) for key, session in self._sessions.items() if not session.busy.locked())
        excess = len(self._sessions) - self._most
        for position, (expires_at, key) in enumerate(idle):
            if expires_at <= now or position < excess:
                self._sessions.pop(key).connection.close()

    def close(self) -> None:
        """Close every session that no request is using."""
        with self._guard:
            for session in self._sessions.values():
                if session.busy.acquire(blocking=False):
                    session.connection.close()
            self._sessions.clear()
