"""Accounts put together into the state that a quote takes."""

from __future__ import annotations

from collections.abc import Iterable

from mevflow.operators.accounts.dlmm import BINS_PER_ARRAY, BinArrayAccount, LbPairAccount
from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.raydium_amm import AmmV4Account, CpmmConfigAccount, CpmmPoolAccount
from mevflow.operators.accounts.raydium_clmm import ClmmConfigAccount, ClmmPoolAccount, ClmmTickArrayAccount
from mevflow.operators.accounts.whirlpool import TickArrayAccount, WhirlpoolAccount
from mevflow.operators.amm.bins.dlmm import DlmmState, FeeRule, Volatility, state_of
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.pairs.raydium_cpmm import CpmmState
from mevflow.operators.amm.pairs.raydium_v4 import AmmV4State

#: As far as any venue's ticks go: nothing is unknown.
MAX_TICK = 887_272
#: ``function_type`` of a pair: decided by whether it pays rewards, rewards only, limit orders only.
_UNDETERMINED, _LIMIT_ORDERS = 0, 2


def whirlpool_state(pool: WhirlpoolAccount, arrays: Iterable[TickArrayAccount]) -> ConcentratedState:
    """A Whirlpool with all ticks of ``arrays``. An array that does not exist holds no initialized tick."""
    ticks = sorted(tick for array in arrays for tick in array.ticks(pool.tick_spacing))
    return ConcentratedState(
        sqrt_price=pool.sqrt_price,
        liquidity=pool.liquidity,
        tick=pool.tick,
        fee_pips=pool.fee_pips,
        tick_spacing=pool.tick_spacing,
        ticks=tuple(tick for tick, _, _ in ticks),
        liquidity_net=tuple(net for _, net, _ in ticks),
        protocol_fee_bps=pool.protocol_fee_bps,
    )


def raydium_clmm_state(
    pool: ClmmPoolAccount,
    config: ClmmConfigAccount,
    arrays: Iterable[ClmmTickArrayAccount],
    known: tuple[int, int] = (-MAX_TICK, MAX_TICK),
) -> ConcentratedState:
    """A Raydium CLMM pool with all ticks of ``arrays``, which are those of ``known``, up to the nearest limit orders.

    Raises AccountError (value) for a pool that takes its fees in one token only, or whose fee is dynamic.
    """
    if pool.fee_on:
        raise AccountError("a Raydium CLMM pool that takes fees in one token only is not covered", reason="value")
    if pool.dynamic_fee:
        raise AccountError("a Raydium CLMM pool with a dynamic fee is not covered", reason="value")
    given = list(arrays)
    ticks = sorted(tick for array in given for tick in array.ticks)
    orders = [tick for array in given for tick in array.orders]
    return ConcentratedState(
        known_tick_lower=max([known[0], *(tick for tick in orders if tick <= pool.tick)]),
        known_tick_upper=min([known[1], *(tick for tick in orders if tick > pool.tick)]),
        sqrt_price=pool.sqrt_price,
        liquidity=pool.liquidity,
        tick=pool.tick,
        fee_pips=config.fee_pips,
        tick_spacing=pool.tick_spacing,
        ticks=tuple(tick for tick, _, _ in ticks),
        liquidity_net=tuple(net for _, net, _ in ticks),
        protocol_fee_bps=(config.protocol_fee_pips + config.fund_fee_pips) // 100,
    )


def raydium_amm_state(pool: AmmV4Account, vault_a_raw: int, vault_b_raw: int) -> AmmV4State:
    """A Raydium AMM v4 pool with its vaults' balances. Raises AccountError (value) if more is owed than they hold."""
    if vault_a_raw < pool.owed_a or vault_b_raw < pool.owed_b:
        raise AccountError("a Raydium AMM v4 pool owes more than its vaults hold", reason="value")
    return AmmV4State(
        vault_a_raw - pool.owed_a, vault_b_raw - pool.owed_b, pool.swap_fee_numerator, pool.swap_fee_denominator
    )


def raydium_cpmm_state(
    pool: CpmmPoolAccount, config: CpmmConfigAccount, vault_a_raw: int, vault_b_raw: int
) -> CpmmState:
    """A Raydium CPMM pool with its vaults' balances. Raises AccountError (value) if more is owed than they hold."""
    if vault_a_raw < pool.owed_a or vault_b_raw < pool.owed_b:
        raise AccountError("a Raydium CPMM pool owes more than its vaults hold", reason="value")
    return CpmmState(
        reserve_a=vault_a_raw - pool.owed_a,
        reserve_b=vault_b_raw - pool.owed_b,
        fee_pips=config.fee_pips,
        protocol_fee_pips=config.protocol_fee_pips,
        fund_fee_pips=config.fund_fee_pips,
        creator_fee_pips=config.creator_fee_pips if pool.creator_fee_enabled else 0,
        creator_fee_on=pool.creator_fee_on,
    )


def dlmm_state(pair: LbPairAccount, arrays: Iterable[BinArrayAccount]) -> DlmmState:
    """A DLMM pair with all bins of ``arrays``.

    Known is the unbroken run around the price of arrays that are given or that the pair's bitmap says are empty.
    Raises AccountError (value) if the array of the active bin is neither.
    """
    held = {array.index: array for array in arrays}

    def known(index: int) -> bool:
        return index in held or pair.array_is_empty(index)

    low = high = pair.active_id // BINS_PER_ARRAY
    if not known(low):
        raise AccountError(f"the bin array {low} of the active bin {pair.active_id} is missing", reason="value")
    while known(low - 1):
        low -= 1
    while known(high + 1):
        high += 1
    bins = {
        index * BINS_PER_ARRAY + place: found
        for index, array in held.items()
        if low <= index <= high
        for place, found in enumerate(array.bins)
        if found.amount_a or found.amount_b or found.open_order or found.processed_order
    }
    return state_of(
        bin_step_bps=pair.bin_step_bps,
        active_id=pair.active_id,
        fees=FeeRule(
            base_factor=pair.base_factor,
            base_fee_power=pair.base_fee_power_factor,
            filter_period_s=pair.filter_period_s,
            decay_period_s=pair.decay_period_s,
            reduction_factor_bps=pair.reduction_factor_bps,
            variable_fee_control=pair.variable_fee_control,
            max_volatility_accumulator=pair.max_volatility_accumulator,
            protocol_share_bps=pair.protocol_share_bps,
        ),
        volatility=Volatility(
            pair.volatility_accumulator, pair.volatility_reference, pair.index_reference, pair.last_update_s
        ),
        bins=bins,
        limit_orders=pair.function_type == _LIMIT_ORDERS
        or (pair.function_type == _UNDETERMINED and not pair.has_rewards),
        fee_in_b_only=pair.collect_fee_mode == 1,
        known=(low * BINS_PER_ARRAY, high * BINS_PER_ARRAY + BINS_PER_ARRAY - 1),
    )
