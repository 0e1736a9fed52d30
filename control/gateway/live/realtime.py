"""Live messages through the gateway's door: ``/api/realtime/ws``, ``/ws``, ``webtransport`` and ``connections``.

A client is admitted like any call (token, session or certificate; origin; role; rate) and its socket is then the hub's,
which writes to it without the gateway. What stays here is the leash: when the token, its key, its role or the session
ends, so does the client, within seconds. Under TLS only this process can read the socket, so bytes pass through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from mevflow.control.gateway.door import problems
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.door.protocol import HANDOVER, HandedOver
from mevflow.control.refusal import Refused
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.sinks.websocket.hub.control import hub_status
from mevflow.sinks.websocket.hub.filters import Filter
from mevflow.sinks.websocket.hub.handover import hand_over, pull
from mevflow.sinks.websocket.hub.tickets import TICKET_S, ask_ticket
from mevflow.sinks.websocket.hub.wire import door_path, guard, ticket_path

#: Clients of one identity.
MAX_OF_CALLER = 100
_RECHECK_S = 2.0
#: How long the hub may take to give a ticket.
_TICKET_S = 2.0
_POLICY_VIOLATION, _GOING_AWAY = 1008, 1001
_WANTED = ("sec-websocket-key", "sec-websocket-version")


class Realtime:
    """The endpoints. ``hub``: its local socket; None: there is none."""

    def __init__(self, carrier: Carrier, hub: Path | None, *, authenticates: bool) -> None:
        self._carrier, self._hub, self._authenticates = carrier, hub, authenticates
        self._of: Counter[str] = Counter()
        self._ending = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Close the hub's own port to clients where callers are authenticated, and open it where they are not."""
        if self._hub is not None:
            guard(self._hub, self._authenticates)

    def stop(self) -> None:
        """End every client that came through here."""
        self._ending.set()

    async def serve(self, client: WebSocket) -> None:
        """One client, from its handshake to its end."""
        with contextlib.ExitStack() as held:
            try:
                with self._carrier.dispatcher.guard("Realtime", self._carrier.caller(client)) as (identity, record):
                    self._carrier.check(client)
                    record.request = msgspec.json.encode({"query": client.url.query[:500]})
                    held.enter_context(self._room(identity.name))
                    leash, handed = self._hand_over(client)
            except Refused as refused:
                await client.send_denial_response(problems.answer(refused))
                return
            held.enter_context(leash)
            async with asyncio.TaskGroup() as group:
                group.create_task(handed.carry())
                await self._hold(leash, client)

    async def ticket(self, request: Request) -> Response:
        """For one client over WebTransport, within seconds: where it may go, with which ticket, to which certificate.

        It is looked after as one that came by WebSocket: it ends with the caller's token, role or session.
        """
        carrier = self._carrier
        with contextlib.ExitStack() as held:
            with carrier.dispatcher.guard("Realtime", carrier.caller(request)) as (identity, _):
                carrier.check(request)
                held.enter_context(self._room(identity.name))
                try:
                    told, leash = await asyncio.to_thread(ask_ticket, ticket_path(self._where()), _TICKET_S)
                except OSError as error:
                    raise _unreachable(f"no hub gives tickets ({error.strerror or error})", "--webtransport") from error
            held.enter_context(leash)
            task = asyncio.create_task(self._keep(leash, request, held.pop_all()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        body = {
            "url": f"https://{told['host']}:{told['port']}/wt",
            "ticket": told["ticket"],
            "certificates": [{"algorithm": "sha-256", "value": told["sha256"]}],
            "seconds": TICKET_S,
        }
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

    async def _keep(self, leash: socket.socket, client: HTTPConnection, held: contextlib.ExitStack) -> None:
        with held:
            await self._hold(leash, client)

    @contextlib.contextmanager
    def _room(self, caller: str) -> Iterator[None]:
        """A place for one client, taken before anything is waited for. Raises Refused when its caller has no more."""
        if self._of[caller] >= MAX_OF_CALLER:
            raise Refused("RESOURCE_EXHAUSTED", "TOO_MANY_CLIENTS", f"{caller} has {MAX_OF_CALLER} clients already")
        self._of[caller] += 1
        try:
            yield
        finally:
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]

    def _hand_over(self, client: WebSocket) -> tuple[socket.socket, HandedOver]:
        """Raises Refused; the connection is still the gateway's then."""
        try:
            query = client.scope["query_string"].decode("latin-1")
            Filter.from_query(query)
        except UsageError as error:
            raise Refused("INVALID_ARGUMENT", "MALFORMED_REQUEST", str(error.message)) from None
        headers = [(name, client.headers[name]) for name in _WANTED if name in client.headers]
        lines = [f"GET /ws?{query} HTTP/1.1", "host: hub", "upgrade: websocket", "connection: upgrade"]
        lines += [f"{name}: {value}" for name, value in headers]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        hub = self._where()
        handed: HandedOver = client.scope["extensions"][HANDOVER]["connection"]
        try:
            leash = hand_over(door_path(hub), head, handed.handle())
        except OSError as error:
            handed.keep()
            raise _unreachable(f"no hub takes clients ({error.strerror or error})") from error
        handed.release()
        return leash, handed

    def _where(self) -> Path:
        if self._hub is None:
            raise _unreachable("this gateway knows no hub")
        return self._hub

    async def _hold(self, leash: socket.socket, client: HTTPConnection) -> None:
        """Until the client has gone, or may not stay."""
        carrier, loop = self._carrier, asyncio.get_running_loop()
        gone = asyncio.ensure_future(loop.sock_recv(leash, 1))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            while not gone.done():
                if ending.done():
                    pull(leash, _GOING_AWAY, "the gateway stops")
                    await asyncio.wait({gone}, timeout=_RECHECK_S)
                    return
                if not carrier.dispatcher.expects(carrier.caller(client), "Realtime"):
                    pull(leash, _POLICY_VIOLATION, "the token, its key, its role or the session is gone")
                    await asyncio.wait({gone}, timeout=_RECHECK_S)
                    return
                await asyncio.wait({gone, ending}, timeout=_RECHECK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (gone, ending):
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await each

    async def connections(self, request: Request) -> Response:
        """The hub's feeds and clients, and what they missed."""
        carrier = self._carrier
        with carrier.dispatcher.guard("RealtimeConnections", carrier.caller(request)):
            carrier.check(request)
            try:
                found = await asyncio.to_thread(hub_status, 0, self._where())
            except MevflowError as error:
                raise _unreachable(str(error.message)) from error
            if found is None:
                raise _unreachable("no hub runs")
        body = msgspec.json.encode(dataclasses.asdict(found))
        return Response(body, 200, {"cache-control": "no-store"}, "application/json")


def _unreachable(what: str, option: str = "") -> Refused:
    return Refused(
        "UNAVAILABLE",
        "HUB_UNREACHABLE",
        f"{what}: {'' if option else 'deploy a topology with a websocket.sink, or '}mevflow hub start {option}".strip(),
        retry_after_s=2.0,
    )
