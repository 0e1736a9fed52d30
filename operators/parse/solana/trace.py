"""A Solana transaction's calls in the order they ran: program, data, accounts, and what each logged.

The runtime's log names every call and its depth; the transaction has the calls' data, outer and inner, in the same
order. Takes the JSON of ``getTransaction``, or its ``meta`` alone (without account keys, programs are known from the
log and accounts by index only).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import base58

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.numbers import public_key

_INVOKE = re.compile(r"Program ([1-9A-HJ-NP-Za-km-z]{32,44}) invoke \[(\d{1,2})\]")
_END = re.compile(r"Program [1-9A-HJ-NP-Za-km-z]{32,44} (success|failed.*)")
#: Longer logs than any validator keeps are not a transaction's.
_MOST_LINES = 20_000


@dataclass(slots=True)
class Call:
    """One call. ``data`` is None where the record does not have it; ``accounts`` are places in the account keys."""

    program: bytes
    depth: int
    ordinal: int
    parent: int | None
    data: bytes | None = None
    accounts: tuple[int, ...] = ()
    logged: list[str] = field(default_factory=list)


def calls(document: Mapping[str, Any]) -> list[Call]:
    """Every call of the transaction. Raises ParseError when the record is not of the form or contradicts itself."""
    try:
        meta = document.get("meta", document)
        logs = meta["logMessages"]
        if not isinstance(logs, list) or len(logs) > _MOST_LINES or not all(isinstance(line, str) for line in logs):
            raise ParseError("logMessages is not a list of lines", reason="malformed")
        found = from_log(logs)
        inner = {group["index"]: group["instructions"] for group in meta.get("innerInstructions") or []}
        outer = document.get("transaction", {}).get("message", {}).get("instructions", [])
        _attach(found, outer, inner)
    except (KeyError, TypeError, AttributeError, ValueError) as wrong:
        raise ParseError(f"not a transaction: {type(wrong).__name__} {wrong}", reason="malformed") from wrong
    return found


def account_keys(document: Mapping[str, Any]) -> list[bytes]:
    """The transaction's account keys, looked-up ones included; empty when the record has none. Raises ParseError."""
    try:
        listed = document.get("transaction", {}).get("message", {}).get("accountKeys", [])
        loaded = document.get("meta", document).get("loadedAddresses") or {}
        keys = [key["pubkey"] if isinstance(key, Mapping) else key for key in listed]
        if not keys:
            return []
        parsed = any(isinstance(key, Mapping) for key in listed)
        extra = [] if parsed else [*loaded.get("writable", []), *loaded.get("readonly", [])]
        return [public_key(key) for key in (*keys, *extra)]
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ParseError(f"not account keys: {type(wrong).__name__} {wrong}", reason="malformed") from wrong


def from_log(logs: Sequence[str], first: int = 0) -> list[Call]:
    """The calls that a log names, numbered from ``first``. Raises ParseError."""
    found: list[Call] = []
    open_calls: list[int] = []
    for line in logs:
        if line == "Log truncated":
            raise ParseError("the log is truncated: what came after is not known", reason="log_truncated")
        if invoked := _INVOKE.fullmatch(line):
            depth = int(invoked[2])
            if depth != len(open_calls) + 1:
                raise ParseError(f"{line!r} at depth {len(open_calls)}", reason="malformed")
            parent = first + open_calls[-1] if open_calls else None
            found.append(Call(public_key(invoked[1]), depth, first + len(found), parent))
            open_calls.append(len(found) - 1)
        elif _END.fullmatch(line):
            if not open_calls:
                raise ParseError(f"{line!r} where nothing runs", reason="malformed")
            open_calls.pop()
        elif open_calls:
            found[open_calls[-1]].logged.append(line)
    return found


def _attach(found: list[Call], outer: Sequence[Any], inner: Mapping[int, Sequence[Any]]) -> None:
    """Give each call its data: outer ones by their number, inner ones in order within their outer call."""
    number, place = -1, 0
    for call in found:
        if call.depth == 1:
            number, place = number + 1, 0
            listed = outer[number] if number < len(outer) else None
        else:
            group = inner.get(number, ())
            listed = group[place] if place < len(group) else None
            place += 1
            if listed is not None and listed.get("stackHeight") not in (None, call.depth):
                raise ParseError(
                    f"call {call.ordinal} is at depth {call.depth}, the record says {listed['stackHeight']}",
                    reason="malformed",
                )
        if listed is None or "data" not in listed:
            continue
        if len(listed["data"]) > 2_000:
            raise ParseError("an instruction has at most 1,232 bytes", reason="malformed")
        call.data = base58.b58decode(listed["data"])
        call.accounts = tuple(index for index in listed["accounts"] if isinstance(index, int) and index >= 0)
