"""A transport that sends what is written within one turn of the event loop at once.

uvicorn writes a response's head and its body one after the other; each write is a system call, and for a small answer
they are most of what it costs.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Corked:
    """In front of an asyncio transport; everything but writing and ending passes through."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send with what else is written before the loop's next turn."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def _flush(self) -> None:
        if self._held:
            data, self._held = b"".join(self._held), []
            self._transport.write(data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
