"""What ``label`` can be told."""

from __future__ import annotations

from functools import cached_property

import base58
from pydantic import Field, field_validator

from mevflow.operators.stage import Settings

#: Contracts that trade for whoever calls them, on Ethereum: the same address says nothing about who it is. Routers of
#: other chains, and on Solana those who pay the fees of others, are told by ``also_shared``.
SHARED_CONTRACTS = (
    "0x7a250d5630b4cf539739df2c5dacb4c659f2488d",  # Uniswap v2 router 02
    "0xe592427a0aece92de3edee1f18e0157c05861564",  # Uniswap v3 router
    "0x68b3465833fb72a70ecdf485e0e4c7bd8665fc45",  # Uniswap v3 router 02
    "0xef1c6e67703c7bd7107eed8303fbe6ec2554bf6b",  # Uniswap universal router
    "0x3fc91a3afd70395cd496c647d5a6cc9d4b2b7fad",  # Uniswap universal router, of 2023
    "0xd9e1ce17f2641f24ae83637ab66a2cca9c378b9f",  # SushiSwap router
    "0xdef1c0ded9bec7f1a1670819833240f027b25eff",  # 0x exchange proxy
    "0x11111112542d85b3ef69ae05771c2dccff4faa26",  # 1inch v3
    "0x1111111254fb6c44bac0bed2854e76f90643097d",  # 1inch v4
    "0x1111111254eeb25477b68fb85ed929f73a960582",  # 1inch v5
    "0xdef171fe48cf0115b1d80b88dc8eab59176fee57",  # ParaSwap v5
    "0x66a9893cc07d91d95644aedd05d03f95e1dba8af",  # Uniswap universal router, of 2025
    "0x111111125421ca6dc452d289314280a0f8842a65",  # 1inch v6
    "0x9008d19f58aabd9ed0d60971565aa8510560ab41",  # CoW settlement
    "0x6a000f20005980200259b80c5102003040001068",  # ParaSwap v6
    "0x0000000000001ff3684f28c67538d4d072c22734",  # 0x allowance holder
    "0x6131b5fae19ea4f9d964eac0408e4408b66337b5",  # KyberSwap meta aggregation router 2
    "0x881d40237659c251811cec9c364ef91dc08d300c",  # MetaMask swap router
    "0x13f4ea83d0bd40e75c8222255bc855a974568dd4",  # PancakeSwap smart router
    "0x6352a56caadc4f1e25cd6c75970fa768a3304e64",  # OpenOcean exchange
    "0x7d0ccaa3fac1e5a943c5168b6ced828691b46b36",  # OKX DEX router
)


class LabelSettings(Settings):
    """Settings of ``label``.

    ``unseen_pct``: an arbitrage may pass through pools that the stream does not hold, if what comes back is within
    this share of what left; 0 where every swap of a transaction is in the stream. ``min_overlap_pct``: how far the
    amounts of front-run and back-run may be apart, the smaller as a share of the larger. ``shared_contracts``:
    addresses that are many people's, ``also_shared`` more of them (0x-hex or base58: routers, fee payers).
    ``hold_slots``: so many of a chain's newest slots wait for swaps that are still on their way. ``reorg_slots``:
    labels of so many of them can be taken back when the chain goes back.
    """

    unseen_pct: int = Field(default=0, ge=0, le=50)
    min_overlap_pct: int = Field(default=25, ge=1, le=100)
    shared_contracts: tuple[str, ...] = SHARED_CONTRACTS
    also_shared: tuple[str, ...] = ()
    hold_slots: int = Field(default=2, ge=1, le=1000)
    reorg_slots: int = Field(default=64, ge=0, le=1_024)

    @field_validator("shared_contracts", "also_shared")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            _address(text)
        return value

    @cached_property
    def shared(self) -> frozenset[bytes]:
        """``shared_contracts`` and ``also_shared`` as bytes."""
        return frozenset(map(_address, (*self.shared_contracts, *self.also_shared)))


def _address(text: str) -> bytes:
    """An address's bytes: 20 of 0x-hex or 32 of base58. Raises ValueError."""
    if text.startswith("0x"):
        if len(text) != 42:
            raise ValueError(f"{text[:60]!r} is not 0x and 40 hex digits")
        return bytes.fromhex(text[2:])
    raw = base58.b58decode(text) if len(text) <= 44 else b""
    if len(raw) != 32:
        raise ValueError(f"{text[:60]!r} is neither 0x and 40 hex digits nor 32 bytes of base58")
    return raw
