"""Unsigned integers of up to 512 bits for compiled code: sixteen limbs of 32 bits, the lowest first, in 64-bit words.

What does not fit is told, never cut. Floats come of them as Python's come of its integers: rounded once, half to even.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

LIMBS = 16
#: Registers of a calculation: the rows of an array, of which :func:`divide` needs the last two.
REGISTERS = 12
_LOW, _BITS = np.uint64(0xFFFFFFFF), np.uint64(32)
_NONE, _ONE = np.uint64(0), np.uint64(1)

Limbs = NDArray[np.uint64]


def registers() -> Limbs:
    """Room for one calculation at a time."""
    return np.zeros((REGISTERS, LIMBS), np.uint64)


@njit(cache=True, nogil=True)
def used(a):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """How many limbs a number has."""
    for at in range(LIMBS - 1, -1, -1):
        if a[at] != _NONE:
            return at + 1
    return 0


@njit(cache=True, nogil=True)
def bits(a):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """How many bits a number has."""
    count = used(a)
    if count == 0:
        return 0
    top, length = a[count - 1], 0
    while top != _NONE:
        top >>= _ONE
        length += 1
    return 32 * (count - 1) + length


@njit(cache=True, nogil=True)
def load(words, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """From little-endian 64-bit words."""
    out[:] = _NONE
    for at in range(len(words)):
        out[2 * at] = words[at] & _LOW
        out[2 * at + 1] = words[at] >> _BITS


@njit(cache=True, nogil=True)
def put(number, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """From a whole float below 2**127."""
    out[:] = _NONE
    high = np.floor(number / 2.0**64)
    low = number - high * 2.0**64
    for at, part in ((0, np.uint64(low)), (2, np.uint64(high))):
        out[at] = part & _LOW
        out[at + 1] = part >> _BITS


@njit(cache=True, nogil=True)
def copy(a, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for at in range(LIMBS):
        out[at] = a[at]


@njit(cache=True, nogil=True)
def less(a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """a < b"""
    for at in range(LIMBS - 1, -1, -1):
        if a[at] != b[at]:
            return a[at] < b[at]
    return False


@njit(cache=True, nogil=True)
def add(a, b, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a + b of at most 511 bits each; out may be either."""
    carry = _NONE
    for at in range(LIMBS):
        total = a[at] + b[at] + carry
        out[at] = total & _LOW
        carry = total >> _BITS


@njit(cache=True, nogil=True)
def subtract(a, b, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a - b, which is not below zero; out may be either."""
    borrow = _NONE
    for at in range(LIMBS):
        total = a[at] + (_LOW + _ONE) - b[at] - borrow
        out[at] = total & _LOW
        borrow = _ONE - (total >> _BITS)


@njit(cache=True, nogil=True)
def up(a, limbs, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a << 32 * limbs; out may be a. Gives whether it fits."""
    if used(a) + limbs > LIMBS:
        return False
    for at in range(LIMBS - 1, limbs - 1, -1):
        out[at] = a[at - limbs]
    for at in range(limbs):
        out[at] = _NONE
    return True


@njit(cache=True, nogil=True)
def down(a, limbs, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a >> 32 * limbs; out may be a."""
    for at in range(LIMBS - limbs):
        out[at] = a[at + limbs]
    for at in range(LIMBS - limbs, LIMBS):
        out[at] = _NONE


@njit(cache=True, nogil=True)
def multiply(a, b, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a * b; out is neither. Gives whether it fits."""
    of_a, of_b = used(a), used(b)
    out[:] = _NONE
    if of_a + of_b > LIMBS:
        return False
    for i in range(of_a):
        carry = _NONE
        for j in range(of_b):
            total = a[i] * b[j] + out[i + j] + carry
            out[i + j] = total & _LOW
            carry = total >> _BITS
        out[i + of_b] = carry
    return True


@njit(cache=True, nogil=True)
def times(a, small, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a * small, a number below 2**32; a has at most 15 limbs; out may be a."""
    carry = _NONE
    for at in range(LIMBS):
        total = a[at] * small + carry
        out[at] = total & _LOW
        carry = total >> _BITS


@njit(cache=True, nogil=True)
def over(a, small, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a // small, a number below 2**32; out may be a. Gives the remainder."""
    rest = _NONE
    for at in range(LIMBS - 1, -1, -1):
        part = (rest << _BITS) | a[at]
        out[at] = part // small
        rest = part - out[at] * small
    return rest


@njit(cache=True, nogil=True)
def divide(a, b, out, w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """out = a // b by long division (Knuth, The Art of Computer Programming 2, 4.3.1 D); a has at most 15 limbs.

    ``out`` is neither; ``w`` are the registers. Gives whether there is a remainder.
    """
    of_a, of_b = used(a), used(b)
    if of_b == 1:
        return over(a, b[0], out) != _NONE
    out[:] = _NONE
    if of_a < of_b:
        return of_a > 0
    rest, by = w[REGISTERS - 2], w[REGISTERS - 1]
    shift, top = _NONE, b[of_b - 1]
    while top < np.uint64(0x80000000):
        top <<= _ONE
        shift += _ONE
    carry = _NONE
    for at in range(of_b):
        part = (b[at] << shift) | carry
        by[at] = part & _LOW
        carry = part >> _BITS
    carry = _NONE
    for at in range(of_a):
        part = (a[at] << shift) | carry
        rest[at] = part & _LOW
        carry = part >> _BITS
    rest[of_a] = carry
    first, second = by[of_b - 1], by[of_b - 2]
    for j in range(of_a - of_b, -1, -1):
        high = (rest[j + of_b] << _BITS) | rest[j + of_b - 1]
        guess = high // first
        left = high - guess * first
        while guess > _LOW or guess * second > ((left << _BITS) | rest[j + of_b - 2]):
            guess -= _ONE
            left += first
            if left > _LOW:
                break
        carry, borrow = _NONE, _NONE
        for i in range(of_b):
            product = guess * by[i] + carry
            carry = product >> _BITS
            total = rest[i + j] + (_LOW + _ONE) - (product & _LOW) - borrow
            rest[i + j] = total & _LOW
            borrow = _ONE - (total >> _BITS)
        total = rest[j + of_b] + (_LOW + _ONE) - carry - borrow
        rest[j + of_b] = total & _LOW
        if total >> _BITS == _NONE:  # the guess was one too large
            guess -= _ONE
            carry = _NONE
            for i in range(of_b):
                total = rest[i + j] + by[i] + carry
                rest[i + j] = total & _LOW
                carry = total >> _BITS
            rest[j + of_b] = (rest[j + of_b] + carry) & _LOW
        out[j] = guess
    left = _NONE
    for at in range(of_b):
        left |= rest[at]
    return left != _NONE


@njit(cache=True, nogil=True)
def nearest(a, more):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The float nearest to a number, ties to even. ``more``: it is a little above a, which then has over 64 bits."""
    length = bits(a)
    if length <= 64:
        return float((a[1] << _BITS) | a[0])
    whole, part = (length - 64) // 32, np.uint64((length - 64) % 32)
    # The three limbs in which the top 64 bits lie.
    low, middle = a[whole], a[whole + 1]
    high = a[whole + 2] if whole + 2 < LIMBS else _NONE
    top = (((high << _BITS) | middle) << (_BITS - part)) | (low >> part)
    lost = more or (low & ((_ONE << part) - _ONE)) != _NONE
    for at in range(whole):
        lost = lost or a[at] != _NONE
    return math.ldexp(float(top | _ONE if lost else top), length - 64)


@njit(cache=True, nogil=True)
def ratio(a, b, w, one, two):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The float nearest to a / b; both at most 10 limbs and above zero. ``one`` and ``two`` are free registers."""
    limbs = max(4 + used(b) - used(a), 0)
    up(a, limbs, one)
    more = divide(one, b, two, w)
    return math.ldexp(nearest(two, more), -32 * limbs)
