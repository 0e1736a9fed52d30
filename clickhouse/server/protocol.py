"""The wire: uvicorn's HTTP protocol on the strict parser httptools, with bounds on what arrives before it is believed.

Whatever the parser cannot tell apart for sure (two lengths, a length beside chunks, odd chunk sizes, an upgrade)
ends the connection, so nothing of one request is ever read as the next.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mevflow.clickhouse.server.services import FrontLimits


def bounded_protocol(limits: FrontLimits) -> type[HttpToolsProtocol]:
    """uvicorn's protocol class with ``limits``."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits})


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    limits: FrontLimits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._refused = False
        self._in_head = False
        self._in_message = False
        self._unaccounted = 0  # bytes since the last piece of a body: URL, headers, chunk sizes, trailers
        self._unread = 0
        self._arrived = 0
        self._waiting_to_leave = 0
        self._slow_before = False
        self._resumed = False
        self._watch = self.loop.call_later(self.limits.silence_s, self._check_progress)
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._arrived += len(data)
        self._unaccounted += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "an upgrade is not possible here")
        except httptools.HttpParserError:
            self._refuse(400, "this is not an HTTP request")
        if self._in_message and self._unaccounted > self.limits.head_bytes:
            self._refuse(431, "the request's URL and headers are too large")

    def resume_writing(self) -> None:
        self._resumed = True
        super().resume_writing()

    def on_message_begin(self) -> None:
        self._in_head = self._in_message = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.url_bytes:
            self._refuse(414, "the request's URL is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer says nothing that is heard
        super().on_header(name, value)
        if len(self.headers) > self.limits.headers:
            self._refuse(431, "the request has too many headers")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unread = 0
        if self._refused:
            return
        problem = _ambiguity(self.headers, self.parser.get_http_version())
        if self.parser.should_upgrade():
            problem = "an upgrade is not possible here"
        if problem:
            self._refuse(400, problem)
        elif len(self.pipeline) >= self.limits.pipelined:
            self._refuse(429, "too many requests at once on one connection")
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unaccounted = 0
        if self._refused:
            return
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > self.limits.unread_bytes:
                self._refused = True
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unaccounted = 0
        self._in_message = False
        if not self._refused:
            super().on_message_complete()

    def _refuse(self, status: int, why: str) -> None:
        """Say why, unless an answer is under way, and close."""
        if self._refused:
            return
        self._refused = True
        busy = self.cycle is not None and not self.cycle.response_complete
        if not (busy and self.cycle.response_started) and not self.transport.is_closing():
            text = why.encode() + b"\n"
            head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
            self.transport.write(STATUS_LINE[status] + head + text)
        if busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _check_progress(self) -> None:
        """End a connection whose sender or reader does not get on."""
        least = self.limits.silence_s * self.limits.slow_bytes_s
        waiting = self.transport.get_write_buffer_size()
        # While writing is paused nothing is added, so what waits grows less with every byte that leaves.
        stuck = waiting >= self._waiting_to_leave > 0 and not self._resumed
        self._resumed = False
        slow = self._in_message and not self.flow.read_paused and self._arrived < least
        silent = self.cycle is None and not self._in_message
        late, self._slow_before = slow and self._slow_before, slow
        self._waiting_to_leave, self._arrived = waiting, 0
        if stuck or late:
            self._refused = True
            self.transport.abort()
        elif silent:
            self.transport.close()
        else:
            self._watch = self.loop.call_later(self.limits.silence_s, self._check_progress)

    def _unsupported_upgrade_warning(self) -> None:
        """Said to the client instead."""


def _ambiguity(headers: list[tuple[bytes, bytes]], version: str) -> str:
    """Why a request could be read in two ways; empty when it could not."""
    counts: dict[bytes, list[Any]] = {}
    for name, value in headers:
        counts.setdefault(name, []).append(value)
    coding = counts.get(b"transfer-encoding", [])
    if coding and (len(coding) > 1 or coding[0].strip().lower() != b"chunked"):
        return "only the transfer encoding chunked is understood"
    if coding and (b"content-length" in counts or version == "1.0"):
        return "a length beside chunks"
    if len(counts.get(b"content-length", [])) > 1:
        return "more than one Content-Length"
    hosts = len(counts.get(b"host", []))
    return "one Host header is needed" if hosts > 1 or (version == "1.1" and not hosts) else ""
