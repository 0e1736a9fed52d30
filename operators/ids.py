"""Deterministic 128-bit identifiers: the same parts give the same id in a rerun, a recovery or a replay.

Every part is written as one kind byte, its length (u32, little-endian) and its bytes, so that no two lists of
parts share an encoding: ``("ab", "c")`` and ``("a", "bc")`` differ, and so do ``1``, ``"1"`` and ``b"1"``.
The hash is XXH3-128 with seed 0. It spreads well and is fast; it does not resist somebody who picks inputs
to collide, and no id is a secret.
"""

from __future__ import annotations

import xxhash

#: Bytes of an id.
ID_BYTES = 16
#: Kind and length of a short integer, by its length.
_INTEGER = [b"i" + size.to_bytes(4, "little") for size in range(33)]


def canonical(*parts: bytes | str | int) -> bytes:
    """The unambiguous encoding of ``parts`` that ids are hashes of.

    Integers of any size are signed little-endian in as few whole bytes as hold them; text is UTF-8.

    >>> canonical("a", 1).hex()
    '730100000061690100000001'
    """
    out = b""
    for part in parts:
        if isinstance(part, int):
            size = part.bit_length() // 8 + 1
            head = _INTEGER[size] if size < len(_INTEGER) else b"i" + size.to_bytes(4, "little")
            out += head + int(part).to_bytes(size, "little", signed=True)
        elif isinstance(part, bytes):
            out += b"b" + len(part).to_bytes(4, "little") + part
        elif isinstance(part, str):
            raw = part.encode()
            out += b"s" + len(raw).to_bytes(4, "little") + raw
        else:
            raise TypeError(f"an id part is bytes, str or int, not {type(part).__name__}")
    return out


def stable_id(*parts: bytes | str | int) -> bytes:
    """The 16-byte id of ``parts``, big-endian as XXH3 prints it.

    >>> stable_id("opportunity", 1, b"pool").hex()
    'a7cbc94d4f2882bd6537424d6c0e0b05'
    """
    return xxhash.xxh3_128_digest(canonical(*parts))
