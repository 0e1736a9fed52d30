"""Protobuf messages as people read them: addresses in their chain's alphabet, amounts as whole numbers in text."""

from __future__ import annotations

from typing import Any

import base58

#: Fields that hold little-endian integers, unsigned and in two's complement.
UNSIGNED = frozenset(
    "amount_in amount_out cost tip reserve_a reserve_b liquidity start_amount end_amount "  # noqa: SIM905
    "sqrt_price_x64 sqrt_price_x96 liquidity_gross balance rate amount_a amount_b open_order processed_order".split()
)
SIGNED = frozenset(("gross_profit", "net_profit", "realized_profit", "profit", "liquidity_delta", "liquidity_net"))
#: Bytes that are neither a number, an id nor an address. Some hold JSON.
_OPAQUE = frozenset(("payload", "sha256", "request", "request_hash", "spec_hash", "nonce", "command"))
_SOLANA = (0, 1)
#: Bytes of the widest amount that is shown in decimals; Python makes none of more than 4,300 digits.
_WIDEST = 32


def readable(message: Any) -> dict[str, Any]:
    """The fields of a message that are set, by name. Enums are their names; an amount without bytes is None."""
    return _fields(message, base58_addresses=getattr(message, "chain", 1) in _SOLANA)


def bytes_as_text(name: str, value: bytes, base58_addresses: bool) -> str | None:
    """A field's bytes: an integer in decimals, JSON as it is, an id or what is opaque in hex, else an address.

    >>> bytes_as_text("amount_in", (7).to_bytes(16, "little"), True), bytes_as_text("amount_in", bytes(33), True)[:6]
    ('7', '0x0000')
    """
    if name in UNSIGNED or name in SIGNED:
        if len(value) > _WIDEST:
            return "0x" + value.hex()
        return str(int.from_bytes(value, "little", signed=name in SIGNED)) if value else None
    if name in _OPAQUE and value[:1] == b"{" and value.isascii():
        return value.decode()
    if name.endswith("_id") or name in _OPAQUE or len(value) > 64:
        return value.hex()
    return base58.b58encode(value).decode() if base58_addresses else "0x" + value.hex()


def _fields(message: Any, base58_addresses: bool) -> dict[str, Any]:
    def text(name: str, value: Any) -> Any:
        if hasattr(value, "DESCRIPTOR"):
            return _fields(value, base58_addresses)
        return bytes_as_text(name, value, base58_addresses) if isinstance(value, bytes) else value

    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.is_repeated:
            found[field.name] = [text(field.name, each) for each in value]
        elif field.enum_type is not None:
            known = field.enum_type.values_by_number.get(value)
            found[field.name] = value if known is None else known.name
        else:
            found[field.name] = text(field.name, value)
    return found
