"""A block's logs bloom: may it hold a log with one of these topics? (Ethereum yellow paper, 4.3.1.)"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from Crypto.Hash import keccak


@lru_cache(1 << 16)
def bits_of(value: bytes) -> int:
    """The three bits of 2,048 that an address or a topic sets."""
    digest = keccak.new(digest_bits=256, data=value).digest()
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits


def may_hold(bloom: int, values: Iterable[int]) -> bool:
    """Whether any of ``values`` (:func:`bits_of`) may be in the block; never False when one is."""
    return any(bloom & value == value for value in values)
