"""Amounts on the wire: width, sign and byte order, to the bounds."""

from __future__ import annotations

import pytest

from mevflow.operators.amounts import i128, u128, u160


@pytest.mark.parametrize(("write", "size"), [(u128, 16), (u160, 20)])
def test_unsigned(write, size):
    assert write(1) == b"\x01" + bytes(size - 1)
    assert write(0x0102) == b"\x02\x01" + bytes(size - 2)
    assert write((1 << 8 * size) - 1) == b"\xff" * size
    for outside in (-1, 1 << 8 * size):
        with pytest.raises(OverflowError):
            write(outside)


def test_signed():
    assert i128(1) == b"\x01" + bytes(15)
    assert i128(-1) == b"\xff" * 16
    assert i128(-2) == b"\xfe" + b"\xff" * 15
    assert i128((1 << 127) - 1) == b"\xff" * 15 + b"\x7f"
    assert i128(-(1 << 127)) == bytes(15) + b"\x80"
    for outside in (1 << 127, -(1 << 127) - 1):
        with pytest.raises(OverflowError):
            i128(outside)
