"""One Solana transaction in any of the forms it is recorded in, as calls, account keys and mints.

Forms: what ``getTransaction`` gives in any encoding (``solana_forms``), or its ``meta`` alone; a filtered instruction
list with keys and data as byte lists and the log of each outer instruction (rpcpool/yellowstone-vixen's fixtures); one
instruction alone with its program, hex data and accounts (sevenlabs-hq/carbon's fixtures).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.numbers import public_key
from mevflow.operators.parse.solana.events import SELF_CALL
from mevflow.operators.parse.solana.forms import failed, plain
from mevflow.operators.parse.solana.trace import ProgramCall, account_keys, calls, from_log

#: A transaction makes at most 64 calls today; a record with many more is not one.
_MOST_CALLS = 4_096
_MOST_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """``keys`` may be empty; ``mints`` are by place of the token account. ``signer`` may be empty."""

    calls: list[ProgramCall]
    keys: list[bytes]
    mints: dict[int, bytes]
    signer: bytes = b""


def read_record(document: Any) -> TransactionRecord | None:
    """The transaction; None for one that failed and so moved nothing. Raises ParseError for anything else."""
    if not isinstance(document, Mapping):
        raise ParseError("not a transaction: not an object")
    try:
        if "instructions" in document and "log_messages" in document:
            return _filtered(document["instructions"])
        if "accounts" in document and "data" in document and "meta" not in document:
            return _alone(document)
        if failed(document):
            return None
        document = plain(document)
        keys = account_keys(document)
        return TransactionRecord(calls(document), keys, _mints(document), keys[0] if keys else b"")
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, IndexError) as wrong:
        raise ParseError(f"not a transaction: {type(wrong).__name__} {wrong}") from wrong


def keys_of(document: Any) -> list[bytes]:
    """The account keys of a record that may be unreadable otherwise; empty where they are not told."""
    try:
        return account_keys(plain(document)) if isinstance(document, Mapping) else []
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, IndexError, ParseError):
        return []


class _Keys:
    """Account keys numbered in order of appearance."""

    def __init__(self) -> None:
        self.listed: list[bytes] = []
        self._place: dict[bytes, int] = {}

    def place(self, key: bytes) -> int:
        if len(key) != 32:
            raise ValueError(f"a key of {len(key)} bytes")
        if key not in self._place:
            self._place[key] = len(self.listed)
            self.listed.append(key)
        return self._place[key]


def _filtered(listed: Any) -> TransactionRecord:
    """Instructions by (outer, inner) number, 0 the outer itself; each outer's log names all of its calls in order."""
    if not isinstance(listed, list) or len(listed) > _MOST_CALLS:
        raise ParseError("instructions is not a list of a transaction's length")
    keys = _Keys()
    found: list[ProgramCall] = []
    by_outer: dict[int, list[Mapping[str, Any]]] = {}
    for one in listed:
        by_outer.setdefault(int(one["ix_index"][0]), []).append(one)
    for group in by_outer.values():
        first = len(found)
        logs = next((one["log_messages"] for one in group if one.get("log_messages")), None)
        if logs is not None:
            if not isinstance(logs, list) or len(logs) > _MOST_CALLS or not all(isinstance(x, str) for x in logs):
                raise ParseError("log_messages is not a list of lines")
            found += from_log(logs, first)
        for one in group:
            program, data = _bytes(one["program"], 32), _bytes(one["data"], _MOST_BYTES)
            at = first + int(one["ix_index"][1])
            if at >= _MOST_CALLS or at < first:
                raise ParseError("an instruction's number is beyond any transaction's")
            call = found[at] if at < len(found) else None
            if logs is None:
                call = ProgramCall(program, 1 if at == first else 2, len(found), None if at == first else first)
                if data[:8] == SELF_CALL:
                    callers = [other for other in found[first:] if other.program == program and _own(other)]
                    call.parent = callers[-1].ordinal if callers else call.parent
                found.append(call)
            elif call is None or call.program != program:
                continue  # two outer instructions of one program share a number in some records: the log decides
            call.data = data
            call.accounts = tuple(keys.place(_bytes(key, 32)) for key in one["accounts"])
    return TransactionRecord(found, keys.listed, {})


def _own(call: ProgramCall) -> bool:
    return call.data is not None and call.data[:8] != SELF_CALL


def _alone(document: Mapping[str, Any]) -> TransactionRecord:
    data = document["data"]
    if not isinstance(data, str) or len(data) > 2 * _MOST_BYTES:
        raise ParseError("data is not an instruction's hex")
    keys = _Keys()
    call = ProgramCall(public_key(document["program_id"]), 1, 0, None, bytes.fromhex(data))
    accounts = document["accounts"]
    if not isinstance(accounts, list) or len(accounts) > 256:
        raise ParseError("accounts is not a list of an instruction's length")
    call.accounts = tuple(keys.place(public_key(one["pubkey"])) for one in accounts)
    signer = next((public_key(one["pubkey"]) for one in accounts if one.get("is_signer")), b"")
    return TransactionRecord([call], keys.listed, {}, signer)


def _bytes(numbers: Any, most: int) -> bytes:
    if not isinstance(numbers, list) or len(numbers) > most:
        raise ParseError("not a list of bytes of a length that occurs")
    return bytes(numbers)


def _mints(document: Mapping[str, Any]) -> dict[int, bytes]:
    """Place of a token account -> its mint, from the balances before and after."""
    meta = document.get("meta", document)
    return {
        int(balance["accountIndex"]): public_key(balance["mint"])
        for balance in (*(meta.get("preTokenBalances") or ()), *(meta.get("postTokenBalances") or ()))
    }
