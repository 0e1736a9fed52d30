"""What a shard and the hub say to each other over a Unix-domain socket.

A record is ``<u32 length of the payload> <u8 kind> payload``, little-endian. A feed says HELLO once and then sends
BLOCKs; ``mevflow hub`` sends STATUS or STOP and reads one answer. A block is

    <u64 messages that the feed had to drop since its last block> <u16 length> channel <Arrow record batch>

with the columns of :data:`SCHEMA`. ``frame`` holds one serialized ``RealtimeBatch`` of a single message a row: any
concatenation of rows is again a valid ``RealtimeBatch``, so the hub never parses a message to send it on.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import pyarrow as pa

from mevflow.operators.errors import MevflowError

SCHEMA = pa.schema([pa.field("frame", pa.binary()), pa.field("pools", pa.list_(pa.binary()))])

RECORD = struct.Struct("<IB")
_BLOCK = struct.Struct("<QH")

#: No block is larger than this: a length beyond it means that the other side is no feed.
MAX_RECORD_BYTES = 256 << 20


class Kind(IntEnum):
    """What a record is."""

    HELLO = 0  # JSON: who feeds
    BLOCK = 1
    STATUS = 2  # answered with STATUS, JSON
    STOP = 3  # answered with STOP when the hub is about to end


@dataclass(frozen=True, slots=True)
class FeedBlock:
    """Messages of one channel as they reach the hub. ``lost`` were dropped by the feed before them."""

    channel: str
    rows: pa.RecordBatch
    lost: int = 0


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    """A whole record."""
    return RECORD.pack(len(payload), kind) + payload


def pack_block(block: FeedBlock) -> bytes:
    """A BLOCK record."""
    name = block.channel.encode()
    rows = block.rows.serialize()
    size = _BLOCK.size + len(name) + rows.size
    return b"".join((RECORD.pack(size, Kind.BLOCK), _BLOCK.pack(block.lost, len(name)), name, rows))


def unpack_block(payload: bytes) -> FeedBlock:
    """Read a BLOCK's payload; the rows refer to it.

    Raises ValueError, EOFError, OSError, struct.error or pyarrow.ArrowException when it is none.
    """
    lost, length = _BLOCK.unpack_from(payload)
    start = _BLOCK.size + length
    message = pa.py_buffer(payload).slice(start)
    return FeedBlock(payload[_BLOCK.size : start].decode(), pa.ipc.read_record_batch(message, SCHEMA), lost)


def socket_path(port: int) -> Path:
    """Where the hub of ``port`` listens for feeds: a folder that only this user may enter.

    Raises MevflowError when the folder belongs to someone else.
    """
    home = Path(tempfile.gettempdir()) / f"mevflow-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise MevflowError(
            "the folder of the hub's socket is not this user's alone",
            hint="remove it, or set TMPDIR to a folder of your own",
            file=str(home),
        )
    return home / f"hub-{port}.sock"


def door_path(path: Path) -> Path:
    """Where the hub of the feeds' socket ``path`` takes clients that the gateway hands over."""
    return path.with_suffix(".door")


def ticket_path(path: Path) -> Path:
    """Where the hub of the feeds' socket ``path`` gives tickets for WebTransport."""
    return path.with_suffix(".tickets")


def guarded(path: Path) -> bool:
    """Whether clients of the hub of ``path`` come through the gateway alone."""
    return _mark(path).exists()


def guard(path: Path, on: bool) -> None:
    """Let clients in through the gateway alone (``on``), or through the hub's own port too.

    A file beside the socket says so: it holds for the hub there is and for every later one, whoever starts it.
    """
    if on:
        _mark(path).touch(0o600)
    else:
        _mark(path).unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_suffix(".guarded")


def dial(path: Path, seconds: float, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """Connect to a hub; with 0 ``seconds`` nothing ever waits. Raises OSError when none listens."""
    connection = socket.socket(socket.AF_UNIX, kind)
    connection.settimeout(seconds)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def ask(path: Path, kind: Kind, seconds: float) -> Any:
    """Send one record and give its answer's JSON. Raises OSError when no hub answers in time."""
    import msgspec

    with dial(path, seconds) as connection, connection.makefile("rb") as reader:
        connection.sendall(pack(kind))
        header = reader.read(RECORD.size)
        if len(header) < RECORD.size:
            raise ConnectionError("the hub closed the connection")
        length, _ = RECORD.unpack(header)
        return msgspec.json.decode(reader.read(length))
