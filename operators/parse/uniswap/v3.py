"""Raw Uniswap v3 logs -> ``Swap`` and ``PoolUpdate`` messages.

A Swap log states the price, the liquidity and the tick after it; those are what the messages carry. Every log is
also checked: the swap is run again from the carried state in the contract's own arithmetic and must give the
recorded amounts, price, liquidity and tick to the unit. The tick map at the start is not on record, so a swap that
passes where liquidity is unknown tries the ways in which it may change there, and what reproduces the log is
learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from mevflow.operators.amm.concentrated import uniswap_v3
from mevflow.operators.amm.concentrated.curve import ConcentratedState, position_amounts
from mevflow.operators.amounts import i128, u128, u160
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.numbers import MAX_U128
from mevflow.operators.parse.output import CHUNK_ROWS, Output, ParseFigures
from mevflow.operators.parse.uniswap.explain import SwapOutcome, explain
from mevflow.operators.parse.uniswap.logs import Coordinates, InitializeLog, LiquidityLog, SwapLog, read_log
from mevflow.operators.parse.uniswap.pools import UniswapPool
from mevflow.operators.parse.uniswap.segments import Segments
from mevflow.v1 import market_pb2 as market


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A csv row with the pool that it belongs to and where it was read."""

    pool: UniswapPool
    file: str
    number: int
    text: str


@dataclass(slots=True)
class PoolState:
    """One pool as it stands. Before its first Swap log the price is not known."""

    pool: UniswapPool
    segments: Segments
    sqrt_price: int = 0
    liquidity: int = 0
    tick: int = 0
    seen: bool = False
    #: What a consumer of the updates so far knows: lower, upper, net by tick.
    published: tuple[int, int, dict[int, int]] | None = None
    figures: ParseFigures = field(default_factory=ParseFigures)


class UniswapDay:
    """Carries pools forward through their logs. ``pools`` may be read at any time."""

    def __init__(self, on_error: OnError | None = None) -> None:
        """Without ``on_error`` the first bad line raises ParseError."""
        self.pools: dict[bytes, PoolState] = {}
        self._output = Output(on_error)
        self._last = (-1, 0, 0)
        self._timestamp_us = 0

    def parse(self, rows: Iterable[CsvRow], chunk_rows: int = CHUNK_ROWS) -> Iterator[pa.RecordBatch]:
        """Batches from csv rows in chain order; see :meth:`WhirlpoolDay.parse`.

        A snapshot goes before the first swap of each pool, and before every swap that changed what is known of
        the liquidity around the price: it has that swap's coordinates, and the state after it.
        """
        for row in rows:
            try:
                self._row(row)
            except ParseError as error:
                error.payload = error.payload or row.text.encode("utf-8", "replace")
                self._output.reject(error, row.file, row.number, self._timestamp_us)
            if self._output.full(chunk_rows):
                yield from self._output.flush()
        yield from self._output.flush()

    def _row(self, row: CsvRow) -> None:
        log, pool = read_log(row.text), row.pool
        if log.at.order <= self._last:
            raise ParseError(f"log {log.at.order} comes after {self._last}", reason="out_of_order")
        self._last, self._timestamp_us = log.at.order, log.at.timestamp_us
        state = self.pools.setdefault(pool.address, PoolState(pool, Segments(pool.tick_spacing)))
        if isinstance(log, SwapLog):
            self._swap(state, log)
        elif isinstance(log, InitializeLog):
            self._initialize(state, log)
        elif isinstance(log, LiquidityLog) and log.delta:
            self._liquidity(state, log)

    def _initialize(self, state: PoolState, log: InitializeLog) -> None:
        if state.seen:
            raise ParseError("a pool that has traded is initialized", reason="out_of_order")
        state.sqrt_price, state.tick, state.liquidity, state.seen = log.sqrt_price, log.tick, 0, True
        state.segments.learn({state.segments.of(log.tick): 0})
        self._output.updates.add(**_where(log.at, b""), **_columns(state), kind=market.PoolUpdate.KIND_CREATE)

    def _swap(self, state: PoolState, log: SwapLog) -> None:
        a_to_b = log.amount0 > 0 or (log.amount0 == 0 and log.amount1 < 0)
        moved_in, moved_out = (log.amount0, -log.amount1) if a_to_b else (log.amount1, -log.amount0)
        if not 0 <= moved_in <= MAX_U128 or not 0 <= moved_out <= MAX_U128:
            raise ParseError(f"a swap of {moved_in} for {moved_out}", reason="impossible_amount")
        state.figures.first += not state.seen
        exact = state.seen and _learn(
            state, SwapOutcome(a_to_b, moved_in, moved_out, log.sqrt_price, log.liquidity, log.tick)
        )
        state.sqrt_price, state.liquidity, state.tick = log.sqrt_price, log.liquidity, log.tick
        state.seen = True
        state.segments.learn({state.segments.of(log.tick): log.liquidity})
        state.figures.swaps += 1
        state.figures.exact += exact
        # The first swap of a pool has nothing to be checked against: it states where the pool stands.
        state.figures.reanchored += not exact
        self._publish(state, log.at, log.sender)
        pool = state.pool
        self._output.swaps.add(
            **_where(log.at, log.sender),
            pool=pool.address,
            mint_in=pool.token0 if a_to_b else pool.token1,
            mint_out=pool.token1 if a_to_b else pool.token0,
            amount_in=u128(moved_in),
            amount_out=u128(moved_out),
            sqrt_price_x96=u160(log.sqrt_price),
            liquidity=u128(log.liquidity),
            tick=log.tick,
            fee_pips=pool.fee_pips,
            a_to_b=a_to_b,
            reanchored=not exact,
        )

    def _liquidity(self, state: PoolState, log: LiquidityLog) -> None:
        spacing = state.pool.tick_spacing
        if log.lower % spacing or log.upper % spacing:
            raise ParseError(f"[{log.lower}, {log.upper}) does not fit spacing {spacing}")
        active = state.liquidity + (log.delta if log.lower <= state.tick < log.upper else 0)
        if state.seen and active < 0:
            raise ParseError(f"liquidity {state.liquidity} cannot change by {log.delta}", reason="impossible_amount")
        exact = state.seen and (log.amount0, log.amount1) == position_amounts(
            uniswap_v3.RULES, state.sqrt_price, state.tick, log.lower, log.upper, abs(log.delta), log.delta > 0
        )
        state.segments.change(log.lower, log.upper, log.delta)
        if state.seen:
            state.liquidity = active
            state.segments.learn({state.segments.of(state.tick): active})
        state.figures.changes += 1
        state.figures.exact_changes += exact
        if state.published is not None:
            state.published = _changed(state.published, log.lower, log.upper, log.delta)
        self._output.updates.add(
            **_where(log.at, log.owner),
            **_columns(state),
            kind=market.PoolUpdate.KIND_LIQUIDITY,
            tick_lower=log.lower,
            tick_upper=log.upper,
            liquidity_delta=i128(log.delta),
            reanchored=state.seen and not exact,
        )
        if state.seen:
            self._publish(state, log.at, log.owner)

    def _publish(self, state: PoolState, at: Coordinates, signer: bytes) -> None:
        """State the known ticks whole, if they are not what the updates so far say."""
        known = state.segments.around(state.tick)
        if state.published == known:
            return
        state.published = known
        self._output.updates.add(
            **_where(at, signer),
            **_columns(state),
            kind=market.PoolUpdate.KIND_SNAPSHOT,
            ticks=[
                {"tick": tick, "liquidity_net": i128(net), "liquidity_gross": b""} for tick, net in known[2].items()
            ],
        )


def parse_uniswap_day(
    rows: Iterable[CsvRow], on_error: OnError | None = None, chunk_rows: int = CHUNK_ROWS
) -> Iterator[pa.RecordBatch]:
    """Logs -> batches; see :meth:`UniswapDay.parse`. Raises ParseError unless ``on_error`` takes it."""
    return UniswapDay(on_error).parse(rows, chunk_rows)


def _where(at: Coordinates, signer: bytes) -> dict[str, object]:
    return {
        "chain": market.CHAIN_ETHEREUM,
        "venue": market.VENUE_UNISWAP_V3,
        "slot": at.block,
        "tx_index": at.tx_index,
        "ix_index": at.log_index,
        "timestamp_us": at.timestamp_us,
        "signature": at.transaction,
        "signer": signer,
    }


def _columns(state: PoolState) -> dict[str, object]:
    """The columns that every update of a pool fills; price and liquidity only once a log stated them."""
    pool = state.pool
    columns: dict[str, object] = {
        "pool": pool.address,
        "mint_a": pool.token0,
        "mint_b": pool.token1,
        "symbol_a": pool.symbols[0],
        "symbol_b": pool.symbols[1],
        "decimals_a": pool.decimals[0],
        "decimals_b": pool.decimals[1],
        "fee_pips": pool.fee_pips,
        "tick_spacing": pool.tick_spacing,
    }
    if state.seen:
        lower, upper, _ = state.segments.around(state.tick)
        columns |= {
            "sqrt_price_x96": u160(state.sqrt_price),
            "liquidity": u128(state.liquidity),
            "tick": state.tick,
            "known_tick_lower": lower,
            "known_tick_upper": upper,
            "known_range_set": True,
        }
    return columns


def _changed(
    published: tuple[int, int, dict[int, int]], lower: int, upper: int, delta: int
) -> tuple[int, int, dict[int, int]]:
    """What a consumer knows after a position's change: ticks strictly inside the known range."""
    known_lower, known_upper, nets = published
    nets = dict(nets)
    for tick, net in ((lower, delta), (upper, -delta)):
        if known_lower < tick < known_upper:
            nets[tick] = nets.get(tick, 0) + net
            if not nets[tick]:
                del nets[tick]
    return known_lower, known_upper, dict(sorted(nets.items()))


def _learn(state: PoolState, outcome: SwapOutcome) -> bool:
    """Whether running the swap again gives the log to the unit; learns the liquidity that it passed through."""
    segments = state.segments
    first, last = sorted((segments.of(state.tick), segments.of(outcome.tick)))
    path = None
    if first < last or state.liquidity == outcome.liquidity:
        before = ConcentratedState(
            sqrt_price=state.sqrt_price,
            liquidity=state.liquidity,
            tick=state.tick,
            fee_pips=state.pool.fee_pips,
            tick_spacing=state.pool.tick_spacing,
        )
        path = explain(segments, before, outcome)
    if path is not None:
        segments.learn(path)
    elif segments.knows(first, last):
        # Nothing was guessed, so what was thought to be known is wrong.
        segments.forget(first, last)
    return path is not None
