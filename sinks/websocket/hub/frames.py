"""The bytes that clients get: bodies built once and shared, and the few bytes before them that are a client's own.

A WebSocket message is one ``RealtimeBatch``. Protobuf fields may come in any order, so a frame is the client's
``sequence``, ``dropped`` and ``dropped_total`` followed by a body of ``messages`` that every client of the same filter
shares. The client's part is written into free space before the body, just before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

#: Free bytes before a body: 14 for the WebSocket header, three tags with varints of at most 10 bytes.
HEADROOM = 64

_SEQUENCE, _DROPPED, _DROPPED_TOTAL = b"\x08", b"\x18", b"\x20"


@dataclass(frozen=True, slots=True)
class Body:
    """``count`` messages after HEADROOM free bytes. ``size`` is that of the messages."""

    buffer: bytearray
    count: int

    @property
    def size(self) -> int:
        return len(self.buffer) - HEADROOM

    def head(self, sequence: int, dropped: int, dropped_total: int) -> int:
        """Write a client's own fields right before the messages; gives where the message starts."""
        own = _SEQUENCE + varint(sequence)
        if dropped:
            own += _DROPPED + varint(dropped)
        if dropped_total:
            own += _DROPPED_TOTAL + varint(dropped_total)
        start = HEADROOM - len(own)
        self.buffer[start:HEADROOM] = own
        return start


def varint(number: int) -> bytes:
    """A protobuf varint of a number of at most 64 bits."""
    if number < 0x80:
        return number.to_bytes(1, "little")
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def bodies(frames: pa.BinaryArray, max_messages: int, max_bytes: int) -> Iterator[Body]:
    """Cut rows of ``wire.SCHEMA``'s ``frame`` into bodies of at most that many messages and bytes.

    A single message larger than ``max_bytes`` gets a body of its own.
    """
    count = len(frames)
    if not count:
        return
    _, offset_buffer, data = frames.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[frames.offset : frames.offset + count + 1]
    view = memoryview(data)
    start = 0
    while start < count:
        reach = int(np.searchsorted(offsets, offsets[start] + max_bytes, side="right")) - 1
        end = max(min(start + max_messages, reach, count), start + 1)
        buffer = bytearray(HEADROOM)
        buffer += view[offsets[start] : offsets[end]]
        yield Body(buffer, end - start)
        start = end


def greeting() -> Body:
    """A body without messages: the hub's word that a subscription is in force, or news of a gap."""
    return Body(bytearray(HEADROOM), 0)
