"""Raydium CLMM accounts: pools, tick arrays, fee configurations.

Layouts: raydium-io/raydium-clmm, ``programs/amm/src/states/{pool,tick_array,config}.rs``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.amm.concentrated import tick_math_x64

POOL = bytes.fromhex("f7ede3f5d7c3de46")
POOL_SIZE = 1544
TICK_ARRAY = bytes.fromhex("c09b55cd31f9812a")
TICK_ARRAY_SIZE = 10240
CONFIG = bytes.fromhex("daf42168cbcb2b6f")
CONFIG_SIZE = 117
TICKS_PER_ARRAY = 60


@dataclass(frozen=True, slots=True)
class ClmmPoolAccount:
    """One pool; the fee is in the configuration account at ``config``. ``sqrt_price`` is Q64.64."""

    config: bytes
    mint_a: bytes
    mint_b: bytes
    vault_a: bytes
    vault_b: bytes
    decimals_a: int
    decimals_b: int
    tick_spacing: int
    liquidity: int
    sqrt_price: int
    tick: int
    status: int
    fee_on: int
    dynamic_fee: bool = False  # the fee also depends on how far the price has moved of late
    open_time_s: int = 0  # swaps are refused up to this time

    @property
    def swaps_disabled(self) -> bool:
        return bool(self.status >> 4 & 1)


@dataclass(frozen=True, slots=True)
class ClmmTickArrayAccount:
    """60 ticks from ``start_tick``: (tick, net, gross) of those with liquidity, ascending."""

    pool: bytes
    start_tick: int
    ticks: tuple[tuple[int, int, int], ...]
    orders: tuple[int, ...] = ()  # ticks with limit orders


@dataclass(frozen=True, slots=True)
class ClmmConfigAccount:
    """Fees in hundredths of a basis point; ``protocol_fee_pips`` and ``fund_fee_pips`` are shares of the trade fee."""

    index: int
    protocol_fee_pips: int
    fee_pips: int
    tick_spacing: int
    fund_fee_pips: int


def array_start(tick: int, tick_spacing: int) -> int:
    """The first tick of the array that holds a tick."""
    width = TICKS_PER_ARRAY * tick_spacing
    return tick // width * width


def decode_pool(data: bytes) -> ClmmPoolAccount:
    """Read a PoolState account. Raises AccountError."""
    read = AccountReader(data, "Raydium CLMM pool", POOL_SIZE, POOL)
    read.skip(1)
    config = read.key()
    read.skip(32)
    mint_a, mint_b, vault_a, vault_b = read.key(), read.key(), read.key(), read.key()
    read.skip(32)
    decimals_a, decimals_b, spacing = read.u8(), read.u8(), read.u16()
    liquidity, sqrt_price, tick = read.u128(), read.u128(), read.i32()
    # Paddings, fee growth of both tokens, protocol fees owed, four unused numbers.
    read.skip(2 + 2 + 16 * 2 + 8 * 2 + 16 * 4)
    status, fee_on = read.u8(), read.u8()
    # Padding, three rewards, the bitmap, padding, fund fees.
    read.skip(6 + 169 * 3 + 8 * 16 + 8 * 4 + 8 * 2)
    open_time_s = read.u64()
    # An epoch; then the rule of a dynamic fee.
    read.skip(8)
    dynamic_fee = any(read.take(2 * 3 + 4))
    pool = ClmmPoolAccount(
        config=config,
        mint_a=mint_a,
        mint_b=mint_b,
        vault_a=vault_a,
        vault_b=vault_b,
        decimals_a=decimals_a,
        decimals_b=decimals_b,
        tick_spacing=spacing,
        liquidity=liquidity,
        sqrt_price=sqrt_price,
        tick=tick,
        status=status,
        fee_on=fee_on,
        dynamic_fee=dynamic_fee,
        open_time_s=open_time_s,
    )
    read.require(pool.tick_spacing > 0, "tick spacing is zero")
    read.require(
        tick_math_x64.MIN_SQRT_PRICE <= pool.sqrt_price <= tick_math_x64.MAX_SQRT_PRICE,
        f"sqrt price {pool.sqrt_price} is out of range",
    )
    return pool


def decode_tick_array(data: bytes) -> ClmmTickArrayAccount:
    """Read a TickArrayState account. Raises AccountError."""
    read = AccountReader(data, "Raydium CLMM tick array", TICK_ARRAY_SIZE, TICK_ARRAY)
    pool, start = read.key(), read.i32()
    found, orders = [], []
    for _ in range(TICKS_PER_ARRAY):
        tick, net, gross = read.i32(), read.i128(), read.u128()
        read.skip(16 * 5 + 8)
        opened, part_filled = read.u64(), read.u64()
        read.skip(16 + 4 * 3)
        if gross:
            found.append((tick, net, gross))
        if opened or part_filled:
            orders.append(tick)
    read.require(all(left[0] < right[0] for left, right in itertools.pairwise(found)), "ticks are not ascending")
    return ClmmTickArrayAccount(pool, start, tuple(found), tuple(orders))


def decode_config(data: bytes) -> ClmmConfigAccount:
    """Read an AmmConfig account. Raises AccountError."""
    read = AccountReader(data, "Raydium CLMM config", CONFIG_SIZE, CONFIG)
    read.skip(1)
    index = read.u16()
    read.skip(32)
    config = ClmmConfigAccount(index, read.u32(), read.u32(), read.u16(), read.u32())
    read.require(config.fee_pips < 1_000_000, f"trade fee is {config.fee_pips} of a million")
    return config
