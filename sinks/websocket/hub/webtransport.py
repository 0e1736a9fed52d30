"""The hub over WebTransport (HTTP/3): the same filters and the same batches as over WebSocket.

A client comes with a ticket (:mod:`mevflow.sinks.websocket.hub.tickets`): ``CONNECT /wt?ticket=…&channels=…&pools=…``.
The hub opens one stream to it, of records: ``<u32 length, big-endian> RealtimeBatch``. What the client wants else it
says on one stream of its own, in records of ``Subscribe``.

Before it has shown its ticket a connection has ``HANDSHAKE_S`` and ``STRANGER_BYTES``; its address is checked by a
Retry before anything is kept for it, and there are never more than ``MAX_STRANGERS`` such connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.buffer import Buffer, encode_uint_var
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent
from aioquic.quic.packet import pull_quic_header
from picows import WSCloseCode

from mevflow.operators.errors import UsageError
from mevflow.sinks.websocket.hub.certificate import make_certificate
from mevflow.sinks.websocket.hub.client import TRANSPORT_BYTES, Client
from mevflow.sinks.websocket.hub.filters import Filter
from mevflow.sinks.websocket.hub.handover import HANDSHAKE_S, MAX_CLIENT_FRAME, PING_S, pulled
from mevflow.sinks.websocket.hub.tickets import Tickets

#: Connections that have shown no ticket yet.
MAX_STRANGERS = 256
STRANGER_BYTES = 64 << 10
#: How often it is looked whether the certificate is old.
_RENEW_S = 600.0
_LENGTH = struct.Struct(">I")
#: The capsule that ends a session, and its code.
_CLOSE_SESSION, _CODE = 0x2843, struct.Struct(">I")

Admit = Callable[[Filter], Client | None]


class Line:
    """What :class:`Client` writes to: the hub's stream of one session."""

    def __init__(self, session: Session, session_id: int, stream_id: int) -> None:
        self._session, self._session_id, self._stream_id = session, session_id, stream_id
        self.is_close_frame_sent = False
        self.client: Client | None = None

    @property
    def underlying_transport(self) -> Line:
        return self

    def set_write_buffer_limits(self, high: int) -> None:
        """It is TRANSPORT_BYTES."""

    def get_extra_info(self, name: str) -> Any:
        """``peername`` alone."""
        return self._session.peer if name == "peername" else None

    def send_reuse_external_bytearray(self, kind: Any, buffer: bytearray, start: int) -> None:
        """Send what is in ``buffer`` from ``start`` on, as one record."""
        self._session.write(self._stream_id, _LENGTH.pack(len(buffer) - start) + buffer[start:])
        if self.client is not None and not self.client.paused and self.waiting() > TRANSPORT_BYTES:
            self.client.pause_writing()

    def flushed(self) -> None:
        """The client has taken something."""
        if self.client is not None and self.client.paused and self.waiting() <= TRANSPORT_BYTES // 2:
            self.client.resume_writing()

    def waiting(self) -> int:
        """Bytes that the client has not acknowledged. QUIC keeps them; aioquic has no word for how many."""
        stream = self._session.quic._streams.get(self._stream_id)
        return len(stream.sender._buffer) if stream is not None else 0

    def send_close(self, code: WSCloseCode, reason: str = "") -> None:
        """Say why the session ends."""
        self.is_close_frame_sent = True
        said = _CODE.pack(code) + reason.encode()
        self._session.finish(self._session_id, encode_uint_var(_CLOSE_SESSION) + encode_uint_var(len(said)) + said)

    def disconnect(self, graceful: bool = True) -> None:
        """Hang up."""
        self._session.close()


class Session(QuicConnectionProtocol):
    """One client's connection, from its first packet to its end."""

    def __init__(self, *given: Any, door: WebTransport, **named: Any) -> None:
        super().__init__(*given, **named)
        self.quic = self._quic
        self.peer: Any = None
        self._door = door
        self._http: H3Connection | None = None
        self._line: Line | None = None
        self._leash: Any = None
        self._heard: tuple[int, bytearray] | None = None
        #: Bytes that came before the ticket.
        self._strange = 0
        self._due = asyncio.get_running_loop().call_later(HANDSHAKE_S, self._late)
        door.strangers += 1

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        self.peer = addr
        if self._line is None:
            self._strange += len(data)
            if self._strange > STRANGER_BYTES:
                self.close(reason_phrase="too much without a ticket")
                return
        super().datagram_received(data, addr)
        if self._line is not None:
            self._line.flushed()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            self._gone()
        if self._http is not None:
            for each in self._http.handle_event(event):
                self._read(each)

    def write(self, stream_id: int, data: bytes) -> None:
        """Send bytes on a stream."""
        self._quic.send_stream_data(stream_id, data)
        self.transmit()

    def finish(self, session_id: int, data: bytes) -> None:
        """Send the last bytes of the session itself."""
        if self._http is not None:
            self._http.send_data(session_id, data, end_stream=True)
            self.transmit()

    def _read(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived) and self._line is None:
            self._enter(event.stream_id, dict(event.headers))
        elif isinstance(event, WebTransportStreamDataReceived) and self._line is not None:
            self._listen(event.stream_id, event.data)

    def _enter(self, session_id: int, headers: dict[bytes, bytes]) -> None:
        """Let the client in, or say why not."""
        assert self._http is not None
        path, _, query = headers.get(b":path", b"").decode("latin-1").partition("?")
        status, client = 404, None
        if path == "/wt" and headers.get(b":protocol") == b"webtransport":
            status, client, self._leash = self._door.admit(query)
        self._http.send_headers(session_id, [(b":status", b"%d" % status)], end_stream=client is None)
        if client is None:
            return
        self._door.strangers -= 1
        self._due.cancel()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._leash, self._pulled)
        self._due = loop.call_later(PING_S, self._ask)
        self._line = Line(self, session_id, self._http.create_webtransport_stream(session_id, is_unidirectional=True))
        self._line.client = client
        client.on_ws_connected(self._line)

    def _listen(self, stream_id: int, data: bytes) -> None:
        """Records of ``Subscribe``, on one stream."""
        assert self._line is not None
        client = self._line.client
        if client is None or self._line.is_close_frame_sent:
            return
        if self._heard is None:
            self._heard = (stream_id, bytearray())
        mine, heard = self._heard
        if stream_id != mine:
            client.end(WSCloseCode.UNSUPPORTED_DATA, "a client has one stream")
            return
        heard += data
        while len(heard) >= _LENGTH.size and not self._line.is_close_frame_sent:
            (length,) = _LENGTH.unpack_from(heard)
            if length > MAX_CLIENT_FRAME:
                client.end(WSCloseCode.MESSAGE_TOO_BIG, f"a Subscribe has at most {MAX_CLIENT_FRAME:,} bytes")
                return
            end = _LENGTH.size + length
            if len(heard) < end:
                return
            client.told(Filter.from_protobuf, bytes(heard[_LENGTH.size : end]))
            del heard[:end]

    def _pulled(self) -> None:
        asyncio.get_running_loop().remove_reader(self._leash)
        code, reason = pulled(self._leash)
        if self._line is not None and self._line.client is not None:
            self._line.client.end(code, reason)

    def _late(self) -> None:
        self.close(reason_phrase="no ticket")

    def _ask(self) -> None:
        """Whether it is still there: the connection ends when nothing comes back."""
        self._quic.send_ping(0)
        self.transmit()
        self._due = asyncio.get_running_loop().call_later(PING_S, self._ask)

    def _gone(self) -> None:
        self._due.cancel()
        line, self._line = self._line, None
        if line is None:
            self._door.strangers -= self._leash is None
            return
        asyncio.get_running_loop().remove_reader(self._leash)
        self._leash.close()
        client, line.client = line.client, None
        if client is not None:
            client.on_ws_disconnected(line)


class _Server(QuicServer):
    """Begins nothing with another stranger while there are too many."""

    def __init__(self, door: WebTransport, configuration: QuicConfiguration) -> None:
        super().__init__(configuration=configuration, create_protocol=partial(Session, door=door), retry=True)
        self._door = door

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        if self._door.strangers < MAX_STRANGERS or self._knows(data):
            super().datagram_received(data, addr)

    def _knows(self, data: Any) -> bool:
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=self._configuration.connection_id_length)
        except ValueError:
            return False
        return header.destination_cid in self._protocols


class WebTransport:
    """The door. ``admit``: a client for a filter, or None when there are too many."""

    def __init__(self, host: str, port: int, admit: Admit) -> None:
        self._host, self._port, self._admit = host, port, admit
        self._certificate = make_certificate(host, datetime.now(UTC))
        self._configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=H3_ALPN,
            idle_timeout=3.0 * PING_S,
            max_data=2 * MAX_CLIENT_FRAME,
            max_stream_data=MAX_CLIENT_FRAME,
            max_datagram_frame_size=1 << 16,  # browsers ask for it; nothing is sent so
            certificate=self._certificate.certificate,
            private_key=self._certificate.key,
        )
        self.tickets = Tickets(self._where)
        #: Connections that have shown no ticket yet.
        self.strangers = 0

    async def listen(self, path: Path) -> None:
        """Take clients on the UDP port, and give tickets at ``path``. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        _, self._server = await loop.create_datagram_endpoint(
            lambda: _Server(self, self._configuration), local_addr=(self._host, self._port)
        )
        self.tickets.listen(path)
        self._timer = loop.call_later(_RENEW_S, self._renew)

    def close(self) -> None:
        """Take no more, and hang up."""
        self._timer.cancel()
        self.tickets.close()
        self._server.close()

    def admit(self, query: str) -> tuple[int, Client | None, socket.socket | None]:
        """The status of a request, and with 200 the client and its leash."""
        given = query.split("&")
        tickets = [each.removeprefix("ticket=") for each in given if each.startswith("ticket=")]
        leash = self.tickets.redeem(tickets[0]) if len(tickets) == 1 else None
        if leash is None:
            return 401, None, None
        try:
            client = self._admit(Filter.from_query("&".join(e for e in given if not e.startswith("ticket="))))
        except UsageError:
            leash.close()
            return 400, None, None
        if client is None:
            leash.close()
            return 503, None, None
        return 200, client, leash

    def _where(self) -> dict[str, Any]:
        return {"host": self._host, "port": self._port, "sha256": self._certificate.sha256}

    def _renew(self) -> None:
        """A certificate of its own for those who come from now on, before the one there is gets old."""
        now = datetime.now(UTC)
        if self._certificate.is_old(now):
            self._certificate = make_certificate(self._host, now)
            self._configuration.certificate = self._certificate.certificate
            self._configuration.private_key = self._certificate.key
        self._timer = asyncio.get_running_loop().call_later(_RENEW_S, self._renew)
