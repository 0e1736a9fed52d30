"""Addresses as people write them: base58 (Solana) or 0x and hex (EVM chains).

Decoding base58 takes time by the square of its length, so a text is measured first.
"""

from __future__ import annotations

import base58

#: Bytes of the longest address or key that there is; a signature has 64 too.
MAX_BYTES = 64


def decode_base58(text: str, most: int = MAX_BYTES) -> bytes:
    """The bytes of a base58 text. Raises ValueError when it is none, or stands for more than ``most`` bytes.

    >>> decode_base58("11")
    b'\\x00\\x00'
    """
    # A byte takes 1.37 characters; a leading zero byte takes one.
    if len(text) > most * 7 // 5 + 1:
        raise ValueError(f"{len(text):,} characters of base58; at most {most} bytes")
    return base58.b58decode(text)


def address(text: str) -> bytes:
    """The bytes of a base58 or 0x-hex address. Raises ValueError."""
    if text[:2] in ("0x", "0X"):
        if len(text) > 2 * MAX_BYTES + 2:
            raise ValueError(f"{len(text):,} characters of hex; at most {MAX_BYTES} bytes")
        return bytes.fromhex(text[2:])
    return decode_base58(text)
