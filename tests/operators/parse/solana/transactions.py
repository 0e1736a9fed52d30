"""Solana transactions of several calls, made for a test as ``getTransaction`` gives them."""

from __future__ import annotations

from typing import Any

import base58

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from tests.operators.parse.solana.messages import anchor, logged, numbers

SIGNER, OTHER = bytes([9]) * 32, bytes([8]) * 32
#: Accounts of an instruction, told apart by their places.
ACCOUNTS = [bytes([100 + place]) * 32 for place in range(12)]
TOKEN_PROGRAM = base58.b58decode("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")


def b58(raw: bytes) -> str:
    return base58.b58encode(raw).decode()


class Recorded:
    """A transaction as ``getTransaction`` gives it, call by call."""

    def __init__(self) -> None:
        self.keys: list[bytes] = [SIGNER]
        self.outer: list[dict[str, Any]] = []
        self.inner: list[dict[str, Any]] = []
        self.lines: list[str] = []

    def _one(self, program: bytes, data: bytes, accounts: list[bytes]) -> dict[str, Any]:
        for key in (program, *accounts):
            if key not in self.keys:
                self.keys.append(key)
        places = [self.keys.index(key) for key in accounts]
        return {"programIdIndex": self.keys.index(program), "accounts": places, "data": b58(data)}

    def call(
        self,
        program: bytes,
        data: bytes,
        told: list[str],
        accounts: list[bytes] | None = None,
        within: list[tuple[bytes, bytes, list[bytes]]] | None = None,
    ) -> Recorded:
        self.outer.append(self._one(program, data, ACCOUNTS if accounts is None else accounts))
        inner = [{**self._one(*each), "stackHeight": 2} for each in within or []]
        if inner:
            self.inner.append({"index": len(self.outer) - 1, "instructions": inner})
        self.lines.append(f"Program {b58(program)} invoke [1]")
        for each, _, _ in within or []:
            self.lines += [f"Program {b58(each)} invoke [2]", f"Program {b58(each)} success"]
        self.lines += [*told, f"Program {b58(program)} success"]
        return self

    def document(self, lines: int | None = None) -> dict[str, Any]:
        """``lines``: the log is cut after so many."""
        told = [*self.lines] if lines is None else [*self.lines[:lines], "Log truncated"]
        message = {"accountKeys": [b58(key) for key in self.keys], "instructions": self.outer}
        return {
            "transaction": {"message": message},
            "meta": {"err": None, "innerInstructions": self.inner, "logMessages": told},
        }


def traded(pool: bytes, amount_in: int = 70) -> list[str]:
    event = anchor("event", "Traded") + pool + b"\1" + numbers(16, 5, 6)
    return logged(event + numbers(8, amount_in, 80, 0, 0, 1, 0))


def clmm_swap(pool: bytes) -> list[str]:
    event = anchor("event", "SwapEvent") + pool + bytes(96) + numbers(8, 100, 0, 90, 0) + b"\1"
    return logged(event + numbers(16, 5, 6) + numbers(4, 7))


def parse(*documents: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[ParseError]]:
    """Swaps and updates of the last document, the others having been read before it."""
    errors: list[ParseError] = []
    parser = SolanaSwaps(errors.append)
    for slot, document in enumerate(documents):
        parser.add(document, slot=slot)
    rows: dict[bytes, list[dict[str, Any]]] = {}
    for batch in parser.flush():
        rows[batch.schema.metadata[b"message"]] = batch.to_pylist()
    last = [
        [row for row in rows.get(name, []) if row["slot"] == len(documents) - 1]
        for name in (b"mevflow.v1.Swap", b"mevflow.v1.PoolUpdate")
    ]
    return last[0], last[1], errors
