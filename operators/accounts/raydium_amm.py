"""Raydium AMM v4 and CPMM accounts: constant-product pools whose reserves are in two vaults.

Layouts: raydium-io/raydium-amm, ``program/src/state.rs`` (``AmmInfo``, 752 bytes without a discriminator);
raydium-io/raydium-cp-swap, ``programs/cp-swap/src/states/{pool,config}.rs``. A vault's balance is in its own
token account; what is owed out of it to others (``owed_a``, ``owed_b``) is not tradable.
"""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.reader import AccountReader

AMM_SIZE = 752
CPMM_POOL = bytes.fromhex("f7ede3f5d7c3de46")
CPMM_POOL_SIZE = 637
CPMM_CONFIG = bytes.fromhex("daf42168cbcb2b6f")
CPMM_CONFIG_SIZE = 236

#: Status of an AMM v4 pool in which swaps are allowed: Initialized, SwapOnly, WaitingTrade.
SWAP_STATUS = (1, 6, 7)


@dataclass(frozen=True, slots=True)
class AmmV4Account:
    """One pool; A is the program's "coin" and B its "pc". The swap fee is a fraction of the input."""

    status: int
    decimals_a: int
    decimals_b: int
    swap_fee_numerator: int
    swap_fee_denominator: int
    owed_a: int
    owed_b: int
    open_time_s: int
    vault_a: bytes
    vault_b: bytes
    mint_a: bytes
    mint_b: bytes
    market: bytes

    @property
    def swaps_enabled(self) -> bool:
        return self.status in SWAP_STATUS


@dataclass(frozen=True, slots=True)
class CpmmPoolAccount:
    """One pool; the fee is in the configuration account at ``config``."""

    config: bytes
    vault_a: bytes
    vault_b: bytes
    mint_a: bytes
    mint_b: bytes
    status: int
    decimals_a: int
    decimals_b: int
    owed_a: int
    owed_b: int
    open_time_s: int
    creator_fee_on: int
    creator_fee_enabled: bool

    @property
    def swaps_disabled(self) -> bool:
        return bool(self.status >> 2 & 1)


@dataclass(frozen=True, slots=True)
class CpmmConfigAccount:
    """Fees in hundredths of a basis point; protocol and fund fees are shares of the trade fee."""

    index: int
    fee_pips: int
    protocol_fee_pips: int
    fund_fee_pips: int
    creator_fee_pips: int


def decode_amm_v4(data: bytes) -> AmmV4Account:
    """Read an AmmInfo account. Raises AccountError."""
    if len(data) != AMM_SIZE:
        raise AccountError(f"a Raydium AMM v4 account has {AMM_SIZE} bytes, not {len(data)}", reason="truncated")
    read = AccountReader(data, "Raydium AMM v4", AMM_SIZE)
    status = read.u64()
    read.skip(8 * 3)
    decimals_a, decimals_b = read.u64(), read.u64()
    # State, lots, sizes and limits of the order book; then min-separate, trade and profit fractions.
    read.skip(8 * 10 + 8 * 6)
    fee, of = read.u64(), read.u64()
    owed_a, owed_b = read.u64(), read.u64()
    read.skip(8 * 2)
    opened = read.u64()
    read.skip(8 * 3 + 16 * 4 + 8 * 2)
    vault_a, vault_b, mint_a, mint_b = read.key(), read.key(), read.key(), read.key()
    read.skip(32 * 2)
    market = read.key()
    read.require(of > 0 and fee < of, f"swap fee is {fee}/{of}")
    read.require(status <= 7, f"status is {status}")
    read.require(decimals_a <= 255 and decimals_b <= 255, "decimals do not fit a byte")
    return AmmV4Account(
        status, decimals_a, decimals_b, fee, of, owed_a, owed_b, opened, vault_a, vault_b, mint_a, mint_b, market
    )


def decode_cpmm_pool(data: bytes) -> CpmmPoolAccount:
    """Read a PoolState account of the CPMM program. Raises AccountError."""
    read = AccountReader(data, "Raydium CPMM pool", CPMM_POOL_SIZE, CPMM_POOL)
    config = read.key()
    read.skip(32)
    vault_a, vault_b = read.key(), read.key()
    read.skip(32)
    mint_a, mint_b = read.key(), read.key()
    read.skip(32 * 3 + 1)
    status = read.u8()
    read.skip(1)
    decimals_a, decimals_b = read.u8(), read.u8()
    read.skip(8)
    protocol_a, protocol_b, fund_a, fund_b = read.u64(), read.u64(), read.u64(), read.u64()
    opened = read.u64()
    read.skip(8)
    fee_on, enabled = read.u8(), read.u8()
    read.skip(6)
    creator_a, creator_b = read.u64(), read.u64()
    read.require(fee_on <= 2, f"creator fee mode is {fee_on}")
    read.require(enabled <= 1, f"creator fee switch is {enabled}")
    return CpmmPoolAccount(
        config=config,
        vault_a=vault_a,
        vault_b=vault_b,
        mint_a=mint_a,
        mint_b=mint_b,
        status=status,
        decimals_a=decimals_a,
        decimals_b=decimals_b,
        owed_a=protocol_a + fund_a + creator_a,
        owed_b=protocol_b + fund_b + creator_b,
        open_time_s=opened,
        creator_fee_on=fee_on,
        creator_fee_enabled=bool(enabled),
    )


def decode_cpmm_config(data: bytes) -> CpmmConfigAccount:
    """Read an AmmConfig account of the CPMM program. Raises AccountError."""
    read = AccountReader(data, "Raydium CPMM config", CPMM_CONFIG_SIZE, CPMM_CONFIG)
    read.skip(2)
    index, fee, protocol, fund = read.u16(), read.u64(), read.u64(), read.u64()
    read.skip(8 + 32 * 2)
    creator = read.u64()
    read.require(fee + creator < 1_000_000, f"fees are {fee} + {creator} of a million")
    return CpmmConfigAccount(index, fee, protocol, fund, creator)
