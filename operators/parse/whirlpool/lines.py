"""The recorded Whirlpool day, a JSON line a slot, as typed instructions.

The format is that of orca-so/whirlpool-tx-replayer: every slot is a line, a transaction has an ``index`` in its block,
and an instruction's payload holds its data (``data…``), its accounts (``key…``) and what moved (``transferAmount…``).
"""

from __future__ import annotations

import msgspec

from mevflow.operators.parse.errors import ParseError

#: A slot without Whirlpool transactions; 93 % of the lines are of this kind and need no more reading.
_EMPTY = b'"transactions":[]}'


class RecordedInstruction(msgspec.Struct):
    """One instruction, its payload undecoded until its name is known."""

    name: str
    payload: msgspec.Raw


class Transaction(msgspec.Struct):
    """One transaction with its Whirlpool instructions in order."""

    index: int
    signature: str
    payer: str
    instructions: list[RecordedInstruction]


class Slot(msgspec.Struct, rename={"block_time": "blockTime"}):
    """One line. ``block_time`` is in seconds."""

    slot: int
    block_time: int
    transactions: list[Transaction]


class SwapPayload(
    msgspec.Struct,
    rename={
        "pool": "keyWhirlpool",
        "a_to_b": "dataAToB",
        "exact_in": "dataAmountSpecifiedIsInput",
        "amount": "dataAmount",
        "sqrt_price_limit": "dataSqrtPriceLimit",
        "moved_in": "transferAmount0",
        "moved_out": "transferAmount1",
    },
):
    """``amount`` is what was asked for, ``moved_in`` and ``moved_out`` what the vaults saw."""

    pool: str
    a_to_b: int
    exact_in: int
    amount: str
    sqrt_price_limit: str
    moved_in: str
    moved_out: str


class LiquidityPayload(
    msgspec.Struct,
    rename={
        "pool": "keyWhirlpool",
        "position": "keyPosition",
        "array_lower": "keyTickArrayLower",
        "array_upper": "keyTickArrayUpper",
        "liquidity": "dataLiquidityAmount",
        "moved_a": "transferAmount0",
        "moved_b": "transferAmount1",
    },
):
    """A position's liquidity up or down (the instruction's name says which)."""

    pool: str
    position: str
    array_lower: str
    array_upper: str
    liquidity: str
    moved_a: str
    moved_b: str


class OpenPayload(
    msgspec.Struct,
    rename={
        "pool": "keyWhirlpool",
        "position": "keyPosition",
        "lower": "dataTickLowerIndex",
        "upper": "dataTickUpperIndex",
    },
):
    """A position's range."""

    pool: str
    position: str
    lower: int
    upper: int


class ClosePayload(msgspec.Struct, rename={"position": "keyPosition"}):
    """A position goes."""

    position: str


class PoolPayload(
    msgspec.Struct,
    rename={
        "pool": "keyWhirlpool",
        "config": "keyWhirlpoolsConfig",
        "fee_tier": "keyFeeTier",
        "mint_a": "keyTokenMintA",
        "mint_b": "keyTokenMintB",
        "tick_spacing": "dataTickSpacing",
        "sqrt_price": "dataInitialSqrtPrice",
    },
):
    """A pool appears."""

    pool: str
    config: str
    fee_tier: str
    mint_a: str
    mint_b: str
    tick_spacing: int
    sqrt_price: str


Payload = SwapPayload | LiquidityPayload | OpenPayload | ClosePayload | PoolPayload

#: Instruction -> its payload; None where nothing that a swap depends on changes.
PAYLOADS: dict[str, type[Payload] | None] = {
    "swap": SwapPayload,
    "increaseLiquidity": LiquidityPayload,
    "decreaseLiquidity": LiquidityPayload,
    "openPosition": OpenPayload,
    "openPositionWithMetadata": OpenPayload,
    "closePosition": ClosePayload,
    "initializePool": PoolPayload,
    "initializeTickArray": None,
    "initializeReward": None,
    "updateFeesAndRewards": None,
    "collectFees": None,
    "collectReward": None,
    "collectProtocolFees": None,
}

_SLOT = msgspec.json.Decoder(Slot)
_PAYLOADS = {kind: msgspec.json.Decoder(kind) for kind in PAYLOADS.values() if kind is not None}


def is_empty(line: bytes) -> bool:
    """Whether ``line`` is a slot without transactions (told by its ends, without reading it)."""
    return line.startswith(b'{"slot":') and line.rstrip().endswith(_EMPTY)


def read_slot(line: bytes) -> Slot:
    """Decode a line. Raises ParseError."""
    try:
        slot = _SLOT.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as wrong:
        raise ParseError(f"not a slot of Whirlpool transactions: {wrong}", payload=line) from wrong
    for number, bits in ((slot.slot, 63), (slot.block_time, 40), *((t.index, 32) for t in slot.transactions)):
        if not 0 <= number < 1 << bits:
            raise ParseError(f"{number} does not fit {bits} bits", payload=line)
    return slot


def read_payload(instruction: RecordedInstruction) -> Payload | None:
    """Decode a payload; None if the instruction changes nothing here. Raises ParseError."""
    raw = bytes(instruction.payload)
    if instruction.name not in PAYLOADS:
        raise ParseError(
            f"instruction {instruction.name[:60]!r} is not known", reason="unknown_instruction", payload=raw
        )
    kind = PAYLOADS[instruction.name]
    if kind is None:
        return None
    try:
        return _PAYLOADS[kind].decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as wrong:
        raise ParseError(f"not a payload of {instruction.name}: {wrong}", payload=raw) from wrong
