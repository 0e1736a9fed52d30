"""What leaves: answers in HTTP chunks, compressed as the client accepts, and errors before or in the middle of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler


@dataclass
class Encoder:
    """A streaming compressor: ``name`` for Content-Encoding (empty: none)."""

    name: str
    feed: Callable[[bytes], bytes]
    finish: Callable[[], bytes]
    flush: Callable[[], bytes]


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

        return Encoder("lz4", feed, lambda: (head.pop() if head else b"") + frame.flush(), lambda: b"")
    if "zstd" in names:
        from backports.zstd import ZstdCompressor

        packer = ZstdCompressor(level=1)
        return Encoder("zstd", packer.compress, packer.flush, lambda: packer.flush(packer.FLUSH_BLOCK))
    if "gzip" in names or "deflate" in names:
        gzip = "gzip" in names
        deflater = zlib.compressobj(3, zlib.DEFLATED, (16 if gzip else 0) + zlib.MAX_WBITS)
        return Encoder(
            "gzip" if gzip else "deflate",
            deflater.compress,
            deflater.flush,
            lambda: deflater.flush(zlib.Z_SYNC_FLUSH),
        )
    return Encoder("", lambda piece: piece, lambda: b"", lambda: b"")


class ChunkWriter:
    """Writes an answer's body: sized when it is whole, in HTTP chunks otherwise."""

    def __init__(self, handler: BaseHTTPRequestHandler, codec: Encoder) -> None:
        self._out = handler.wfile
        self._codec = codec

    def write(self, piece: bytes) -> None:
        self._chunk(self._codec.feed(piece))

    def end(self) -> None:
        self._chunk(self._codec.finish())
        self._out.write(b"0\r\n\r\n")

    def fail(self, tag: str, text: str) -> None:
        """End in the middle: an exception block that clients look for, and no last chunk, so that all others notice.

        The block's form is that of ClickHouse 25.11 and later.
        """
        message = text.encode()
        block = b"__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (
            tag.encode(), message, len(message) + 1, tag.encode()
        )  # fmt: skip
        self._chunk(self._codec.feed(b"\r\n" + block) + self._codec.finish())

    def _chunk(self, data: bytes) -> None:
        if data:
            self._out.write(b"%x\r\n" % len(data))
            self._out.write(data)
            self._out.write(b"\r\n")


def gather(pieces: Iterator[bytes], most: int) -> tuple[bytes, bool]:
    """Up to ``most`` bytes from ``pieces``, and whether that was all. Nothing is sent while an error may still come."""
    taken = []
    size = 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > most:
            return b"".join(taken), False
    return b"".join(taken), True
