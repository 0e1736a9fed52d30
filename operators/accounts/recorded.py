"""Accounts as fixtures record them: owner and data, as text or as lists of bytes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import base58

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.registry import decode
from mevflow.operators.addresses import decode_base58

#: The largest account that a program may own.
_MOST_BYTES = 10 << 20


def recorded_account(document: Mapping[str, Any]) -> dict[str, Any]:
    """What kind of account it is, its program and its size. Raises AccountError for one that cannot be read."""
    program = _bytes(document.get("owner"), lambda text: decode_base58(text, 32), 32)
    data = _bytes(document.get("data"), lambda text: base64.b64decode(text, validate=True), _MOST_BYTES)
    if len(program) != 32:
        raise AccountError("the account's owner is not a program's key", reason="value")
    account = decode(program, data)
    return {"type": type(account).__name__, "program": base58.b58encode(program).decode(), "bytes": len(data)}


def _bytes(value: Any, from_text: Any, most: int) -> bytes:
    try:
        if isinstance(value, str) and len(value) <= 2 * most:
            return bytes(from_text(value))
        if isinstance(value, list) and len(value) <= most:
            if len(value) == 2 and value[1] == "base64":
                return base64.b64decode(value[0], validate=True)
            return bytes(value)
    except (ValueError, TypeError, OverflowError, binascii.Error) as wrong:
        raise AccountError(f"not an account: {wrong}", reason="value") from wrong
    raise AccountError("not an account: no owner and data", reason="value")
