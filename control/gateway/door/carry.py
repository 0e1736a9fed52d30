"""From an HTTP request to a call: who calls (header, cookie or certificate), where from, and the body within its limit.

What speaks against a request (another site's page, no CSRF token, too long a body) is not raised here: it is raised by
``check`` or ``body`` inside the call, so that it is in the audit with everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection, Request

from mevflow.control.gateway.door.origin import Origins
from mevflow.control.gateway.door.sessions import CSRF_HEADER, CookieSessions, Session
from mevflow.control.refusal import Refused
from mevflow.control.server.dispatch import Caller, Dispatcher

COOKIE = "mevflow_session"
MAX_BODY = 4 << 20
_BODY_S = 60.0
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Carrier:
    """What all endpoints share."""

    dispatcher: Dispatcher
    sessions: CookieSessions
    origins: Origins
    max_body: int = MAX_BODY

    def caller(self, connection: HTTPConnection) -> Caller:
        """How the request came in; a session's token stands in its ``authorization``."""
        metadata: Mapping[str, str] = connection.headers
        session = self.session(connection)
        if session is not None:
            metadata = {"authorization": f"Bearer {session.token}"}
        client = connection.client
        tls: dict[str, Any] = connection.scope.get("extensions", {}).get("mevflow.tls", {})
        return Caller(metadata, f"http:{client.host}:{client.port}" if client else "http:", tls.get("name"))

    def session(self, connection: HTTPConnection) -> Session | None:
        """The request's session; a bearer token in its header goes before it."""
        if "authorization" in connection.headers or "cookie" not in connection.headers:
            return None
        return self.sessions.get(connection.cookies.get(COOKIE, ""))

    def check(self, connection: HTTPConnection) -> None:
        """Raise Refused for a request that someone else's page may have made."""
        self.origins.check(connection.headers, connection.scope["scheme"])
        session = self.session(connection)
        if session is not None and connection.scope.get("method", "GET") not in _SAFE:
            session.check_csrf(connection.headers.get(CSRF_HEADER, ""))

    async def body(self, request: Request, method: str) -> bytes | Refused:
        """The body; or why it is not read. A page's form cannot send JSON, so nothing else is taken.

        Of a caller who may not make the call nothing is read: the call itself says why it is refused.
        """
        if not self.dispatcher.expects(self.caller(request), method):
            return Refused("UNAUTHENTICATED", "UNREAD", "the body was not read")
        pieces, size = [], 0
        try:
            async with asyncio.timeout(_BODY_S):
                async for piece in request.stream():
                    size += len(piece)
                    if size > self.max_body:
                        return Refused("RESOURCE_EXHAUSTED", "TOO_LARGE", f"a body has at most {self.max_body:,} bytes")
                    pieces.append(piece)
        except TimeoutError:
            return Refused("DEADLINE_EXCEEDED", "TOO_SLOW", f"the body did not come within {_BODY_S:g} s")
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if size and media != "application/json":
            return Refused("INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE", "a body is application/json")
        return b"".join(pieces)
