"""Inputs from a seed: valid ones that are damaged, and random ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

_ODD_NUMBERS = (b"0", b"-1", b"1e-3000000", b"9" * 400, b"18446744073709551616", b"NaN", b"1_0", b"0x10")
_ODD_BYTES = (
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"%00",
    b"\r\n",
    b"'",
    b'"',
    b"`",
)
MAX_BYTES = 20_000


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of ``seeds`` after one to five changes; one in twenty is random altogether."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(0, 200))
    value = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        value = _changed(rng, value, seeds)
    return value[:MAX_BYTES]


def _changed(rng: random.Random, value: bytes, seeds: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(value) + 1)
    end = min(len(value), at + rng.choice((1, 1, 2, 4, 16, 200)))
    match rng.randrange(9):
        case 0 if at < len(value):  # one bit
            return value[:at] + bytes([value[at] ^ 1 << rng.randrange(8)]) + value[at + 1 :]
        case 1:  # one byte
            return value[:at] + rng.randbytes(1) + value[at + 1 :]
        case 2:  # cut off
            return value[:at]
        case 3:  # left out
            return value[:at] + value[end:]
        case 4:  # said again, now and then often
            return value[:at] + value[at:end] * rng.choice((2, 2, 3, 50)) + value[end:]
        case 5:  # another's part
            other = rng.choice(seeds)
            begin = rng.randrange(len(other) + 1)
            return value[:at] + other[begin : begin + rng.choice((4, 16, 200))] + value[at:]
        case 6:
            return value[:at] + rng.choice(_ODD_NUMBERS) + value[end:]
        case 7:
            return value[:at] + rng.choice(_ODD_BYTES) + value[at:]
        case _:  # deep
            opening = rng.choice((b"[", b"(", b"{", b'{"a":', b"- "))
            return value[:at] + opening * rng.choice((3, 40, 2_000)) + value[at:]
