"""A client over WebTransport, by aioquic: it shows a ticket, reads records, says what it wants."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
from contextlib import asynccontextmanager

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated
from cryptography.hazmat.primitives.serialization import Encoding

from tests.sinks.websocket.hub.live import Taken

LENGTH = struct.Struct(">I")
PATIENCE_S = 120


class Visitor(QuicConnectionProtocol):
    """``taken``: what came. ``farewell``: the code and the reason with which the hub ended the session."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.taken, self.status, self.farewell, self.deaf = Taken(), None, None, False
        self._http = self._session = self._own = None
        self._data, self._came = bytearray(), asyncio.Event()

    def datagram_received(self, data, addr):
        if not self.deaf:
            super().datagram_received(data, addr)

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic, enable_webtransport=True)
        for each in self._http.handle_event(event) if self._http else ():
            if isinstance(each, HeadersReceived):
                self.status = int(dict(each.headers)[b":status"])
            elif isinstance(each, WebTransportStreamDataReceived):
                self._data += each.data
                self._read()
            elif isinstance(each, DataReceived) and each.data:
                capsule = each.data[3:] if each.data[2] < 0x40 else each.data[4:]
                self.farewell = (LENGTH.unpack_from(capsule)[0], capsule[4:].decode())
        if isinstance(event, ConnectionTerminated):
            self.status = self.status or -1
        self._came.set()

    def _read(self):
        while len(self._data) >= 4 and len(self._data) >= (end := 4 + LENGTH.unpack_from(self._data)[0]):
            self.taken.add(bytes(self._data[4:end]))
            del self._data[:end]

    async def until(self, done):
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                self._came.clear()
                await self._came.wait()

    async def enter(self, path):
        """Ask for a session; the status of the answer."""
        self._session = self._quic.get_next_available_stream_id()
        asked = {
            ":method": "CONNECT",
            ":scheme": "https",
            ":authority": "h",
            ":path": path,
            ":protocol": "webtransport",
        }
        self._http.send_headers(self._session, [(name.encode(), value.encode()) for name, value in asked.items()])
        self.transmit()
        await self.until(lambda: self.status is not None)
        return self.status

    def say(self, data):
        """One record on the visitor's own stream."""
        if self._own is None:
            self._own = self._http.create_webtransport_stream(self._session or 0, is_unidirectional=True)
        self._quic.send_stream_data(self._own, LENGTH.pack(len(data)) + data)
        self.transmit()

    def certificate(self):
        """The hash of the hub's certificate."""
        return hashlib.sha256(self._quic.tls._peer_certificate.public_bytes(Encoding.DER)).hexdigest()


@asynccontextmanager
async def visit(port):
    """A connection to a hub; it has shown no ticket yet."""
    how = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, max_datagram_frame_size=1 << 16)
    how.verify_mode = ssl.CERT_NONE
    async with connect("127.0.0.1", port, configuration=how, create_protocol=Visitor) as visitor:
        yield visitor
