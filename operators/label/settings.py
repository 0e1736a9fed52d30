"""What ``label`` can be told."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, field_validator

from mevflow.operators.stage import Settings

#: Contracts that trade for whoever calls them, on Ethereum: the same address says nothing about who it is.
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
)


class LabelSettings(Settings):
    """Settings of ``label``.

    ``unseen_pct``: an arbitrage may pass through pools that the stream does not hold, if what comes back is within
    this share of what left; 0 where every swap of a transaction is in the stream. ``min_overlap_pct``: how far the
    amounts of front-run and back-run may be apart, the smaller as a share of the larger. ``shared_contracts``:
    addresses that are many people's (0x-hex). ``hold_slots``: so many of a chain's newest slots wait for swaps that
    are still on their way.
    """

    unseen_pct: int = Field(default=0, ge=0, le=50)
    min_overlap_pct: int = Field(default=25, ge=1, le=100)
    shared_contracts: tuple[str, ...] = SHARED_CONTRACTS
    hold_slots: int = Field(default=2, ge=1, le=1000)

    @field_validator("shared_contracts")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not text.startswith("0x") or len(bytes.fromhex(text[2:])) != 20:
                raise ValueError(f"{text!r} is not 0x and 40 hex digits")
        return value

    @cached_property
    def shared(self) -> frozenset[bytes]:
        """``shared_contracts`` as bytes."""
        return frozenset(bytes.fromhex(text[2:]) for text in self.shared_contracts)
