"""Addresses that a program derives from seeds: hashes that are no point of the curve, so that nobody has their key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


@lru_cache(maxsize=1 << 14)
def derived_address(seeds: tuple[bytes, ...], program: bytes) -> bytes:
    """The program's address for these seeds: the first of bumps 255, 254 … that is no point of the curve.

    >>> import base58
    >>> program = base58.b58decode("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc")
    >>> pool = base58.b58decode("HJPjoWUrhoZzkNfRpHuieeFk9WcZWjwy6PBjZ81ngndJ")
    >>> base58.b58encode(derived_address((b"tick_array", pool, b"-5632"), program)).decode()
    '9K1HWrGKZKfjTnKfF621BmEQdai4FcUz9tsoF41jwz5B'
    """
    return next(found for bump in range(255, -1, -1) if not _on_curve(found := _hashed(seeds, bump, program)))


def _hashed(seeds: Sequence[bytes], bump: int, program: bytes) -> bytes:
    return sha256(b"".join((*seeds, bytes([bump]), program, b"ProgramDerivedAddress"))).digest()


def _on_curve(point: bytes) -> bool:
    """Whether 32 bytes are a compressed point of Ed25519: x² = (y² - 1) / (d·y² + 1) has a root."""
    y = int.from_bytes(point, "little") & ((1 << 255) - 1)
    square = y * y % _P
    x2 = (square - 1) * pow(_D * square + 1, -1, _P) % _P
    return x2 == 0 or pow(x2, (_P - 1) // 2, _P) == 1
