"""Decoded accounts as ``PoolUpdate`` rows (KIND_SNAPSHOT): what a registry learns pools from.

A Whirlpool or CLMM row carries the ticks that its arrays hold, a DLMM row the bins. A pool of two reserves carries them
net of what is owed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mevflow.operators.accounts.dlmm import BinArrayAccount, LbPairAccount
from mevflow.operators.accounts.raydium_amm import AmmV4Account, CpmmConfigAccount, CpmmPoolAccount
from mevflow.operators.accounts.raydium_clmm import ClmmConfigAccount, ClmmPoolAccount, ClmmTickArrayAccount
from mevflow.operators.accounts.snapshot import WhirlpoolSnapshot
from mevflow.operators.accounts.states import (
    MAX_TICK,
    dlmm_state,
    raydium_amm_state,
    raydium_clmm_state,
    raydium_cpmm_state,
)
from mevflow.operators.amm.bins.dlmm import FeeRule
from mevflow.operators.amm.bins.dlmm_math import FEE_PRECISION, fee_rate
from mevflow.operators.amm.concentrated.curve import PIPS, ConcentratedState
from mevflow.operators.amounts import i128, u128
from mevflow.operators.parse.rows import RowBuilder
from mevflow.v1 import market_pb2 as market


@dataclass(frozen=True, slots=True)
class Seen:
    """When accounts were read: chain time in microseconds, and the slot."""

    slot: int
    timestamp_us: int = 0


class PoolUpdates:
    """Gathers rows; :meth:`take` gives them as one batch of ``mevflow.v1.PoolUpdate`` columns."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._rows = RowBuilder("mevflow.v1.PoolUpdate")

    def __len__(self) -> int:
        return len(self._rows)

    def take(self) -> pa.RecordBatch:
        return self._rows.take()

    def whirlpools(self, pools: Iterable[WhirlpoolSnapshot]) -> None:
        """Whole Whirlpools. Mints' decimals are not in their accounts and stay unset.

        A pool whose fee is adaptive is given as removed: its fee depends on an oracle that no row carries.
        """
        for found in pools:
            account = found.account
            if account.adaptive_fee:
                self._refused(found.pool, market.VENUE_ORCA_WHIRLPOOL, account.mint_a, account.mint_b)
                continue
            self._concentrated(
                found.pool, market.VENUE_ORCA_WHIRLPOOL, found.state, mint_a=account.mint_a, mint_b=account.mint_b
            )

    def raydium_clmm(
        self,
        pool: bytes,
        account: ClmmPoolAccount,
        config: ClmmConfigAccount,
        arrays: Iterable[ClmmTickArrayAccount],
        known: tuple[int, int] = (-MAX_TICK, MAX_TICK),
    ) -> None:
        """``arrays`` are all that there are within the ticks of ``known``.

        A pool whose fee is dynamic, or taken in one token only, or that is closed to swaps is given as removed.
        """
        closed = account.swaps_disabled or self._opens_later(account.open_time_s)
        if account.dynamic_fee or account.fee_on or closed:
            self._refused(pool, market.VENUE_RAYDIUM_CLMM, account.mint_a, account.mint_b)
            return
        self._concentrated(
            pool,
            market.VENUE_RAYDIUM_CLMM,
            raydium_clmm_state(account, config, arrays, known),
            mint_a=account.mint_a,
            mint_b=account.mint_b,
            decimals_a=account.decimals_a,
            decimals_b=account.decimals_b,
        )

    def raydium_v4(self, pool: bytes, account: AmmV4Account, vault_a_raw: int, vault_b_raw: int) -> None:
        """``vault_a_raw`` and ``vault_b_raw`` are the vaults' balances. A pool closed to swaps is given as removed."""
        if not account.swaps_enabled:
            self._refused(pool, market.VENUE_RAYDIUM_V4, account.mint_a, account.mint_b)
            return
        state = raydium_amm_state(account, vault_a_raw, vault_b_raw)
        self._add(
            pool,
            market.VENUE_RAYDIUM_V4,
            mint_a=account.mint_a,
            mint_b=account.mint_b,
            decimals_a=account.decimals_a,
            decimals_b=account.decimals_b,
            fee_pips=account.swap_fee_numerator * PIPS // account.swap_fee_denominator,
            **self._reserves(state.reserve_a, state.reserve_b, account.open_time_s),
        )

    def raydium_cpmm(
        self, pool: bytes, account: CpmmPoolAccount, config: CpmmConfigAccount, vault_a_raw: int, vault_b_raw: int
    ) -> None:
        """``vault_a_raw`` and ``vault_b_raw`` are the vaults' balances.

        A creator's fee of every input is one rate with the trade fee. One that is taken in a certain token is another
        rule each way: such a pool is given as removed, and so is one that is closed to swaps.
        """
        state = raydium_cpmm_state(account, config, vault_a_raw, vault_b_raw)
        if account.swaps_disabled or (state.creator_fee_pips and state.creator_fee_on):
            self._refused(pool, market.VENUE_RAYDIUM_CPMM, account.mint_a, account.mint_b)
            return
        self._add(
            pool,
            market.VENUE_RAYDIUM_CPMM,
            mint_a=account.mint_a,
            mint_b=account.mint_b,
            decimals_a=account.decimals_a,
            decimals_b=account.decimals_b,
            fee_pips=state.fee_pips + state.creator_fee_pips,
            **self._reserves(state.reserve_a, state.reserve_b, account.open_time_s),
        )

    def dlmm(self, pool: bytes, account: LbPairAccount, arrays: Iterable[BinArrayAccount] = ()) -> None:
        """A pair with the bins of ``arrays``; without any the row has neither bins nor the rule of their fee.

        A pair that is switched off, or not active yet, is given as removed.
        ``fee_pips`` is of the account's present volatility, rounded up to a hundredth of a basis point.
        Raises AccountError (value) if the active bin's array is not among those given.
        """
        if account.swaps_disabled(self._seen.slot, self._seen.timestamp_us // 1_000_000):
            self._refused(pool, market.VENUE_METEORA_DLMM, account.mint_a, account.mint_b)
            return
        rate = fee_rate(
            account.bin_step_bps,
            account.base_factor,
            account.base_fee_power_factor,
            account.variable_fee_control,
            account.volatility_accumulator,
        )
        self._add(
            pool,
            market.VENUE_METEORA_DLMM,
            mint_a=account.mint_a,
            mint_b=account.mint_b,
            fee_pips=-(-rate * PIPS // FEE_PRECISION),
            tick_spacing=account.bin_step_bps,
            tick=account.active_id,
            **_bins(account, arrays),
        )

    def _reserves(self, a: int, b: int, open_time_s: int) -> dict[str, bytes]:
        """None before a pool opens: its first swap states them."""
        return {} if self._opens_later(open_time_s) else {"reserve_a": u128(a), "reserve_b": u128(b)}

    def _opens_later(self, open_time_s: int) -> bool:
        """Whether a pool is not open yet. A time of 0 is not known."""
        return 0 < self._seen.timestamp_us < open_time_s * 1_000_000

    def _refused(self, pool: bytes, venue: int, mint_a: bytes, mint_b: bytes) -> None:
        """A pool whose fee no row can carry: nothing is to be found through it."""
        self._add(pool, venue, kind=market.PoolUpdate.KIND_REMOVE, mint_a=mint_a, mint_b=mint_b)

    def _concentrated(self, pool: bytes, venue: int, state: ConcentratedState, **fields: Any) -> None:
        known = state.known_tick_lower, state.known_tick_upper
        if known != (-MAX_TICK, MAX_TICK):
            fields |= {"known_tick_lower": known[0], "known_tick_upper": known[1], "known_range_set": True}
        self._add(
            pool,
            venue,
            fee_pips=state.fee_pips,
            tick_spacing=state.tick_spacing,
            sqrt_price_x64=u128(state.sqrt_price),
            liquidity=u128(state.liquidity),
            tick=state.tick,
            ticks=[
                {"tick": tick, "liquidity_net": i128(net)}
                for tick, net in zip(state.ticks, state.liquidity_net, strict=True)
            ],
            **fields,
        )

    def _add(self, pool: bytes, venue: int, **fields: Any) -> None:
        self._rows.add(
            chain=market.CHAIN_SOLANA,
            slot=self._seen.slot,
            timestamp_us=self._seen.timestamp_us,
            venue=venue,
            pool=pool,
            **{"kind": market.PoolUpdate.KIND_SNAPSHOT, **fields},
        )


def _bins(account: LbPairAccount, arrays: Iterable[BinArrayAccount]) -> dict[str, Any]:
    held = list(arrays)
    if not held:
        return {}
    state = dlmm_state(account, held)
    rule, moved = state.fees, state.volatility
    fees = {name: getattr(rule, name) for name in FeeRule.__dataclass_fields__} | {
        "volatility_accumulator": moved.accumulator,
        "volatility_reference": moved.reference,
        "index_reference": moved.index_reference,
        "last_update_s": moved.last_update_s,
        "fee_in_b_only": state.fee_in_b_only,
        "limit_orders": state.limit_orders,
    }
    bins = [
        {
            "id": number,
            "amount_a": u128(found.amount_a),
            "amount_b": u128(found.amount_b),
            "open_order": u128(found.open_order),
            "processed_order": u128(found.processed_order),
            "order_is_ask": found.order_is_ask,
        }
        for number, found in sorted(state.bins.items())
    ]
    known = {"known_tick_lower": state.known_lower, "known_tick_upper": state.known_upper, "known_range_set": True}
    return {"bin_fees": fees, "bins": bins, **known}
