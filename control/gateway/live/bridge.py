"""``/api/messages/{topic}/ws``: a topic's records over a WebSocket, from an offset, a time or an end on.

Frames are JSON text, each with rows as ``/api/messages/{topic}`` gives them, with what became of every record since the
frame before, and with ``next``, the ``cursor`` of a client that comes back. A frame comes at least once a second. The
log is the buffer of a client that reads slowly: nothing waits for it here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from mevflow.control.gateway.door import problems
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, read_asked
from mevflow.control.gateway.endpoints.messages import ReadingAsked, cursor_of
from mevflow.control.refusal import Refused, invalid
from mevflow.flows.messages.tail import TailBatch, TailRequest, TopicTail
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError

#: Readers at once, of all callers and of one: each is a Kafka consumer.
MAX_AT_ONCE, MAX_OF_CALLER = 16, 4
_FRAME_S = 1.0
_RECHECK_S = 2.0
_POLICY_VIOLATION, _INTERNAL = 1008, 1011


class LiveAsked(ReadingAsked, forbid_unknown_fields=True):
    """``rate``: rows a second; ``every``: none is left out; ``keep_up``: who is further behind (records) goes on at the
    end.
    """

    start: Annotated[str, Meta(pattern="^(latest|newest|earliest)$")] = "latest"
    rate: Annotated[int, Meta(ge=1, le=1_000)] = 100
    every: bool = False
    keep_up: Annotated[int, Meta(ge=0, le=100_000_000)] = 0


_ENDPOINT = HttpEndpoint(
    "GET", "/api/messages/{topic}/ws", "MessagesLive", "Records as they come", LiveAsked, lambda _around, _asked: None
)


class TopicBridge:
    """The endpoint."""

    path = _ENDPOINT.path

    def __init__(self, carrier: Carrier, bootstrap: str) -> None:
        self._carrier, self._bootstrap = carrier, bootstrap
        # Threads of its own: a reader takes one for as long as its client stays.
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="messages")
        self._of: Counter[str] = Counter()

    def close(self) -> None:
        """No more are opened."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def serve(self, socket: WebSocket) -> None:
        """One client, from its handshake to its end."""
        loop = asyncio.get_running_loop()
        try:
            with self._carrier.dispatcher.guard("MessagesLive", self._carrier.caller(socket)) as (identity, record):
                self._carrier.check(socket)
                asked = read_asked(_ENDPOINT, socket)
                record.request = msgspec.json.encode(asked)[:2_000]
                self._take_place(identity.name)
                try:
                    tail = await loop.run_in_executor(self._threads, _opened, self._bootstrap, asked)
                except BaseException:
                    self._leave(identity.name)
                    raise
        except Refused as refused:
            await socket.send_denial_response(problems.answer(refused))
            return
        try:
            await socket.accept()
            with contextlib.suppress(WebSocketDisconnect):
                await self._carry(socket, tail)
        finally:
            self._leave(identity.name)

    def _take_place(self, caller: str) -> None:
        if self._of[caller] >= MAX_OF_CALLER or self._of.total() >= MAX_AT_ONCE:
            raise Refused(
                "RESOURCE_EXHAUSTED",
                "TOO_MANY_CLIENTS",
                f"{MAX_AT_ONCE} readers of topics at once, {MAX_OF_CALLER} of one caller",
                retry_after_s=2.0,
            )
        self._of[caller] += 1

    def _leave(self, caller: str) -> None:
        self._of[caller] -= 1
        if not self._of[caller]:
            del self._of[caller]

    async def _carry(self, socket: WebSocket, tail: TopicTail) -> None:
        """Frames until the client goes, or may not stay, or the broker is gone."""
        loop = asyncio.get_running_loop()
        gone = asyncio.create_task(_disconnected(socket))
        taking: asyncio.Future[TailBatch] | None = None
        checked = loop.time()
        try:
            while not gone.done():
                taking = loop.run_in_executor(self._threads, tail.take, _FRAME_S)
                under_way: set[asyncio.Future[Any]] = {taking, gone}
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                try:
                    frame = msgspec.json.encode(_shown(taking.result())).decode()
                except MevflowError as error:
                    await socket.close(_INTERNAL, str(error.message)[:120])
                    return
                await socket.send_text(frame)
                if loop.time() - checked > _RECHECK_S:
                    checked = loop.time()
                    if not self._carrier.dispatcher.expects(self._carrier.caller(socket), "MessagesLive"):
                        await socket.close(_POLICY_VIOLATION, "the token, its key, its role or the session is gone")
                        return
        finally:
            gone.cancel()
            if taking is not None and not taking.done():
                with contextlib.suppress(MevflowError):
                    await asyncio.shield(taking)
            await loop.run_in_executor(self._threads, tail.close)


async def _disconnected(socket: WebSocket) -> None:
    """Until the client has gone; what it says meanwhile is passed over: all is asked in the address."""
    while socket.client_state is not WebSocketState.DISCONNECTED:
        if (await socket.receive())["type"] == "websocket.disconnect":
            return


def _opened(bootstrap: str, asked: LiveAsked) -> TopicTail:
    """Raises Refused."""
    try:
        request = TailRequest(**asked.reading(), rate=asked.rate, every=asked.every, keep_up=asked.keep_up)
        tail = TopicTail(bootstrap, request)
        try:
            tail.open()
        except BaseException:
            tail.close()
            raise
    except UsageError as error:
        if error.key:
            raise invalid(error.key, str(error.message)) from error
        raise Refused("NOT_FOUND", "NOT_FOUND", str(error.message)) from error
    except UnreachableError as error:
        raise Refused("UNAVAILABLE", "BROKER_UNAVAILABLE", str(error.message), retry_after_s=2.0) from error
    return tail


def _shown(batch: TailBatch) -> dict[str, object]:
    return {**{name: getattr(batch, name) for name in _COUNTS}, "rows": batch.rows, "next": cursor_of(batch.next)}


_COUNTS = ("received", "matched", "sampled", "dropped", "undecodable", "behind")
