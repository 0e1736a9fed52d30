"""``/api/session``: hand in a token for a cookie (POST), look (GET), leave (DELETE)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.door.carry import COOKIE, Carrier
from mevflow.control.gateway.door.sessions import LIFE_S
from mevflow.control.refusal import Refused

_PRIVATE = {"cache-control": "no-store"}


class Login:
    """Three endpoints. Every one is authenticated, limited and audited like a call."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def begin(self, request: Request) -> Response:
        """A session for the caller of a bearer token. The answer has the CSRF token; the cookie is HttpOnly."""
        carrier = self._carrier
        with carrier.dispatcher.guard("Login", carrier.caller(request)) as (identity, _):
            carrier.check(request)
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise Refused("INVALID_ARGUMENT", "NO_TOKEN", "a session begins with a bearer token")
        cookie, session = carrier.sessions.begin(identity.name, token.strip())
        body = {"name": identity.name, "role": str(identity.role), "csrf": session.csrf}
        response = Response(msgspec.json.encode(body), 200, _PRIVATE, "application/json")
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(LIFE_S),
            path="/api",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def look(self, request: Request) -> Response:
        """Who the caller is; of a session also its CSRF token, for a page that was loaded anew."""
        carrier = self._carrier
        with carrier.dispatcher.guard("Session", carrier.caller(request)) as (identity, _):
            carrier.check(request)
        session = carrier.session(request)
        body = {"name": identity.name, "role": str(identity.role), "csrf": session.csrf if session else None}
        return Response(msgspec.json.encode(body), 200, _PRIVATE, "application/json")

    async def end(self, request: Request) -> Response:
        """Forget the session."""
        carrier = self._carrier
        with carrier.dispatcher.guard("Logout", carrier.caller(request)):
            carrier.check(request)
        carrier.sessions.end(request.cookies.get(COOKIE, ""))
        response = Response(None, 204, _PRIVATE)
        response.delete_cookie(COOKIE, path="/api")
        return response
