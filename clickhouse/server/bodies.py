"""What arrives: request bodies, chunked or sized, plain or compressed, read as a stream of bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from typing import Any

from mevflow.clickhouse.server.errors import BAD_ARGUMENTS, INCORRECT_DATA, QUERY_IS_TOO_LARGE, refuse

#: Bytes read from the socket at a time.
CHUNK_BYTES = 4 << 20


def sized(stream: BufferedIOBase, length: int) -> Iterator[bytes]:
    """A body with a Content-Length."""
    left = length
    while left:
        piece = stream.read(min(left, CHUNK_BYTES))
        if not piece:
            raise refuse(INCORRECT_DATA, f"the request body ended {left} bytes early")
        left -= len(piece)
        yield piece


def chunked(stream: BufferedIOBase) -> Iterator[bytes]:
    """A body in HTTP chunks, to the end of its trailers."""
    while True:
        line = stream.readline(1024)
        try:
            size = int(line.split(b";", 1)[0], 16)
        except ValueError:
            raise refuse(INCORRECT_DATA, "the request body is not chunked as its headers say") from None
        if size < 0:
            raise refuse(INCORRECT_DATA, "the request body is not chunked as its headers say")
        if size == 0:
            while stream.readline(65536) not in (b"\r\n", b"\n", b""):
                pass
            return
        yield from sized(stream, size)
        stream.readline(16)


def bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The same pieces; raises ServerError (HTTP 413) once there are more than ``most`` bytes."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise refuse(QUERY_IS_TOO_LARGE, f"the request body has more than {most} bytes, the limit of this server")
        yield piece


def decompressed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a Content-Encoding: gzip, deflate, lz4, zstd or none. Raises ServerError for any other body."""
    if encoding in ("", "identity"):
        yield from pieces
        return
    make, failures = _decoder(encoding)
    current = None
    for piece in pieces:
        while piece:
            # Frames may follow each other in one body.
            if current is None or current.eof:
                current = make()
            try:
                out = current.decompress(piece)
            except failures as error:
                raise refuse(INCORRECT_DATA, f"the request body is not valid {encoding}: {error}") from None
            piece = (current.unused_data or b"") if current.eof else b""
            if out:
                yield out
    if current is not None and not current.eof:
        raise refuse(INCORRECT_DATA, f"the request body ends in the middle of its {encoding} data")


def _decoder(encoding: str) -> tuple[Callable[[], Any], type[Exception]]:
    """What makes a decoder of one frame, and what it raises."""
    if encoding in ("gzip", "deflate"):
        # 32 + window: zlib tells gzip and zlib headers apart by itself.
        return lambda: zlib.decompressobj(32 + zlib.MAX_WBITS), zlib.error
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameDecompressor, RuntimeError
    if encoding == "zstd":
        from backports import zstd

        return zstd.ZstdDecompressor, zstd.ZstdError
    raise refuse(
        BAD_ARGUMENTS,
        f"Content-Encoding {encoding!r} is not supported by the embedded server (gzip, deflate, lz4 and zstd are)",
    )
