"""What arrives compressed: undone piece by piece, within a bound on what it may become."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from mevflow.clickhouse.server.errors import BAD_ARGUMENTS, INCORRECT_DATA, QUERY_IS_TOO_LARGE, refuse

#: Bytes that a decoder gives at a time: what a body of any kind costs in memory.
PIECE_BYTES = 1 << 20
#: What a decoder is given at a time.
_FED_BYTES = 8 << 10
#: As many bytes back a zstd frame may refer (RFC 9659: 2**23), which its decoder holds in memory.
_ZSTD_WINDOW_LOG = 23
#: A body may become so many times its own size, and in any case so many bytes.
MOST_EXPANSION = 250
FREE_BYTES = 64 << 20
#: A body may have so many frames in any case, and one for so many of its bytes: each has its price.
FREE_FRAMES = 10_000
FRAME_BYTES = 256


class Decoder(Protocol):
    """Undoes one frame, at most ``most`` bytes at a time."""

    @property
    def ended(self) -> bool: ...

    @property
    def left(self) -> bytes:
        """After the end: what follows the frame."""

    def feed(self, data: bytes, most: int) -> Iterator[bytes]: ...


def bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The same pieces; raises ServerError (HTTP 413) once there are more than ``most`` bytes."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise refuse(QUERY_IS_TOO_LARGE, f"the request body has more than {most} bytes, the limit of this server")
        yield piece


def expansion_limit(packed_bytes: int, most: int) -> int:
    """How many bytes a body of ``packed_bytes`` may become; ``most`` is the limit for any body."""
    return min(most, FREE_BYTES + MOST_EXPANSION * packed_bytes)


def decompressed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a Content-Encoding: gzip, deflate, lz4, zstd or none. Raises ServerError for any other body."""
    if encoding in ("", "identity"):
        yield from pieces
        return
    make, failures = _decoder(encoding)
    current: Decoder | None = None
    frames = taken = 0
    for piece in _cut(pieces):
        taken += len(piece)
        while piece:
            # Frames may follow each other in one body.
            if current is None or current.ended:
                current = make()
                frames += 1
            if frames > FREE_FRAMES + taken // FRAME_BYTES:
                raise refuse(INCORRECT_DATA, f"the request body has {frames} frames in {taken} bytes of {encoding}")
            try:
                yield from current.feed(piece, PIECE_BYTES)
            except failures as error:
                raise refuse(INCORRECT_DATA, f"the request body is not valid {encoding}: {error}") from None
            piece = current.left if current.ended else b""
    if current is not None and not current.ended:
        raise refuse(INCORRECT_DATA, f"the request body ends in the middle of its {encoding} data")


def _cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in small pieces: what follows a frame is handed over again, and a frame may be short."""
    for piece in pieces:
        for start in range(0, len(piece), _FED_BYTES):
            yield piece[start : start + _FED_BYTES]


def _decoder(encoding: str) -> tuple[Callable[[], Decoder], tuple[type[Exception], ...]]:
    """What makes a decoder of one frame, and what it raises."""
    if encoding in ("gzip", "deflate"):
        return _Zlib, (zlib.error,)
    if encoding == "lz4":
        import lz4.frame

        return lambda: _Frame(lz4.frame.LZ4FrameDecompressor()), (RuntimeError,)
    if encoding == "zstd":
        from backports import zstd

        options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
        return lambda: _Frame(zstd.ZstdDecompressor(options=options)), (zstd.ZstdError,)
    raise refuse(
        BAD_ARGUMENTS,
        f"Content-Encoding {encoding!r} is not supported by the embedded server (gzip, deflate, lz4 and zstd are)",
    )


class _Zlib:
    """gzip and deflate."""

    def __init__(self) -> None:
        # 32 + window: zlib tells gzip and zlib headers apart by itself.
        self._raw = zlib.decompressobj(32 + zlib.MAX_WBITS)

    @property
    def ended(self) -> bool:
        return self._raw.eof

    @property
    def left(self) -> bytes:
        return self._raw.unused_data

    def feed(self, data: bytes, most: int) -> Iterator[bytes]:
        while True:
            out = self._raw.decompress(data, most)
            if out:
                yield out
            data = self._raw.unconsumed_tail
            if self._raw.eof or (not data and len(out) < most):
                return


class _Frame:
    """lz4 and zstd, whose decoders share one interface."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    @property
    def ended(self) -> bool:
        return bool(self._raw.eof)

    @property
    def left(self) -> bytes:
        return self._raw.unused_data or b""

    def feed(self, data: bytes, most: int) -> Iterator[bytes]:
        while True:
            out = self._raw.decompress(data, most)
            if out:
                yield out
            if self._raw.eof or self._raw.needs_input:
                return
            data = b""
