"""The load generator of ``bench control``: raw sockets and ``select``, in a process of its own.

``select`` waits to the microsecond, which neither ``epoll`` nor the event loops' timers do. HTTP/1.1 and HTTP/2 are
written and read as bytes, as little as it takes for one kind of call, so that what is measured is the service: a
call costs this process some 30 µs. Python, and nothing but its standard library.

A call's time runs from when it was due (open loop) or sent (closed loop) to its last byte.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import ssl
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1


@dataclass(frozen=True)
class LoadJob:
    """``kind``: grpc or http. ``rate`` 0: closed loop, each caller calls again when it is answered."""

    kind: str
    host: str
    port: int
    token: str
    callers: int
    rate: int
    seconds: float
    ca_file: str = ""


class LoadCaller:
    """One connection, one call after the other; calls that are due while one is under way wait."""

    def __init__(self, job: LoadJob) -> None:
        self._tls = bool(job.ca_file)
        plain = socket.create_connection((job.host, job.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain
        if self._tls:
            context = ssl.create_default_context(cafile=job.ca_file)
            context.set_alpn_protocols(["h2" if job.kind == "grpc" else "http/1.1"])
            self.socket = context.wrap_socket(plain, server_hostname=job.host)
        self.socket.setblocking(False)
        self.waiting: deque[float] = deque()
        self.busy_since: float | None = None
        self._received = bytearray()

    def due(self, at: float) -> None:
        """A call is due; it is sent now unless one is under way."""
        if self.busy_since is None:
            self.busy_since = at
            self.socket.sendall(self.request())
        else:
            self.waiting.append(at)

    def readable(self) -> float | None:
        """Read what came. When that ends a call: when the call was due."""
        while True:
            try:
                data = self.socket.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                break
            if not data:
                raise ConnectionError("the service closed the connection")
            self._received += data
            if not self._tls:
                break
        if not self.take(self._received):
            return None
        since, self.busy_since = self.busy_since, None
        if self.waiting:
            self.due(self.waiting.popleft())
        return since

    def request(self) -> bytes:
        """The bytes of the next call."""
        raise NotImplementedError

    def take(self, received: bytearray) -> bool:
        """Take what is whole; whether the call has ended. Raises RuntimeError when it was refused."""
        raise NotImplementedError


class HttpCaller(LoadCaller):
    """``GET /api/control/status``."""

    def __init__(self, job: LoadJob) -> None:
        super().__init__(job)
        self._request = (
            f"GET /api/control/status HTTP/1.1\r\nhost: {job.host}:{job.port}\r\n"
            f"authorization: Bearer {job.token}\r\n\r\n"
        ).encode()

    def request(self) -> bytes:
        return self._request

    def take(self, received: bytearray) -> bool:
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(received[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        at = head.index(b"content-length:") + 15
        size = int(head[at:].partition(b"\r\n")[0])
        if len(received) < end + 4 + size:
            return False
        del received[: end + 4 + size]
        return True


class GrpcCaller(LoadCaller):
    """``mevflow.v1.Control/Status``, its headers in HPACK's dynamic table after the first call, as clients do it."""

    def __init__(self, job: LoadJob) -> None:
        super().__init__(job)
        settings = struct.pack("!HIHI", 2, 0, 4, (1 << 31) - 1)  # no push; streams may send as much as they like
        window = struct.pack("!I", (1 << 31) - 1 - 65535)
        self.socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, window))
        self._next = 1
        self._answered = False
        fixed = b"\x83" + (b"\x87" if job.ca_file else b"\x86")  # :method POST, :scheme
        self._first = fixed + b"".join(
            (
                b"\x44" + _text(b"/mevflow.v1.Control/Status"),
                b"\x41" + _text(f"{job.host}:{job.port}".encode()),
                b"\x40" + _text(b"te") + _text(b"trailers"),
                b"\x5f" + _text(b"application/grpc"),
                b"\x40" + _text(b"authorization") + _text(f"Bearer {job.token}".encode()),
            )
        )
        self._later = fixed + bytes(0x80 | index for index in (66, 65, 64, 63, 62))

    def request(self) -> bytes:
        headers = self._first if self._next == 1 else self._later
        stream, self._next = self._next, self._next + 2
        self._answered = False
        return _frame(_HEADERS, _END_HEADERS, stream, headers) + _frame(_DATA, _END_STREAM, stream, bytes(5))

    def take(self, received: bytearray) -> bool:
        ended = False
        while len(received) >= 9:
            size = int.from_bytes(received[:3], "big")
            if len(received) < 9 + size:
                break
            kind, flags = received[3], received[4]
            body = bytes(received[9 : 9 + size])
            del received[: 9 + size]
            if kind == _DATA:
                self._answered = True
            elif kind == _HEADERS and flags & _END_STREAM:
                if not self._answered:
                    raise RuntimeError(f"the call was refused: {body!r}")
                ended = True
            elif kind == _SETTINGS and not flags & _ACK:
                self.socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _PING and not flags & _ACK:
                self.socket.sendall(_frame(_PING, _ACK, 0, body))
            elif kind in (_GOAWAY, _RESET):
                raise RuntimeError(f"the service ended the connection: {body!r}")
        return ended


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _text(value: bytes) -> bytes:
    """A string literal of HPACK, as it is."""
    size = len(value)
    if size < 127:
        return bytes((size,)) + value
    head, size = bytearray((127,)), size - 127
    while size >= 128:
        head.append(size % 128 + 128)
        size //= 128
    return bytes((*head, size)) + value


def drive(job: LoadJob) -> dict[str, Any]:
    """Call for so long; ``took_ms`` of every call, ``calls_per_s``, ``cpu`` (of one core) of this process."""
    make = GrpcCaller if job.kind == "grpc" else HttpCaller
    callers = [make(job) for _ in range(job.callers)]
    for caller in callers:  # each connection's first call is not measured
        caller.due(time.perf_counter())
        while caller.readable() is None:
            select.select((caller.socket,), (), (), 1.0)
    by_socket = {caller.socket: caller for caller in callers}
    sockets = list(by_socket)
    took: list[float] = []
    usage = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    end = began + job.seconds
    sent, total = 0, int(job.rate * job.seconds)
    if not job.rate:
        for caller in callers:
            caller.due(began)
    while True:
        now = time.perf_counter()
        if job.rate:
            while sent < total and began + sent / job.rate <= now:
                callers[sent % job.callers].due(began + sent / job.rate)
                sent += 1
            if len(took) == total or now > end + 30.0:
                break
            wait = began + sent / job.rate - time.perf_counter() if sent < total else 0.1
        else:
            if now > end:
                break
            wait = 0.1
        for ready in select.select(sockets, (), (), max(0.0, wait))[0]:
            since = by_socket[ready].readable()
            if since is not None:
                now = time.perf_counter()
                took.append(1000 * (now - since))
                if not job.rate:
                    by_socket[ready].due(now)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = (after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime) / seconds
    if job.rate and len(took) < total:
        raise RuntimeError(f"{total - len(took)} of {total} calls were not answered")
    return {"took_ms": took, "calls_per_s": len(took) / seconds, "cpu": cpu}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(drive(LoadJob(**json.loads(line)))), flush=True)
