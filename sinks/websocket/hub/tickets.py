"""Tickets for clients whose socket cannot be handed over: those of WebTransport, which is UDP.

The gateway, once it knows who calls, connects to a Unix-domain socket beside the feeds' (SOCK_SEQPACKET) and is sent
one record of JSON: a ticket, and where the client may go with it. That connection becomes the client's leash, as in
:mod:`mevflow.sinks.websocket.hub.handover`. A ticket lets one client in, once, within ``TICKET_S``.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mevflow.sinks.websocket.hub.wire import dial

TICKET_S = 10.0
#: Tickets that nobody has come with yet.
MAX_OPEN = 1_000
_MAX_RECORD = 4_096


class Tickets:
    """The hub's end. ``where``: what a client is told beside its ticket."""

    def __init__(self, where: Callable[[], dict[str, Any]]) -> None:
        self._where = where
        self._open: dict[str, socket.socket] = {}

    def listen(self, path: Path) -> None:
        """Give tickets at ``path`` until closed."""
        self._path = path
        path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(str(path))
        path.chmod(0o600)
        self._listening.listen(256)
        self._listening.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Give no more; what was given is void."""
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        self._path.unlink(missing_ok=True)
        for ticket in list(self._open):
            self._expire(ticket)

    def redeem(self, ticket: str) -> socket.socket | None:
        """The leash of who comes with ``ticket``; None when it is none, or none any more."""
        return self._open.pop(ticket, None)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            leash, _ = self._listening.accept()
            leash.setblocking(False)
            ticket = secrets.token_urlsafe(24)
            if len(self._open) >= MAX_OPEN:
                leash.close()
                return
            self._open[ticket] = leash
            asyncio.get_running_loop().call_later(TICKET_S, self._expire, ticket)
            leash.send(msgspec.json.encode({"ticket": ticket, **self._where()}))

    def _expire(self, ticket: str) -> None:
        leash = self._open.pop(ticket, None)
        if leash is not None:
            leash.close()


def ask_ticket(path: Path, seconds: float) -> tuple[dict[str, Any], socket.socket]:
    """A ticket of the hub at ``path`` (``wire.ticket_path``), and its leash. Raises OSError when none gives one."""
    leash = dial(path, seconds, socket.SOCK_SEQPACKET)
    try:
        told = leash.recv(_MAX_RECORD)
        if not told:
            raise ConnectionError("too many tickets are open")
    except OSError:
        leash.close()
        raise
    leash.setblocking(False)
    return msgspec.json.decode(told), leash
