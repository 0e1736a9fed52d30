"""What a request is served with: made once, handed in, never changed."""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.clickhouse.server.access import Access
from mevflow.clickhouse.server.engine import Engine
from mevflow.clickhouse.server.execute import Executor
from mevflow.clickhouse.server.sessions import EngineSessions


@dataclass(frozen=True, slots=True)
class FrontLimits:
    """Bounds on what a stranger may ask for, in bytes, counts and seconds.

    ``head_bytes`` bounds all of a request that is not its body: URL, headers, chunk sizes, trailers.
    ``silence_s``: a sender in the middle of a request, or a reader of an answer, must make progress in such a time.
    ``unread_bytes`` of a refused request are read and dropped, so that its sender hears why; then the connection ends.
    """

    statements: int = 100  # as ClickHouse's default for max_concurrent_queries
    connections: int = 1024
    url_bytes: int = 1 << 20
    head_bytes: int = (1 << 20) + (128 << 10)
    headers: int = 200
    body_bytes: int = 8 << 30
    form_bytes: int = 64 << 20
    unread_bytes: int = 64 << 20
    pipelined: int = 8
    silence_s: float = 60.0
    idle_s: float = 300.0
    slow_bytes_s: int = 64  # less than so many bytes a second is no progress


@dataclass(frozen=True, slots=True)
class Services:
    """Engine, sessions, executor and access of one server."""

    engine: Engine
    access: Access
    sessions: EngineSessions
    executor: Executor
    limits: FrontLimits


def services(engine: Engine, password: str, limits: FrontLimits | None = None) -> Services:
    """Everything for ``engine``, open to who knows ``password`` (empty: none needed)."""
    sessions = EngineSessions(engine)
    return Services(engine, Access(password), sessions, Executor(engine, sessions), limits or FrontLimits())
