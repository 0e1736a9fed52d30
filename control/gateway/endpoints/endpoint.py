"""Endpoints that are a function of what is asked: checked by a struct, run in a thread, answered as JSON.

A struct's fields are the parameters of the URL and of the path (GET) or the body's fields (POST): the OpenAPI document
is made from it too. Each call is admitted, limited and audited like any other.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.message import Message
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from mevflow.control.commands.turns import Turns
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.refusal import Refused, invalid
from mevflow.flows.config import ClickHouseConfig
from mevflow.operators.errors import UsageError

#: Calls that run at once, of all callers and of one; others wait, and are refused after a while.
_AT_ONCE, _OF_CALLER, _WAIT_S = 6, 4, 10.0
_MAX_PARAMETER = 4_096


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the gateway stands among. ``hub``: its local socket, or None; ``prometheus``: a URL, or empty; ``grafana``:
    hosts that it may speak to; ``call``: makes a call of the service's as the caller of the endpoint (it blocks).
    """

    bootstrap: str
    file: Path
    var: Path
    clickhouse: ClickHouseConfig
    hub: Path | None
    prometheus: str = ""
    grafana: tuple[str, ...] = ()
    call: Callable[[str, Message], Any] | None = None


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Of endpoints that ask nothing."""


@dataclass(frozen=True, slots=True)
class HttpEndpoint:
    """``answer`` gives what is encoded as JSON, or raises MevflowError (a UsageError with a key: 400, else 404).

    ``method`` is one of ``methods.METHODS``. ``secret``: fields that the audit does not keep.
    """

    verb: str
    path: str
    method: str
    summary: str
    asked: type[msgspec.Struct]
    answer: Callable[[Surroundings, Any], Any]
    secret: tuple[str, ...] = ()


class Endpoints:
    """Serves them."""

    def __init__(self, carrier: Carrier, around: Surroundings) -> None:
        self._carrier, self._around = carrier, around
        self._turns = Turns("calls", _AT_ONCE, _OF_CALLER)
        # Threads of their own: calls that take long must not take those that the control plane's own calls need.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="endpoints")

    def close(self) -> None:
        """No more are begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def serve(self, each: HttpEndpoint) -> Callable[[Request], Awaitable[Response]]:
        """What answers one."""
        carrier = self._carrier

        async def respond(request: Request) -> Response:
            body = b"" if each.verb == "GET" else await carrier.body(request, each.method)
            with carrier.dispatcher.guard(each.method, carrier.caller(request)) as (identity, record):
                carrier.check(request)
                if isinstance(body, Refused):
                    raise body
                asked = read_asked(each, request, body)
                record.request = msgspec.json.encode(msgspec.structs.replace(asked, **dict.fromkeys(each.secret, "")))[
                    :2_000
                ]
                around = dataclasses.replace(self._around, call=self._call(request))
                found = msgspec.json.encode(await self._run(each, around, asked, identity.name))
            return Response(found, 200, {"cache-control": "no-store"}, "application/json")

        return respond

    def _call(self, request: Request) -> Callable[[str, Message], Any]:
        """For the thread of an endpoint: a call of the service's, made and audited as its caller's own."""
        loop, dispatcher, caller = asyncio.get_running_loop(), self._carrier.dispatcher, self._carrier.caller(request)

        def call(method: str, message: Message) -> Any:
            return asyncio.run_coroutine_threadsafe(dispatcher.call(method, lambda: message, caller), loop).result()

        return call

    async def _run(self, each: HttpEndpoint, around: Surroundings, asked: msgspec.Struct, caller: str) -> Any:
        await self._turns.take(caller, _WAIT_S)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, each.answer, around, asked)
        except UsageError as error:
            if error.key:
                raise invalid(error.key, str(error.message)) from error
            hint = {"hint": error.hint} if error.hint else {}
            raise Refused("NOT_FOUND", "NOT_FOUND", str(error.message), metadata=hint) from error
        finally:
            self._turns.give_back(caller)


def read_asked(each: HttpEndpoint, request: HTTPConnection, body: bytes = b"") -> Any:
    """``each.asked`` of a request. Raises Refused for what the struct does not take."""
    try:
        if each.verb == "GET":
            parameters: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                if len(value) > _MAX_PARAMETER:
                    raise invalid(name[:64], f"has at most {_MAX_PARAMETER:,} characters")
                parameters.setdefault(name, []).append(value)
            many = {field.name for field in msgspec.structs.fields(each.asked) if field.type == list[str]}
            plain = {name: values if name in many else values[-1] for name, values in parameters.items()}
            return msgspec.convert({**plain, **request.path_params}, each.asked, strict=False)
        given = msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
        whole = msgspec.json.encode({**given, **request.path_params}) if request.path_params else body or b"{}"
        return msgspec.json.decode(whole, type=each.asked)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(each.asked)) or "none"
        reason = "UNKNOWN_PARAMETER" if "unknown field" in str(error) else "MALFORMED_REQUEST"
        raise Refused("INVALID_ARGUMENT", reason, f"{error}; known: {known}") from None
