"""Meteora DLMM accounts: the pair with its fee parameters, and arrays of 70 bins.

Layouts: MeteoraAg/dlmm-sdk, ``idls/dlmm.json`` (program lb_clmm).
"""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.amm.bins.dlmm import Bin

PAIR = bytes([33, 11, 49, 98, 181, 101, 177, 13])
PAIR_SIZE = 904
BIN_ARRAY = bytes([92, 142, 92, 220, 5, 148, 70, 181])
BINS_PER_ARRAY = 70
BIN_ARRAY_SIZE = 8 + 48 + 144 * BINS_PER_ARRAY


@dataclass(frozen=True, slots=True)
class LbPairAccount:
    """One pair. X is token A and Y is token B; times are in seconds."""

    base_factor: int
    filter_period_s: int
    decay_period_s: int
    reduction_factor_bps: int
    variable_fee_control: int
    max_volatility_accumulator: int
    min_bin_id: int
    max_bin_id: int
    protocol_share_bps: int
    base_fee_power_factor: int
    function_type: int
    collect_fee_mode: int
    volatility_accumulator: int
    volatility_reference: int
    index_reference: int
    last_update_s: int
    pair_type: int
    active_id: int
    bin_step_bps: int
    status: int
    activation_type: int
    mint_a: bytes
    mint_b: bytes
    vault_a: bytes
    vault_b: bytes
    has_rewards: bool
    liquid_arrays: int
    activation_point: int

    def swaps_disabled(self, slot: int, time_s: int) -> bool:
        """Whether nobody may swap: switched off, or not active yet. A slot or a time of 0 is not known."""
        now = time_s if self.activation_type else slot
        return bool(self.status) or 0 < now < self.activation_point

    def array_is_empty(self, index: int) -> bool:
        """True if the pair's own bitmap says that the bin array ``index`` holds nothing.

        The bitmap covers arrays -512 to 511 (bit ``index + 512`` of ``liquid_arrays``); of others it says nothing.
        """
        return -512 <= index < 512 and not self.liquid_arrays >> (index + 512) & 1


@dataclass(frozen=True, slots=True)
class BinArrayAccount:
    """Bins ``index * 70`` to ``index * 70 + 69``; the price of a bin that was never used may be zero."""

    pair: bytes
    index: int
    bins: tuple[Bin, ...]


def decode_pair(data: bytes) -> LbPairAccount:
    """Read an LbPair account. Raises AccountError."""
    read = AccountReader(data, "DLMM pair", PAIR_SIZE, PAIR)
    static = read.u16(), read.u16(), read.u16(), read.u16(), read.u32(), read.u32(), read.i32(), read.i32(), read.u16()
    power, function, collect = read.u8(), read.u8(), read.u8()
    read.skip(3)
    accumulator, reference, index = read.u32(), read.u32(), read.i32()
    read.skip(4)
    updated = read.i64()
    read.skip(8 + 1 + 2)
    pair_type, active, step, status = read.u8(), read.i32(), read.u16(), read.u8()
    read.skip(1 + 2)
    activation = read.u8()
    read.skip(1)
    mint_a, mint_b, vault_a, vault_b = read.key(), read.key(), read.key(), read.key()
    read.skip(16 + 32)
    rewards = []
    for _ in range(2):
        rewards.append(read.key())
        read.skip(32 * 2 + 8 * 2 + 16 + 8 * 2)
    read.skip(32)
    bitmap = read.uint(128)
    # Update time, padding, pre-activation address, base key.
    read.skip(8 + 32 + 32 * 2)
    point = read.u64()
    read.require(0 < step <= 10_000, f"bin step is {step}")
    read.require(power <= 9, f"base fee power is {power}")
    read.require(collect <= 1, f"fee mode is {collect}")
    return LbPairAccount(
        *static,
        base_fee_power_factor=power,
        function_type=function,
        collect_fee_mode=collect,
        volatility_accumulator=accumulator,
        volatility_reference=reference,
        index_reference=index,
        last_update_s=updated,
        pair_type=pair_type,
        active_id=active,
        bin_step_bps=step,
        status=status,
        activation_type=activation,
        mint_a=mint_a,
        mint_b=mint_b,
        vault_a=vault_a,
        vault_b=vault_b,
        has_rewards=any(any(mint) for mint in rewards),
        liquid_arrays=bitmap,
        activation_point=point,
    )


def decode_bin_array(data: bytes) -> BinArrayAccount:
    """Read a BinArray account. Raises AccountError."""
    read = AccountReader(data, "DLMM bin array", BIN_ARRAY_SIZE, BIN_ARRAY)
    index = read.i64()
    read.skip(8)
    pair = read.key()
    read.require(-7000 < index < 7000, f"index is {index}")
    return BinArrayAccount(pair, index, tuple(_bin(read) for _ in range(BINS_PER_ARRAY)))


def _bin(read: AccountReader) -> Bin:
    amount_a, amount_b, price = read.u64(), read.u64(), read.u128()
    # Liquidity shares, fulfilled orders, order fees, fee growth.
    read.skip(16 + 8 * 4 + 16 * 2)
    open_order = read.u64()
    read.skip(8)
    processed = read.u64()
    read.skip(4)
    ask = read.u8()
    read.skip(3)
    return Bin(price, amount_a, amount_b, open_order, processed, bool(ask))
