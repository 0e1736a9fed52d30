"""The endpoints that are calls of ``mevflow.v1.Control``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.calls.routes import HttpRoute
from mevflow.control.gateway.calls.shape import encode, parse, parse_query
from mevflow.control.gateway.door import problems
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.door.leash import LeashedStream, leash
from mevflow.control.methods import METHODS
from mevflow.control.refusal import Refused

_JSON = "application/json"
LINES = "application/x-ndjson"
_PRIVATE = {"cache-control": "no-store"}
_FIRST_S = 0.25


def endpoint(carrier: Carrier, route: HttpRoute) -> Callable[[Request], Awaitable[Response]]:
    """What answers a route."""
    kind = carrier.dispatcher.routes[route.call].request

    async def prepare(request: Request) -> Callable[[], Message]:
        """What makes the request once it is known who calls."""
        body = b"" if route.verb == "GET" else await carrier.body(request, route.call)

        def make() -> Message:
            carrier.check(request)
            if isinstance(body, Refused):
                raise body
            if route.verb == "GET":
                return parse_query(kind, dict(request.query_params), request.path_params)
            return parse(kind, body, request.path_params)

        return make

    async def unary(request: Request) -> Response:
        make = await prepare(request)
        reply = await carrier.dispatcher.call(route.call, make, carrier.caller(request))
        return Response(encode(reply), 200, _PRIVATE, _JSON)

    async def stream(request: Request) -> Response:
        make = await prepare(request)
        replies = carrier.dispatcher.stream(route.call, make, carrier.caller(request))
        first = asyncio.ensure_future(anext(replies, None))
        # A refusal comes at once and has a status of its own. What comes later can only be the last line.
        await asyncio.wait({first}, timeout=_FIRST_S)
        if first.done():
            first.result()
        return LeashedStream(_lines(first, replies), LINES, _PRIVATE, leash(carrier, request, route.call))

    return stream if METHODS[route.call].streams else unary


async def _lines(first: asyncio.Future[Any], replies: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
    """Replies, one JSON object a line; when it ends early the last line is ``{"error": problem}``."""
    try:
        reply = await first
        while reply is not None:
            yield encode(reply) + b"\n"
            reply = await anext(replies, None)
    except Refused as refused:
        yield msgspec.json.encode({"error": problems.problem(refused)}) + b"\n"
    finally:
        if not first.done():
            first.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await first
        await replies.aclose()
