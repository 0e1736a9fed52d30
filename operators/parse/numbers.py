"""Numbers and keys as recorded files write them, checked."""

from __future__ import annotations

import re
from functools import lru_cache

import base58

from mevflow.operators.parse.errors import ParseError

_DIGITS = re.compile(r"[0-9]{1,39}")
MAX_U64 = (1 << 64) - 1
MAX_U128 = (1 << 128) - 1


def amount(text: str, limit: int = MAX_U64) -> int:
    """A decimal amount in [0, limit]. Raises ParseError."""
    if not _DIGITS.fullmatch(text) or (number := int(text)) > limit:
        raise ParseError(f"{text[:60]!r} is not an amount up to {limit}")
    return number


def net_liquidity(text: str) -> int:
    """A decimal signed liquidity of up to 128 bits. Raises ParseError."""
    return -amount(text[1:], MAX_U128 >> 1) if text.startswith("-") else amount(text, MAX_U128 >> 1)


@lru_cache(maxsize=1 << 14)
def public_key(text: str) -> bytes:
    """The 32 bytes of a base58 public key. Raises ParseError."""
    return _base58(text, 32)


def signature(text: str) -> bytes:
    """The 64 bytes of a base58 signature. Raises ParseError."""
    return _base58(text, 64)


def _base58(text: str, length: int) -> bytes:
    # 64 bytes take 88 characters at most; decoding is quadratic, so nothing longer is looked at.
    if len(text) > 88:
        raise ParseError(f"{text[:20]!r}… is too long for {length} bytes of base58")
    try:
        raw = base58.b58decode(text)
    except ValueError as wrong:
        raise ParseError(f"{text!r} is not base58") from wrong
    if len(raw) != length:
        raise ParseError(f"{text!r} is {len(raw)} bytes of base58, not {length}")
    return raw
