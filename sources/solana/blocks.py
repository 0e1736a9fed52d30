"""Blocks of Solana nodes by JSON-RPC: what a stream did not give, fetched as confirmed blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.trace import account_keys
from mevflow.sources.evm.rpc import NodeError, RpcNode
from mevflow.sources.solana.files import signature_of
from mevflow.sources.solana.slots import SlotBlock, SlotTransaction

#: The most slots that one ``getBlocks`` may span.
MOST_SLOTS = 500_000
_FULL = {"encoding": "json", "transactionDetails": "full", "rewards": False, "maxSupportedTransactionVersion": 0}


def slots_between(node: RpcNode, first: int, last: int) -> list[int]:
    """The confirmed slots with a block, ascending. Raises NodeError, CallError."""
    try:
        found = msgspec.json.decode(
            node.call("getBlocks", first, min(last, first + MOST_SLOTS), {"commitment": "confirmed"}), type=list[int]
        )
    except msgspec.DecodeError as wrong:
        raise NodeError(f"answered getBlocks with no slots: {wrong}", key=node.name) from wrong
    if found != sorted(set(found)) or (found and not first <= found[0] <= found[-1] <= last):
        raise NodeError("answered getBlocks with other slots than asked for", key=node.name)
    return found


def fetch_block(node: RpcNode, slot: int, programs: Sequence[bytes]) -> SlotBlock:
    """The confirmed block of a slot, with the transactions that name a program. Raises NodeError, CallError."""
    answer = msgspec.json.decode(node.call("getBlock", slot, {**_FULL, "commitment": "confirmed"}))
    try:
        time_s, listed = answer["blockTime"], answer["transactions"]
        parent, known = answer["parentSlot"], (answer["blockhash"], answer["previousBlockhash"])
        if not isinstance(time_s, int) or not isinstance(parent, int) or not parent < slot:
            raise ValueError("no time or no parent")
        kept = [
            SlotTransaction(index, signature_of(one), one)
            for index, one in enumerate(listed)
            if one["meta"]["err"] is None and _names(one, programs)
        ]
    except (KeyError, TypeError, ValueError) as wrong:
        raise NodeError(f"answered getBlock of slot {slot} with what is no block: {wrong}", key=node.name) from wrong
    return SlotBlock(slot, parent, str(known[0]), str(known[1]), time_s, tuple(kept))


def _names(one: dict[str, Any], programs: Sequence[bytes]) -> bool:
    """Whether a transaction would have come in a stream that asks for ``programs``."""
    try:
        keys = account_keys(one)
    except ParseError:
        return True
    return any(program in keys for program in programs)
