"""The reading side of ``bench websocket`` over WebTransport: one client of aioquic in a process of its own."""

from __future__ import annotations

import asyncio
import ssl
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent

from mevflow.bench.peers.websocket_clients import COLUMNS, BatchCounter, walk
from mevflow.sinks.websocket.hub.tickets import ask_ticket

_LENGTH = struct.Struct(">I")


class _Reader(QuicConnectionProtocol):
    """Asks for a session once it is connected, and counts the hub's records."""

    def __init__(self, *given: Any, path: str, row: np.ndarray, **named: Any) -> None:
        super().__init__(*given, **named)
        self._path, self._batches = path, BatchCounter(row, frozenset())
        self._http: H3Connection | None = None
        self._data = bytearray()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic, enable_webtransport=True)
            asked = {":method": "CONNECT", ":scheme": "https", ":authority": "hub", ":path": self._path}
            headers = {**asked, ":protocol": "webtransport"}
            session = self._quic.get_next_available_stream_id()
            self._http.send_headers(session, [(name.encode(), value.encode()) for name, value in headers.items()])
        for each in self._http.handle_event(event) if self._http is not None else ():
            if isinstance(each, WebTransportStreamDataReceived):
                self._data += each.data
                self._count()

    def _count(self) -> None:
        at = 0
        while len(self._data) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._data, at)[0]
            if end > len(self._data):
                break
            self._batches.add(self._data[at + _LENGTH.size : end])
            at = end
        del self._data[:at]


def read(tickets: list[str], filters: Any, enveloped: bool, shared: Any, ended: Any) -> None:
    """Entry point of the process: connect with a ticket of the hub at ``tickets[0]``; count until ``ended`` is set."""
    row = np.frombuffer(shared, np.int64).reshape(-1, COLUMNS)[0]
    walk(np.zeros(0, np.uint8))
    told, leash = ask_ticket(Path(tickets[0]), 10.0)
    with leash:
        asyncio.run(_read(told, row, ended))


async def _read(told: dict[str, Any], row: np.ndarray, ended: Any) -> None:
    how = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, max_datagram_frame_size=1 << 16)
    how.verify_mode = ssl.CERT_NONE
    reader = partial(_Reader, path=f"/wt?ticket={told['ticket']}&channels=swaps", row=row)
    async with connect(told["host"], told["port"], configuration=how, create_protocol=reader):
        while not ended.is_set():
            await asyncio.sleep(0.05)
