"""Ids of running queries: one runs once at a time, and the engine's list of queries shows it.

The engine takes no id for a query, so the id travels as a mark at the end of the setting ``log_comment``, which
``system.processes`` shows; ``NAME_OF`` reads it back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mevflow.clickhouse.server.engine import Engine, literal
from mevflow.clickhouse.server.errors import QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, refuse
from mevflow.clickhouse.server.request import Request

_SIGN = "\x1f"
#: A row of system.processes: the id that its caller gave, or else the engine's own.
NAME_OF = (
    f"if(position(Settings['log_comment'], '{_SIGN}') > 0, "
    f"splitByChar('{_SIGN}', Settings['log_comment'])[-1], query_id)"
)


def mark(comment: str, query_id: str) -> str:
    """A ``log_comment`` that says ``comment`` and carries ``query_id``."""
    return f"{comment}{_SIGN}{query_id}"


class RunningQueries:
    """The ids that are taken, by all threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: set[str] = set()
        self._ended = threading.Condition()

    @contextmanager
    def claimed(self, request: Request) -> Iterator[None]:
        """Hold the request's id. Raises ServerError (216) while another query has it."""
        name = request.query_id
        if request.replaces_within_s is not None:
            self._replace(name, request.replaces_within_s)
        with self._ended:
            if name in self._running:
                raise refuse(QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, f"Query with id = {name} is already running.")
            self._running.add(name)
        try:
            yield
        finally:
            with self._ended:
                self._running.discard(name)
                self._ended.notify_all()

    def _replace(self, name: str, patience_s: float) -> None:
        if name in self._running:
            self._engine.kill(f"{NAME_OF} = {literal(name)}")
        with self._ended:
            self._ended.wait_for(lambda: name not in self._running, patience_s)
