"""The Uniswap v3 pools of the recorded days. A raw log names its pool by address; the recorded csv does not."""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.operators.parse.errors import ParseError


@dataclass(frozen=True, slots=True)
class UniswapPool:
    """A pool's immutables, as its contract states them. Addresses are 20 bytes."""

    address: bytes
    token0: bytes
    token1: bytes
    symbols: tuple[str, str]
    decimals: tuple[int, int]
    fee_pips: int
    tick_spacing: int


_USDC = bytes.fromhex("a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
_WETH = bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")

POOLS = (
    UniswapPool(
        address=bytes.fromhex("88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"),
        token0=_USDC,
        token1=_WETH,
        symbols=("USDC", "WETH"),
        decimals=(6, 18),
        fee_pips=500,
        tick_spacing=10,
    ),
    UniswapPool(
        address=bytes.fromhex("8ad599c3a0ff1de082011efddc58f1908eb6e6d8"),
        token0=_USDC,
        token1=_WETH,
        symbols=("USDC", "WETH"),
        decimals=(6, 18),
        fee_pips=3000,
        tick_spacing=60,
    ),
)


def pool_named_in(name: str) -> UniswapPool:
    """The pool whose address (``0x`` and at least its first four bytes) stands in a file's name. Raises ParseError."""
    lowered = name.lower()
    for pool in POOLS:
        if f"0x{pool.address[:4].hex()}" in lowered:
            return pool
    known = ", ".join(f"0x{pool.address[:4].hex()}…" for pool in POOLS)
    raise ParseError(f"{name} names no known pool", hint=f"a file's name holds one of {known}", reason="unknown_pool")
