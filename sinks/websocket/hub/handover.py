"""Clients that the gateway has let in: it hands over their sockets, and holds each on a leash.

For each client the gateway connects to a Unix-domain socket beside the feeds' (SOCK_SEQPACKET) and sends one record:
the head of an upgrade request that it has checked, with the client's socket (SCM_RIGHTS). That connection, the leash,
then lasts as long as the client does. When the client goes the hub closes it; to end the client the gateway sends
``<u16 close code> reason`` (little-endian). A gateway that dies takes its clients along: nobody would look at their
tokens any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from aiofastnet import connect_accepted_socket
from picows import WSCloseCode, WSListener, WSUpgradeRequest, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from mevflow.sinks.websocket.hub.client import Client
from mevflow.sinks.websocket.hub.wire import dial

#: A head: the gateway's own lines and the client's query.
MAX_HEAD = 12 << 10

#: A client says little: a Subscribe with the most pools that a filter may have.
MAX_CLIENT_FRAME = 1 << 20

#: How long a client may take to say what it wants, and until a silent one is asked, and has answered.
HANDSHAKE_S, PING_S = 5, 20

READ_BUFFER_BYTES = 4096

_CODE = struct.Struct("<H")

Route = Callable[[WSUpgradeRequest], WSListener | WSUpgradeResponseWithListener | None]


class Handovers:
    """The hub's end. ``route`` answers requests of clients that are let in; ``mark`` sets up their sockets."""

    def __init__(self, route: Route, mark: Callable[[socket.socket], None]) -> None:
        self._route, self._mark = route, mark
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, path: Path) -> None:
        """Take clients at ``path`` until closed."""
        self._path = path
        path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(str(path))
        path.chmod(0o600)
        self._listening.listen(256)
        self._listening.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Take no more. Clients there are stay until the hub ends them."""
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            leash, _ = self._listening.accept()
            leash.setblocking(False)
            task = asyncio.create_task(self._hold(leash))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hold(self, leash: socket.socket) -> None:
        """One client, from its handover to its end."""
        loop = asyncio.get_running_loop()
        with leash:
            try:
                async with asyncio.timeout(HANDSHAKE_S):
                    await _readable(leash)
                head, connection = _receive(leash)
            except (OSError, TimeoutError, ValueError) as error:
                logging.getLogger("mevflow.hub").warning("closed a connection that hands over no client: %s", error)
                return
            try:
                self._mark(connection)
                _, protocol = await connect_accepted_socket(loop, self._protocol, connection)
            except OSError:
                connection.close()  # the client has gone already
                return
            _feed(protocol, head)
            loop.add_reader(leash, _end, leash, protocol)
            try:
                await protocol.transport.wait_disconnected()
            finally:
                loop.remove_reader(leash)

    def _protocol(self) -> WSProtocol:
        """As :func:`picows.ws_create_server` makes one for a socket that it accepts itself."""
        return WSProtocol(
            None,  # host and port
            None,  # path
            False,  # the server's side
            self._route,
            logging.getLogger("picows.server"),
            True,  # an exception ends the connection
            HANDSHAKE_S,
            True,  # ping who is silent
            PING_S,
            PING_S,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            True,  # answer pings
            MAX_CLIENT_FRAME,
            None,  # more headers
            READ_BUFFER_BYTES,
        )


def _receive(leash: socket.socket) -> tuple[bytes, socket.socket]:
    """The record of a handover. Raises ValueError when it is none."""
    head, handles, flags, _ = socket.recv_fds(leash, MAX_HEAD, 1)
    if not head or len(handles) != 1 or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for handle in handles:
            os.close(handle)
        raise ValueError("a record without one socket, or too long a one")
    connection = socket.socket(fileno=handles[0])
    connection.setblocking(False)
    return head, connection


def _feed(protocol: WSProtocol, head: bytes) -> None:
    """Let the protocol read what the gateway has read before it."""
    while head:
        room = protocol.get_buffer(-1)
        count = min(len(room), len(head))
        room[:count] = head[:count]
        protocol.buffer_updated(count)
        head = head[count:]


def _end(leash: socket.socket, protocol: WSProtocol) -> None:
    """The gateway ends a client, or has gone itself."""
    asyncio.get_running_loop().remove_reader(leash)
    code, reason = pulled(leash)
    if isinstance(protocol.listener, Client):
        protocol.listener.end(code, reason)
    elif protocol.transport is not None:
        protocol.transport.disconnect()


def pulled(leash: socket.socket) -> tuple[WSCloseCode, str]:
    """Why the gateway ends the client of a leash that has something to read."""
    try:
        said = leash.recv(256)
    except OSError:
        said = b""
    if len(said) < _CODE.size:
        return WSCloseCode.GOING_AWAY, "the gateway has gone"
    return WSCloseCode(_CODE.unpack_from(said)[0]), said[_CODE.size :].decode(errors="replace")


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(connection, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(connection)


def hand_over(path: Path, head: bytes, handle: int) -> socket.socket:
    """Give the hub at ``path`` (``wire.door_path``) the client of a socket's handle; gives the leash.

    The handle may be closed then. Never waits. Raises OSError when no hub takes it.
    """
    leash = dial(path, 0.0, socket.SOCK_SEQPACKET)
    try:
        socket.send_fds(leash, [head], [handle])
    except OSError:
        leash.close()
        raise
    return leash


def pull(leash: socket.socket, code: int, reason: str) -> None:
    """End the client of a leash."""
    with contextlib.suppress(OSError):
        leash.send(_CODE.pack(code) + reason.encode()[:123])
