"""Where an answer leaves: asked by the event loop or by a statement's thread, no faster than the client reads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Message = MutableMapping[str, Any]


class Outlet:
    """One answer. The ``send_…`` methods are for threads; they raise ConnectionError when nobody takes the answer.

    ``patience_s``: how long a piece may wait for its reader.
    """

    def __init__(
        self, send: Callable[[_Message], Awaitable[None]], loop: asyncio.AbstractEventLoop, patience_s: float
    ) -> None:
        self._send = send
        self._loop = loop
        self._patience_s = patience_s
        self._gone = threading.Event()
        self.begun = False

    def awaited(self) -> bool:
        """Whether the client is still there."""
        return not self._gone.is_set()

    async def watch(self, receive: Callable[[], Awaitable[_Message]]) -> None:
        """Notice when the client goes away; to be started once its body is read."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    async def whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """An answer in one piece."""
        await self._head(status, {**headers, "Content-Length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def send_whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._wait(self.whole(status, body, headers))

    def send_head(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer whose length is not known."""
        self._wait(self._head(status, headers))

    def send_piece(self, body: bytes) -> None:
        if body:
            self._wait(self._send({"type": "http.response.body", "body": body, "more_body": True}))

    def send_end(self, body: bytes) -> None:
        self._wait(self._send({"type": "http.response.body", "body": body, "more_body": False}))

    def send_broken(self, body: bytes, linger_s: float) -> None:
        """The end of an answer that failed: no last chunk follows, and the connection closes, by the client or soon."""
        self.send_piece(body)
        self._gone.wait(linger_s)

    async def _head(self, status: int, headers: dict[str, str]) -> None:
        self.begun = True
        fields = [
            (name.encode(), value.translate(_NO_CONTROLS).encode("latin-1", "replace"))
            for name, value in headers.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    def _wait(self, step: Any) -> None:
        if self._gone.is_set():
            step.close()
            raise ConnectionAbortedError("the client went away")
        pending = asyncio.run_coroutine_threadsafe(step, self._loop)
        try:
            pending.result(self._patience_s)
        except concurrent.futures.TimeoutError:
            pending.cancel()
            self._gone.set()
            raise ConnectionAbortedError("the client does not read its answer") from None


_NO_CONTROLS = dict.fromkeys([*range(32), 127], " ")
