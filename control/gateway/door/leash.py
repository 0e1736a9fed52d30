"""Answers in pieces, for as long as their caller may have them, takes them, and does not take too long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.server.dispatch import RECHECK_S

#: What says by itself why it ends has so long to say it.
_GRACE_S = 2.0


class LeashedStream(StreamingResponse):
    """``may``: whether the caller may go on, asked every second whether or not a piece can leave.

    ``most_s``: for the whole answer; None: as long as it lasts. What ends early breaks the connection off.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str],
        may: Callable[[], bool],
        most_s: float | None = None,
    ) -> None:
        super().__init__(pieces, 200, dict(headers), media_type)
        self._pieces, self._may, self._most_s = pieces, may, most_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(super().__call__(scope, receive, send))
        now = asyncio.get_running_loop().time
        began = allowed = now()
        try:
            while not sending.done():
                await asyncio.wait({sending}, timeout=RECHECK_S)
                allowed = now() if self._may() else allowed
                late = self._most_s is not None and now() - began > self._most_s
                if not sending.done() and (late or now() - allowed > _GRACE_S):
                    raise ConnectionAbortedError("the caller may not go on, or takes too long")
            sending.result()
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sending
            await self._pieces.aclose()


def leash(carrier: Carrier, request: Request, method: str) -> Callable[[], bool]:
    """Whether the caller of a request may still make a call."""
    return lambda: carrier.dispatcher.expects(carrier.caller(request), method)
