"""How far a batch on a topic reaches, from its header alone: to go on past one that cannot be unpacked.

librdkafka says that a batch is bad and fetches it again for ever; its records' offsets stand in the header, which is
not compressed. One Fetch request (version 4 of the protocol, which every broker since 0.11 answers) brings it.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_ANSWER_S = 5.0
_FETCH, _VERSION, _CORRELATION = 1, 4, 7
_HEADER_BYTES = 61
#: Most that is read of an answer before the header: topic, watermarks and aborted transactions.
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Extent:
    """First and last offset of a batch, and the greatest time of its records (milliseconds)."""

    first: int
    last: int
    time_ms: int


def extent(host: str, port: int, topic: str, partition: int, offset: int) -> Extent | None:
    """The batch that holds ``offset``, asked of the partition's leader; None when it does not say."""
    name = topic.encode()
    body = struct.pack(">iiiib", -1, 100, 1, 1, 0)
    body += struct.pack(f">ih{len(name)}s", 1, len(name), name) + struct.pack(">iiqi", 1, partition, offset, 1)
    client = b"mevflow"
    head = struct.pack(f">hhih{len(client)}s", _FETCH, _VERSION, _CORRELATION, len(client), client)
    try:
        with socket.create_connection((host, port), _ANSWER_S) as connection:
            connection.settimeout(_ANSWER_S)
            connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
            return _read(_Answer(connection), len(name))
    except (OSError, struct.error, EOFError):
        return None


class _Answer:
    """Reads big-endian numbers off a connection, a bounded number of bytes in all."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._left = connection, _MOST_BYTES

    def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises EOFError."""
        self._left -= size
        if size < 0 or self._left < 0:
            raise EOFError
        found = b""
        while len(found) < size:
            part = self._connection.recv(size - len(found))
            if not part:
                raise EOFError
            found += part
        return found

    def numbers(self, kinds: str) -> tuple[int, ...]:
        """Numbers by the letters of ``struct``."""
        layout = struct.Struct(f">{kinds}")
        return layout.unpack(self.take(layout.size))


def _read(answer: _Answer, name_bytes: int) -> Extent | None:
    """Raises EOFError for an answer that is too short or not as expected."""
    answer.numbers("iiii")  # size, correlation, throttling, one topic
    answer.take(2 + name_bytes)
    _, _, error, _, _, aborted = answer.numbers("iihqqi")
    if error:
        return None
    if aborted > 0:
        answer.take(16 * aborted)
    (size,) = answer.numbers("i")
    if size < _HEADER_BYTES:
        return None
    first, _, _, magic, _, _, last_delta, _, time_ms = answer.numbers("qiibIhiqq")
    return Extent(first, first + last_delta, time_ms) if magic == 2 else None
