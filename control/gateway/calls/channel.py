"""``/api/control/ws``: calls and streams over one WebSocket.

The client sends ``{"id": 1, "call": "Watch", "request": {…}}``; any number may be under way. The answers carry the id:
``{"id": 1, "reply": {…}}`` of a call, ``{"id": 1, "event": {…}}`` any number of times and ``{"id": 1, "end": true}`` of
a stream, ``{"id": 1, "error": problem}`` when it is refused. ``{"id": 1, "cancel": true}`` ends a stream.

Each call is authenticated, limited and audited by itself: a token that expires in the middle ends what it may do.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from google.protobuf.message import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from mevflow.control.gateway.calls.shape import parse, plain
from mevflow.control.gateway.door import problems
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.methods import METHODS
from mevflow.control.refusal import Refused

_UNDER_WAY, _MAX_ID = 64, 64
_RECHECK_S = 5.0


class Frame(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends."""

    id: int | str
    call: str = ""
    request: msgspec.Raw = msgspec.Raw(b"")
    cancel: bool = False


_frames = msgspec.json.Decoder(Frame)


class SocketChannel:
    """The endpoint."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from handshake to end."""
        try:
            self._admit(socket)
        except Refused as refused:
            await socket.send_denial_response(problems.answer(refused))
            return
        await socket.accept()
        connection = _Connection(self._carrier, socket)
        try:
            async with asyncio.TaskGroup() as group:
                await connection.serve(group)
        except* WebSocketDisconnect:
            pass

    def _admit(self, socket: WebSocket) -> None:
        """A browser sends its cookie with the handshake of any page, so where the page is from decides."""
        with self._carrier.dispatcher.guard("Channel", self._carrier.caller(socket)):
            self._carrier.check(socket)


class _Connection:
    def __init__(self, carrier: Carrier, socket: WebSocket) -> None:
        self._carrier, self._socket = carrier, socket
        self._under_way: dict[int | str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()

    async def serve(self, group: asyncio.TaskGroup) -> None:
        """Read frames until the client leaves; then end what is under way."""
        watch = group.create_task(self._watch())
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                await self._take(group, text.encode() if text is not None else message.get("bytes") or b"")
        finally:
            watch.cancel()
            for task in list(self._under_way.values()):
                task.cancel()

    async def _watch(self) -> None:
        """Close the connection (1008) when its caller may not have it any more."""
        carrier = self._carrier
        while carrier.dispatcher.expects(carrier.caller(self._socket), "Channel"):
            await asyncio.sleep(_RECHECK_S)
        async with self._sending:
            if self._socket.application_state is WebSocketState.CONNECTED:
                await self._socket.close(1008, "the token, its key or its role is gone")

    async def _take(self, group: asyncio.TaskGroup, text: bytes) -> None:
        try:
            frame = _frames.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await self._refuse(None, "Channel", Refused("INVALID_ARGUMENT", "MALFORMED_JSON", f"no frame: {error}"))
            return
        if frame.cancel:
            task = self._under_way.get(frame.id)
            if task is not None:
                task.cancel()
            return
        known = frame.call in self._carrier.dispatcher.routes
        if isinstance(frame.id, str) and len(frame.id) > _MAX_ID:
            frame.id = frame.id[:_MAX_ID]
            why = Refused("INVALID_ARGUMENT", "ID_TOO_LONG", f"an id has at most {_MAX_ID} characters")
        elif not known:
            why = Refused("UNIMPLEMENTED", "NO_SUCH_CALL", f"no call {frame.call[:50]!r}")
        elif frame.id in self._under_way:
            why = Refused("ALREADY_EXISTS", "ID_IN_USE", "a call of this id is under way")
        elif len(self._under_way) >= _UNDER_WAY:
            why = Refused("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", f"at most {_UNDER_WAY} calls are under way at once")
        else:
            task = group.create_task(self._run(frame))
            self._under_way[frame.id] = task
            task.add_done_callback(lambda _: self._under_way.pop(frame.id, None))
            return
        await self._refuse(frame.id, frame.call if known else "Channel", why)

    async def _refuse(self, identifier: int | str | None, method: str, why: Refused) -> None:
        """Answer a frame that becomes no call; it is audited like one."""
        try:
            with self._carrier.dispatcher.guard(method, self._carrier.caller(self._socket)):
                raise why
        except Refused as refused:
            await self._send({"id": identifier, "error": problems.problem(refused)})

    async def _run(self, frame: Frame) -> None:
        dispatcher = self._carrier.dispatcher
        kind = dispatcher.routes[frame.call].request

        def make() -> Message:
            return parse(kind, bytes(frame.request), {})

        try:
            if METHODS[frame.call].streams:
                await self._stream(frame, make)
                await self._send({"id": frame.id, "end": True})
            else:
                reply = await dispatcher.call(frame.call, make, self._carrier.caller(self._socket))
                await self._send({"id": frame.id, "reply": plain(reply)})
        except Refused as refused:
            await self._send({"id": frame.id, "error": problems.problem(refused)})

    async def _stream(self, frame: Frame, make: Any) -> None:
        """Events until the stream ends, or until its caller may not watch any more."""
        carrier = self._carrier
        async with contextlib.aclosing(
            carrier.dispatcher.stream(frame.call, make, carrier.caller(self._socket))
        ) as replies:
            async for reply in replies:
                await self._send({"id": frame.id, "event": plain(reply)})

    async def _send(self, value: dict[str, Any]) -> None:
        """One frame at a time; waits while the client reads too slowly."""
        async with self._sending:
            if self._socket.application_state is WebSocketState.CONNECTED:
                await self._socket.send_text(msgspec.json.encode(value).decode())
