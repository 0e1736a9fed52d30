"""A transaction as Geyser streams it, in the form that the parser reads: keys and data stay bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mevflow.operators.parse.errors import ParseError
from mevflow.v1 import geyser_pb2 as geyser

_KEY_BYTES = 32


def document(told: geyser.TransactionInfo) -> dict[str, Any]:
    """What ``getTransaction`` gives of it. Raises ParseError for keys that are none."""
    message, meta = told.transaction.message, told.meta
    loaded = {"writable": _keys(meta.loaded_writable_addresses), "readonly": _keys(meta.loaded_readonly_addresses)}
    return {
        "transaction": {
            "message": {
                "accountKeys": _keys(message.account_keys),
                "instructions": [_instruction(one) for one in message.instructions],
            }
        },
        "meta": {
            "err": {"err": meta.err.err} if meta.HasField("err") else None,
            # A node that keeps no logs says so: without them nothing tells what a program did.
            "logMessages": None if meta.log_messages_none else [*meta.log_messages],
            "innerInstructions": [
                {"index": group.index, "instructions": [_instruction(one) for one in group.instructions]}
                for group in meta.inner_instructions
            ],
            "loadedAddresses": loaded,
            "preTokenBalances": _balances(meta.pre_token_balances),
            "postTokenBalances": _balances(meta.post_token_balances),
        },
    }


def _keys(keys: Iterable[bytes]) -> list[bytes]:
    listed = [*keys]
    if any(len(key) != _KEY_BYTES for key in listed):
        raise ParseError("an account's key is of 32 bytes")
    return listed


def _instruction(one: geyser.Instruction) -> dict[str, Any]:
    height = one.stack_height if one.HasField("stack_height") else None
    return {
        "programIdIndex": one.program_id_index,
        "accounts": [*one.accounts],
        "data": one.data,
        "stackHeight": height,
    }


def _balances(balances: Iterable[geyser.TokenBalance]) -> list[dict[str, Any]]:
    return [{"accountIndex": one.account_index, "mint": one.mint} for one in balances]
