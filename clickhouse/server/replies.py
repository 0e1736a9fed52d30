"""What leaves: answers as they are compressed for the client, and errors in the middle of them."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mevflow.clickhouse.server.engine import Counts


@dataclass
class Encoder:
    """A streaming compressor: ``name`` for Content-Encoding (empty: none)."""

    name: str
    feed: Callable[[bytes], bytes]
    finish: Callable[[], bytes]


def encoder(accepted: str, wanted: bool) -> Encoder:
    """The best codec of an Accept-Encoding header for loopback: lz4 before zstd before gzip and deflate."""
    names = {name.split(";")[0].strip().lower() for name in accepted.split(",")} if wanted else set()
    if "lz4" in names:
        import lz4.frame

        frame = lz4.frame.LZ4FrameCompressor()
        begun = frame.begin()
        head = [begun]

        def feed(piece: bytes) -> bytes:
            return (head.pop() if head else b"") + frame.compress(piece)

        return Encoder("lz4", feed, lambda: (head.pop() if head else b"") + frame.flush())
    if "zstd" in names:
        from backports.zstd import ZstdCompressor

        packer = ZstdCompressor(level=1)
        return Encoder("zstd", packer.compress, packer.flush)
    if "gzip" in names or "deflate" in names:
        gzip = "gzip" in names
        deflater = zlib.compressobj(3, zlib.DEFLATED, (16 if gzip else 0) + zlib.MAX_WBITS)
        return Encoder("gzip" if gzip else "deflate", deflater.compress, deflater.flush)
    return Encoder("", lambda piece: piece, lambda: b"")


def exception_block(tag: str, text: str) -> bytes:
    """What ends an answer in its middle: clients look for it by the tag that the answer's head names.

    The block's form is that of ClickHouse 25.11 and later.
    """
    message = text.encode("utf-8", "replace")
    return b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (
        tag.encode(), message, len(message) + 1, tag.encode()
    )  # fmt: skip


def gather(pieces: Iterator[bytes], most: float = math.inf, patience_s: float = math.inf) -> tuple[bytes, bool]:
    """What ``pieces`` give until it is more than ``most`` bytes or ``patience_s`` is over, and whether it is all."""
    taken = []
    size = 0
    begun = time.monotonic()
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > most or time.monotonic() - begun > patience_s:
            return b"".join(taken), False
    return b"".join(taken), True


def summary(counts: Counts) -> str:
    """The X-ClickHouse-Summary header; ClickHouse writes its numbers as text."""
    return json.dumps(
        {
            "read_rows": str(counts.read_rows),
            "read_bytes": str(counts.read_bytes),
            "written_rows": str(counts.written_rows),
            "written_bytes": str(counts.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(counts.result_rows or counts.written_rows),
            "result_bytes": str(counts.result_bytes or counts.written_bytes),
            "elapsed_ns": str(counts.elapsed_ns),
        },
        separators=(",", ":"),
    )
