"""A Solana transaction's calls in the order they ran: program, data, accounts, and what each logged.

The runtime's log names every call and its depth; the transaction has the calls' data, outer and inner, in the same
order. Precompiled programs (signature checks) run without a line in the log, so calls and instructions are matched by
their program, not counted. Takes the JSON of ``getTransaction``, or its ``meta`` alone (without account keys, programs
are known from the log and accounts by index only).
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
#: Programs of the runtime itself: the log does not name their calls.
PRECOMPILES = frozenset(
    public_key(name)
    for name in (
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "Secp256r1SigVerify1111111111111111111111111",
    )
)
#: The runtime keeps 10,000 bytes of a transaction's log.
_TRUNCATED = "Log truncated"
#: Longer logs than any validator keeps are not a transaction's.
_MOST_LINES = 20_000


@dataclass(slots=True)
class ProgramCall:
    """One call. ``data`` is None where the record does not have it; ``accounts`` are places in the account keys.

    ``whole``: all that it logged is in the record.
    """

    program: bytes
    depth: int
    ordinal: int
    parent: int | None
    data: bytes | None = None
    accounts: tuple[int, ...] = ()
    logged: list[str] = field(default_factory=list)
    whole: bool = True


def calls(document: Mapping[str, Any]) -> list[ProgramCall]:
    """Every call of the transaction. Raises ParseError when the record is not of the form or contradicts itself."""
    try:
        meta = document.get("meta", document)
        logs = meta["logMessages"]
        if not isinstance(logs, list) or len(logs) > _MOST_LINES or not all(isinstance(line, str) for line in logs):
            raise ParseError("logMessages is not a list of lines", reason="malformed")
        inner = {int(group["index"]): group["instructions"] for group in meta.get("innerInstructions") or []}
        outer = document.get("transaction", {}).get("message", {}).get("instructions", [])
        keys = account_keys(document)
        if _TRUNCATED in logs:
            return _without_the_rest(logs[: logs.index(_TRUNCATED)], outer, inner, keys)
        found = from_log(logs)
        _attach(found, outer, inner, keys)
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
        return [key if isinstance(key, bytes) else public_key(key) for key in (*keys, *extra)]
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ParseError(f"not account keys: {type(wrong).__name__} {wrong}", reason="malformed") from wrong


def from_log(logs: Sequence[str], first: int = 0) -> list[ProgramCall]:
    """The calls that a log names, numbered from ``first``. Raises ParseError."""
    found: list[ProgramCall] = []
    open_calls: list[int] = []
    for line in logs:
        if line == _TRUNCATED:
            raise ParseError("the log is truncated: what came after is not known", reason="log_truncated")
        if invoked := _INVOKE.fullmatch(line):
            depth = int(invoked[2])
            if depth != len(open_calls) + 1:
                raise ParseError(f"{line!r} at depth {len(open_calls)}", reason="malformed")
            parent = first + open_calls[-1] if open_calls else None
            found.append(ProgramCall(public_key(invoked[1]), depth, first + len(found), parent))
            open_calls.append(len(found) - 1)
        elif _END.fullmatch(line):
            if not open_calls:
                raise ParseError(f"{line!r} where nothing runs", reason="malformed")
            open_calls.pop()
        elif open_calls:
            found[open_calls[-1]].logged.append(line)
    for at in open_calls:
        found[at].whole = False
    return found


def _attach(
    found: list[ProgramCall], outer: Sequence[Any], inner: Mapping[int, Sequence[Any]], keys: Sequence[bytes]
) -> None:
    """Give each call its data: outer ones in order, inner ones in order within theirs, each by its program."""
    groups: list[tuple[ProgramCall, list[ProgramCall]]] = []
    for call in found:
        if call.depth == 1:
            groups.append((call, []))
        else:
            groups[-1][1].append(call)
    if outer:
        numbers = _match([call for call, _ in groups], outer, keys)
    else:  # a record's ``meta`` alone: outer calls with inner ones are those of which it lists some
        with_inner = iter(sorted(inner))
        numbers = [next(with_inner, -1) if within else -1 for _, within in groups]
    for (call, within), number in zip(groups, numbers, strict=True):
        if outer and number >= 0:
            _give(call, outer[number])
        listed = inner.get(number, ())
        for each, place in zip(within, _match(within, listed, keys), strict=True):
            if place < 0:
                continue
            if listed[place].get("stackHeight") not in (None, each.depth):
                raise ParseError(
                    f"call {each.ordinal} is at depth {each.depth}, the record says {listed[place]['stackHeight']}",
                    reason="malformed",
                )
            _give(each, listed[place])


def _without_the_rest(
    logs: Sequence[str], outer: Sequence[Any], inner: Mapping[int, Sequence[Any]], keys: Sequence[bytes]
) -> list[ProgramCall]:
    """The calls by the instructions alone, with what they logged before the log was cut.

    Raises ParseError where the record does not tell the instructions' programs and depths.
    """
    found: list[ProgramCall] = []
    for number, one in enumerate(outer):
        within: list[int] = []
        for each in (one, *inner.get(number, ())):
            program = _program(each, keys)
            if program in PRECOMPILES:
                continue
            depth = 1 if each is one else each.get("stackHeight")
            if program is None or not isinstance(depth, int) or not 1 <= depth <= len(within) + 1:
                break
            del within[depth - 1 :]
            call = ProgramCall(program, depth, len(found), within[-1] if within else None)
            _give(call, each)
            within.append(call.ordinal)
            found.append(call)
        else:
            continue
        raise ParseError("the log is truncated, and the instructions do not tell their depths", reason="log_truncated")
    if not found:
        raise ParseError("the log is truncated: what came after is not known", reason="log_truncated")
    told = from_log(logs)
    for at, call in enumerate(found):
        if at >= len(told):
            call.whole = False
        elif told[at].program != call.program or told[at].depth != call.depth:
            raise ParseError(f"call {at} is another in the log than in the record")
        else:
            call.logged, call.whole = told[at].logged, told[at].whole
    return found


def _match(calls: Sequence[ProgramCall], listed: Sequence[Any], keys: Sequence[bytes]) -> list[int]:
    """The place in ``listed`` of each call, -1 beyond its end. Raises ParseError where the programs differ."""
    places, at = [], 0
    for call in calls:
        while at < len(listed) and _program(listed[at], keys) in PRECOMPILES and call.program not in PRECOMPILES:
            at += 1
        if at == len(listed):
            places.append(-1)
            continue
        if (program := _program(listed[at], keys)) is not None and program != call.program:
            raise ParseError(
                f"call {call.ordinal} is of {base58.b58encode(call.program).decode()}, "
                f"the record has an instruction of {base58.b58encode(program).decode()} there",
                reason="malformed",
            )
        places.append(at)
        at += 1
    return places


def _program(listed: Any, keys: Sequence[bytes]) -> bytes | None:
    place = listed.get("programIdIndex")
    return keys[place] if isinstance(place, int) and 0 <= place < len(keys) else None


def _give(call: ProgramCall, listed: Any) -> None:
    if "data" not in listed:
        return
    if len(listed["data"]) > 2_000:
        raise ParseError("an instruction has at most 1,232 bytes", reason="malformed")
    data = listed["data"]
    call.data = data if isinstance(data, bytes) else base58.b58decode(data)
    call.accounts = tuple(index for index in listed["accounts"] if isinstance(index, int) and index >= 0)
