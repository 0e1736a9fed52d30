"""What a row of the stream says, field by field: a ``PoolUpdate`` and a ``Swap`` as ``as_py`` gives them.

Amounts are little-endian bytes, empty where the row does not tell them. A message that is not there is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypedDict, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: So many rows are read at once, ticks and bins counted as rows: one costs a tenth of what it would alone, and a block
#: of maps, however large somebody makes them, holds little more than the largest.
_BLOCK = 1_024
Told = TypeVar("Told", bound=Mapping[str, object])


class TickTold(TypedDict):
    """``TickLiquidity``: an initialized tick."""

    tick: int
    liquidity_net: bytes  # i128
    liquidity_gross: bytes  # u128


class CoinTold(TypedDict):
    """``StableCoin``: a coin of a stable-swap or weighted pool."""

    mint: bytes
    balance: bytes  # u128
    rate: bytes  # u128
    weight: bytes  # u128


class CurveTold(TypedDict):
    """``StableCurve``: coins in the contract's order (none: a part is told), amplification (or weights) and fees."""

    coins: list[CoinTold]
    amp: int
    amp_precision: int
    fee_numerator: int
    fee_denominator: int
    admin_fee_numerator: int
    admin_fee_denominator: int
    offpeg_fee_multiplier: int
    one_division: bool


class BinTold(TypedDict):
    """``Bin``: what a price bin holds."""

    id: int
    amount_a: bytes  # u128
    amount_b: bytes
    open_order: bytes
    processed_order: bytes
    order_is_ask: bool


class BinFeesTold(TypedDict):
    """``BinFees``: the fee rule of a pool of bins and where its volatility stands."""

    base_factor: int
    base_fee_power: int
    filter_period_s: int
    decay_period_s: int
    reduction_factor_bps: int
    variable_fee_control: int
    max_volatility_accumulator: int
    protocol_share_bps: int
    volatility_accumulator: int
    volatility_reference: int
    index_reference: int
    last_update_s: int
    fee_in_b_only: bool
    limit_orders: bool


class _Event(TypedDict):
    """Where a row stands in the chain."""

    chain: int
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int


class UpdateTold(_Event):
    """A ``PoolUpdate``; see market.proto for what each kind sets."""

    venue: int
    pool: bytes
    kind: int
    mint_a: bytes
    mint_b: bytes
    decimals_a: int
    decimals_b: int
    fee_pips: int
    tick_spacing: int
    reserve_a: bytes
    reserve_b: bytes
    sqrt_price_x64: bytes
    sqrt_price_x96: bytes
    liquidity: bytes
    tick: int
    tick_lower: int
    tick_upper: int
    liquidity_delta: bytes  # i128
    ticks: list[TickTold]
    known_tick_lower: int
    known_tick_upper: int
    known_range_set: bool
    symbol_a: str
    symbol_b: str
    stable: CurveTold | None
    bins: list[BinTold]
    bin_fees: BinFeesTold | None


class SwapTold(_Event):
    """A ``Swap``, as far as it says what its pool is like afterwards."""

    mint_in: bytes
    mint_out: bytes
    a_to_b: bool
    tick: int
    fee_pips: int
    amount_in: bytes
    amount_out: bytes
    reserve_a: bytes
    reserve_b: bytes
    sqrt_price_x64: bytes
    sqrt_price_x96: bytes
    liquidity: bytes


class ToldRows(Generic[Told]):
    """Rows of a batch field by field, for one who asks for them about in the order ``rows``."""

    def __init__(self, batch: pa.RecordBatch, told: type[Told], rows: NDArray[np.int64]) -> None:
        self._batch, self._rows = batch.select(list(told.__annotations__)), rows
        self._place = np.zeros(batch.num_rows, np.int64)
        self._place[rows] = np.arange(len(rows))
        sizes = np.ones(batch.num_rows, np.int64)
        for column in self._batch.columns:
            if pa.types.is_list(column.type):
                sizes += pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        self._block = np.cumsum(sizes[rows]) // _BLOCK  # of each of ``rows``, ascending
        self._begin, self._read = 0, cast("list[Told]", [])

    def __getitem__(self, row: int) -> Told:
        at = int(self._place[row])
        if not self._begin <= at < self._begin + len(self._read):
            self._begin, end = np.searchsorted(self._block, [self._block[at], self._block[at] + 1]).tolist()
            self._read = self._batch.take(pa.array(self._rows[self._begin : end])).to_pylist()
        return self._read[at - self._begin]
