"""Orca Whirlpool accounts: pools, and tick arrays of fixed and of dynamic size.

Layouts: orca-so/whirlpools, ``programs/whirlpool/src/state/{whirlpool,fixed_tick_array,dynamic_tick_array}.rs``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.amm.concentrated import tick_math_x64
from mevflow.operators.amm.concentrated.whirlpool import TICKS_PER_ARRAY

POOL = bytes.fromhex("3f95d10ce1806309")
POOL_SIZE = 653
FIXED_TICK_ARRAY = bytes.fromhex("4561bdbe6e0742bb")
FIXED_TICK_ARRAY_SIZE = 9988
DYNAMIC_TICK_ARRAY = bytes.fromhex("11d8f68ee1c7da38")
DYNAMIC_TICK_ARRAY_SIZE = 148
_TICK_SIZE = 113


@dataclass(frozen=True, slots=True)
class WhirlpoolAccount:
    """One pool. ``sqrt_price`` is Q64.64, fees owed are in raw units."""

    tick_spacing: int
    fee_tier_index: int
    fee_pips: int
    protocol_fee_bps: int
    liquidity: int
    sqrt_price: int
    tick: int
    protocol_fee_owed_a: int
    protocol_fee_owed_b: int
    mint_a: bytes
    vault_a: bytes
    mint_b: bytes
    vault_b: bytes

    @property
    def adaptive_fee(self) -> bool:
        """True if the fee also depends on volatility kept in an oracle account: ``fee_pips`` is then its floor."""
        return self.fee_tier_index != self.tick_spacing


@dataclass(frozen=True, slots=True)
class TickArrayAccount:
    """88 ticks from ``start_tick``: for each initialized one (place in the array, net, gross liquidity)."""

    pool: bytes
    start_tick: int
    initialized: tuple[tuple[int, int, int], ...]

    def ticks(self, tick_spacing: int) -> list[tuple[int, int, int]]:
        """(tick, net, gross), ascending."""
        return [(self.start_tick + place * tick_spacing, net, gross) for place, net, gross in self.initialized]


def decode_pool(data: bytes) -> WhirlpoolAccount:
    """Read a Whirlpool account. Raises AccountError."""
    read = AccountReader(data, "Whirlpool", POOL_SIZE, POOL)
    read.skip(32 + 1)
    spacing, fee_tier, fee, protocol = read.u16(), read.u16(), read.u16(), read.u16()
    liquidity, sqrt_price, tick = read.u128(), read.u128(), read.i32()
    owed_a, owed_b = read.u64(), read.u64()
    mint_a, vault_a = read.key(), read.key()
    read.skip(16)
    mint_b, vault_b = read.key(), read.key()
    pool = WhirlpoolAccount(
        tick_spacing=spacing,
        fee_tier_index=fee_tier,
        fee_pips=fee,
        protocol_fee_bps=protocol,
        liquidity=liquidity,
        sqrt_price=sqrt_price,
        tick=tick,
        protocol_fee_owed_a=owed_a,
        protocol_fee_owed_b=owed_b,
        mint_a=mint_a,
        vault_a=vault_a,
        mint_b=mint_b,
        vault_b=vault_b,
    )
    read.require(pool.tick_spacing > 0, "tick spacing is zero")
    read.require(
        tick_math_x64.MIN_SQRT_PRICE <= pool.sqrt_price <= tick_math_x64.MAX_SQRT_PRICE,
        f"sqrt price {pool.sqrt_price} is out of range",
    )
    read.require(tick_math_x64.MIN_TICK - 1 <= pool.tick <= tick_math_x64.MAX_TICK, f"tick {pool.tick} is out of range")
    return pool


def decode_tick_array(data: bytes) -> TickArrayAccount:
    """Read a tick array of either kind. Raises AccountError."""
    if data[:8] == DYNAMIC_TICK_ARRAY:
        return _dynamic(data)
    read = AccountReader(data, "TickArray", FIXED_TICK_ARRAY_SIZE, FIXED_TICK_ARRAY)
    start = read.i32()
    found = []
    for place in range(TICKS_PER_ARRAY):
        # Most ticks are empty, and files hold thousands of arrays: look at the flag before reading anything.
        if read.data[read.at]:
            read.skip(1)
            found.append((place, read.i128(), read.u128()))
            read.skip(16 * 5)
        else:
            read.skip(_TICK_SIZE)
    return TickArrayAccount(read.key(), start, tuple(found))


def _dynamic(data: bytes) -> TickArrayAccount:
    """Each tick is one byte when it is not initialized and 113 when it is."""
    read = AccountReader(data, "DynamicTickArray", DYNAMIC_TICK_ARRAY_SIZE, DYNAMIC_TICK_ARRAY)
    start, pool, bitmap = read.i32(), read.key(), read.u128()
    found = []
    for place in range(TICKS_PER_ARRAY):
        tag = read.u8()
        read.require(tag in (0, 1), f"tick {place} is tagged {tag}")
        read.require(tag == bitmap >> place & 1, f"bitmap and tick {place} differ")
        if tag:
            net, gross = read.i128(), read.u128()
            read.skip(16 * 5)
            found.append((place, net, gross))
    return TickArrayAccount(pool, start, tuple(found))
