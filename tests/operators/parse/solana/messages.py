"""Solana transactions made for a test: one call, what it logged."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

import base58

POOL, MINT_A, MINT_B = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


def transaction(program: bytes, data: bytes, logged: list[str]) -> dict[str, Any]:
    """One call of ``program`` whose second account is the pool, with what it logged."""
    name = base58.b58encode(program).decode()
    keys = [base58.b58encode(each).decode() for each in (bytes([9]) * 32, POOL, program)]
    return {
        "transaction": {
            "message": {
                "accountKeys": keys,
                "instructions": [{"programIdIndex": 2, "accounts": [0, 1], "data": base58.b58encode(data).decode()}],
            }
        },
        "meta": {
            "err": None,
            "innerInstructions": [],
            "logMessages": [f"Program {name} invoke [1]", *logged, f"Program {name} success"],
        },
    }


def anchor(kind: str, name: str) -> bytes:
    """Anchor's first eight bytes of an event or an instruction."""
    return sha256(f"{kind}:{name}".encode()).digest()[:8]


def logged(event: bytes) -> list[str]:
    """An event as the log has it."""
    return [f"Program data: {base64.b64encode(event).decode()}"]


def numbers(size: int, *values: int) -> bytes:
    """Little-endian unsigned numbers of ``size`` bytes."""
    return b"".join(value.to_bytes(size, "little") for value in values)
