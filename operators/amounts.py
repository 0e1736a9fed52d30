"""Amounts as messages carry them: little-endian bytes of a fixed width."""

from __future__ import annotations


def u128(number: int) -> bytes:
    """An unsigned amount as 16 bytes, little-endian. Raises OverflowError beyond 128 bits."""
    return number.to_bytes(16, "little")


def i128(number: int) -> bytes:
    """A signed amount as 16 bytes, two's complement, little-endian. Raises OverflowError beyond 128 bits."""
    return number.to_bytes(16, "little", signed=True)


def u160(number: int) -> bytes:
    """A Q64.96 price as 20 bytes, little-endian. Raises OverflowError beyond 160 bits."""
    return number.to_bytes(20, "little")
