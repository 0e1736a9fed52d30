"""The forms in which nodes give a transaction, as the one that the parser reads (``encoding: "json"``).

``base64`` and ``base58`` carry the signed bytes (layout: solana-labs/solana, ``sdk/program/src/message``);
``jsonParsed`` names programs and accounts and takes known instructions apart, of which token transfers are put together
again. A form that is none of these is refused by name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import base58

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.parse.errors import ParseError

#: A transaction has at most 1,232 bytes, and twice as many in either encoding.
_MOST_TEXT = 2_500
_TRANSFER, _TRANSFER_CHECKED, _WITH_FEE = b"\x03", b"\x0c", b"\x1a\x01"
_VERSIONED = 0x80


def failed(document: Mapping[str, Any]) -> bool:
    """Whether the transaction moved nothing; ``status`` is how old records say it. Raises ParseError."""
    meta = document.get("meta", document)
    if meta.get("err") is not None:
        return True
    status = meta.get("status")
    if status is None:
        return False
    if not isinstance(status, Mapping) or len(status) != 1 or next(iter(status)) not in ("Ok", "Err"):
        raise ParseError(f"status is Ok or Err, not {str(status)[:60]!r}")
    return "Err" in status


def plain(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """``document`` with its instructions as numbers of account keys and data in base58. Raises ParseError."""
    transaction = document.get("transaction")
    if transaction is None:
        return document
    if isinstance(transaction, str):
        transaction = [transaction, "base58"]  # as the first nodes gave it
    if isinstance(transaction, list):
        transaction = {"message": _message(_raw(transaction))}
        document = {**document, "transaction": transaction}
    if not isinstance(transaction, Mapping):
        raise ParseError(f"a transaction is an object or [data, encoding], not {type(transaction).__name__}")
    message = transaction.get("message", {})
    meta = document.get("meta", document)
    inner = meta.get("innerInstructions") or []
    listed = [*message.get("instructions", []), *(one for group in inner for one in group["instructions"])]
    if not any("programId" in one for one in listed):
        return document
    keys = [key["pubkey"] if isinstance(key, Mapping) else key for key in message.get("accountKeys", [])]
    places = {key: place for place, key in enumerate(keys)}
    numbered = {
        **message,
        "accountKeys": keys,
        "instructions": [_numbered(one, places) for one in message.get("instructions", [])],
    }
    groups = [{**group, "instructions": [_numbered(one, places) for one in group["instructions"]]} for group in inner]
    # ``jsonParsed`` lists looked-up keys among the others.
    numbered["accountKeys"] = list(places)
    told = {**meta, "innerInstructions": groups, "loadedAddresses": None}
    return {**document, "transaction": {**transaction, "message": numbered}, "meta": told}


def _numbered(one: Mapping[str, Any], places: dict[str, int]) -> dict[str, Any]:
    """An instruction that names its program and accounts, by their places; ``places`` grows where one is missing."""
    if "programId" not in one:
        return dict(one)

    def place(key: Any) -> int:
        if not isinstance(key, str):
            raise ParseError(f"an account is named by its address, not {str(key)[:40]!r}")
        return places.setdefault(key, len(places))

    found: dict[str, Any] = {"programIdIndex": place(one["programId"]), "stackHeight": one.get("stackHeight")}
    if "parsed" not in one:
        return {**found, "accounts": [place(key) for key in one["accounts"]], "data": one["data"]}
    made = _transfer(one["parsed"])
    if made is not None:
        data, keys = made
        found |= {"accounts": [place(key) for key in keys], "data": base58.b58encode(data).decode()}
    return found


def _transfer(parsed: Any) -> tuple[bytes, list[Any]] | None:
    """A token transfer's data and accounts; None for any other instruction that the node took apart."""
    if not isinstance(parsed, Mapping) or not isinstance(parsed.get("info"), Mapping):
        return None
    info, kind = parsed["info"], parsed.get("type")
    if kind == "transfer" and "amount" in info and "source" in info:
        return _TRANSFER + _u64(info["amount"]), [info[end] for end in ("source", "destination", "source")]
    if kind not in ("transferChecked", "transferCheckedWithFee"):
        return None
    amount = info["tokenAmount"]
    data = _u64(amount["amount"]) + bytes([int(amount.get("decimals", 0)) & 0xFF])
    keys = [info["source"], info["mint"], info["destination"]]
    if kind == "transferChecked":
        return _TRANSFER_CHECKED + data, keys
    return _WITH_FEE + data + _u64(info["feeAmount"]["amount"]), keys


def _u64(text: Any) -> bytes:
    return int(text).to_bytes(8, "little")


def _raw(given: Sequence[Any]) -> bytes:
    if len(given) != 2 or not all(isinstance(part, str) for part in given):
        raise ParseError("a transaction that is a list is [data, encoding]")
    text, encoding = given
    if encoding not in ("base64", "base58"):
        raise ParseError(
            f"a transaction in {encoding[:30]!r} is not read",
            hint='ask the node for "encoding": "json", "jsonParsed", "base64" or "base58"',
            reason="unsupported_encoding",
        )
    if len(text) > _MOST_TEXT:
        raise ParseError("a transaction has at most 1,232 bytes")
    try:
        return base64.b64decode(text, validate=True) if encoding == "base64" else base58.b58decode(text)
    except (binascii.Error, ValueError) as wrong:
        raise ParseError(f"not {encoding}: {text[:40]!r}") from wrong


def _message(raw: bytes) -> dict[str, Any]:
    """A signed transaction's keys and instructions."""
    read = AccountReader(raw, "transaction", 0, b"")
    try:
        read.skip(64 * _short(read))
        first = read.u8()
        if first & _VERSIONED:
            read.require(first == _VERSIONED, f"message version {first & 0x7F}")
            read.skip(1)
        read.skip(2)
        keys = [base58.b58encode(read.key()).decode() for _ in range(_short(read))]
        read.skip(32)
        instructions = []
        for _ in range(_short(read)):
            program = read.u8()
            accounts = [read.u8() for _ in range(_short(read))]
            data = bytes(read.u8() for _ in range(_short(read)))
            instructions.append(
                {"programIdIndex": program, "accounts": accounts, "data": base58.b58encode(data).decode()}
            )
    except AccountError as wrong:
        raise ParseError(wrong.message, payload=raw) from wrong
    return {"accountKeys": keys, "instructions": instructions}


def _short(read: AccountReader) -> int:
    """A length in one to three bytes, seven bits each."""
    number = 0
    for shift in (0, 7, 14):
        byte = read.u8()
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number
    read.require(False, "a length of more than three bytes")
    return number
