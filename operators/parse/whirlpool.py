"""Recorded Whirlpool instructions -> ``Swap`` and ``PoolUpdate`` messages.

A pool's price, liquidity and ticks are carried forward by the program's own integer arithmetic. What the vaults saw
checks every step: where the arithmetic does not give the recorded amounts, the price is re-anchored on them and the
row says so. Amounts in the messages are always the recorded ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from operators.amm import tick_math_x64 as tick_math
from operators.amm import whirlpool
from operators.amm.concentrated import AmmError, ConcentratedState, Quote
from operators.amm.inverse import Pricing, price_explaining, prices_moving
from operators.amm.tick_map import TickMap
from operators.parse.errors import OnError, ParseError, dead_letters
from operators.parse.numbers import MAX_U128, amount, net_liquidity, public_key, signature
from operators.parse.rows import Rows, i128, u128
from operators.parse.whirlpool_lines import (
    ClosePayload,
    Instruction,
    LiquidityPayload,
    OpenPayload,
    PoolPayload,
    Slot,
    SwapPayload,
    Transaction,
    is_empty,
    read_payload,
    read_slot,
)
from operators.parse.whirlpool_state import Mint, PoolStart, StartState
from proto.mevflow.v1 import market_pb2 as market

#: Rows of one message that a batch holds, about.
CHUNK_ROWS = 4096
#: How far a re-anchored price may be from the carried one: 1 / REACH of it.
_REACH = 100
_US = 1_000_000


@dataclass(slots=True)
class Figures:
    """How well the arithmetic met the record, for one pool."""

    swaps: int = 0
    exact: int = 0
    reanchored: int = 0
    changes: int = 0
    exact_changes: int = 0


@dataclass(slots=True)
class Pool:
    """One pool as it stands."""

    mint_a: bytes
    mint_b: bytes
    symbols: tuple[str, str]
    decimals: tuple[int, int]
    tick_spacing: int
    fee_pips: int
    protocol_fee_bps: int
    sqrt_price: int
    liquidity: int
    tick: int
    ticks: TickMap
    figures: Figures = field(default_factory=Figures)

    def state(self) -> ConcentratedState:
        """What a swap needs to know."""
        ticks, nets = self.ticks.arrays()
        return ConcentratedState(
            sqrt_price=self.sqrt_price,
            liquidity=self.liquidity,
            tick=self.tick,
            fee_pips=self.fee_pips,
            tick_spacing=self.tick_spacing,
            ticks=ticks,
            liquidity_net=nets,
            known_tick_lower=tick_math.MIN_TICK,
            known_tick_upper=tick_math.MAX_TICK,
            protocol_fee_bps=self.protocol_fee_bps,
        )

    def take(self, quote: Quote) -> None:
        """Stand where a swap ended."""
        self.sqrt_price, self.liquidity = quote.sqrt_price_after, quote.liquidity_after
        self.tick = quote.tick_after


@dataclass(frozen=True, slots=True)
class _Where:
    """The chain coordinates of an instruction, as every row carries them."""

    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int
    signature: bytes
    signer: bytes

    def columns(self) -> dict[str, object]:
        return {
            "chain": market.CHAIN_SOLANA,
            "venue": market.VENUE_ORCA_WHIRLPOOL,
            "slot": self.slot,
            "tx_index": self.tx_index,
            "ix_index": self.ix_index,
            "timestamp_us": self.timestamp_us,
            "signature": self.signature,
            "signer": self.signer,
        }


class WhirlpoolDay:
    """Replays recorded lines from a start state. ``pools`` and ``figures`` may be read at any time."""

    def __init__(self, start: StartState, file: str = "", on_error: OnError | None = None) -> None:
        """``file`` names the lines in errors; without ``on_error`` the first bad line raises ParseError."""
        self.pools: dict[str, Pool] = {}
        self._start = start
        self._file = file
        self._on_error = on_error
        self._positions = {p.position: (p.pool, p.lower, p.upper) for p in start.positions}
        self._swaps = Rows("mevflow.v1.Swap")
        self._updates = Rows("mevflow.v1.PoolUpdate")
        self._rejected: list[ParseError] = []
        self._slot = start.slot
        self._block_time = start.block_time
        for index, pool in enumerate(sorted(start.pools, key=lambda each: each.pool)):
            self.pools[pool.pool] = self._pool_at_start(pool)
            self._snapshot(pool.pool, index)

    def parse(self, lines: Iterable[bytes], chunk_rows: int = CHUNK_ROWS) -> Iterator[pa.RecordBatch]:
        """Batches of ``PoolUpdate``, ``Swap`` and (with ``on_error``) ``DeadLetter``, told apart by their metadata.

        Every round of batches covers a stretch of slots that no other round touches; within a batch rows are in
        chain order. The first round begins with a snapshot of every pool of the start state.
        """
        for number, line in enumerate(lines, 1):
            if is_empty(line):
                continue
            try:
                self._line(read_slot(line), number)
            except ParseError as error:
                self._reject(error, number)
            if max(len(self._swaps), len(self._updates), len(self._rejected)) >= chunk_rows:
                yield from self._flush()
        yield from self._flush()

    def _flush(self) -> Iterator[pa.RecordBatch]:
        if self._updates:
            yield self._updates.take()
        if self._swaps:
            yield self._swaps.take()
        if self._rejected:
            rejected, self._rejected = self._rejected, []
            yield dead_letters(rejected)

    def _reject(self, error: ParseError, line: int) -> None:
        error.file, error.line = self._file, line
        error.timestamp_us = error.timestamp_us or self._block_time * _US
        if self._on_error is None:
            raise error
        self._on_error(error)
        self._rejected.append(error)

    def _line(self, slot: Slot, line: int) -> None:
        if slot.slot <= self._slot:
            raise ParseError(f"slot {slot.slot} comes after slot {self._slot}", reason="out_of_order")
        self._slot, self._block_time = slot.slot, slot.block_time
        for transaction in slot.transactions:
            for index, instruction in enumerate(transaction.instructions):
                try:
                    self._instruction(slot, transaction, index, instruction)
                except ParseError as error:
                    error.payload = error.payload or bytes(instruction.payload)
                    self._reject(error, line)

    def _instruction(self, slot: Slot, transaction: Transaction, index: int, instruction: Instruction) -> None:
        payload = read_payload(instruction)
        if payload is None:
            return
        where = _Where(
            slot.slot,
            transaction.index,
            index,
            slot.block_time * _US,
            signature(transaction.signature),
            public_key(transaction.payer),
        )
        match payload:
            case SwapPayload():
                self._swap(where, payload)
            case LiquidityPayload():
                self._liquidity(where, payload, 1 if instruction.name == "increaseLiquidity" else -1)
            case OpenPayload():
                self._open(payload)
            case ClosePayload():
                self._positions.pop(payload.position, None)
            case PoolPayload():
                self._create(where, payload)

    def _pool(self, address: str) -> Pool:
        if address not in self.pools:
            raise ParseError(f"pool {address[:60]!r} is not in the start state", reason="unknown_pool")
        return self.pools[address]

    def _swap(self, where: _Where, payload: SwapPayload) -> None:
        pool = self._pool(payload.pool)
        asked, limit = amount(payload.amount), amount(payload.sqrt_price_limit, MAX_U128)
        moved = amount(payload.moved_in), amount(payload.moved_out)
        if payload.a_to_b not in (0, 1) or payload.exact_in not in (0, 1):
            raise ParseError("a swap's direction and kind are 0 or 1")
        a_to_b = bool(payload.a_to_b)
        quote = _quote(pool.state(), a_to_b, asked, bool(payload.exact_in), limit or None)
        exact = quote is not None and (quote.amount_in, quote.amount_out) == moved
        if not exact:
            quote = _anchored(pool, a_to_b, *moved)
        if quote is not None:
            pool.take(quote)
        pool.figures.swaps += 1
        pool.figures.exact += exact
        pool.figures.reanchored += not exact
        self._swaps.add(
            **where.columns(),
            pool=public_key(payload.pool),
            mint_in=pool.mint_a if a_to_b else pool.mint_b,
            mint_out=pool.mint_b if a_to_b else pool.mint_a,
            amount_in=u128(moved[0]),
            amount_out=u128(moved[1]),
            sqrt_price_x64=u128(pool.sqrt_price),
            liquidity=u128(pool.liquidity),
            tick=pool.tick,
            fee_pips=pool.fee_pips,
            a_to_b=a_to_b,
            reanchored=not exact,
        )

    def _liquidity(self, where: _Where, payload: LiquidityPayload, sign: int) -> None:
        pool = self._pool(payload.pool)
        if payload.position not in self._positions:
            raise ParseError(f"position {payload.position[:60]!r} has no known range", reason="unknown_position")
        owner, lower, upper = self._positions[payload.position]
        if owner != payload.pool:
            raise ParseError(f"position {payload.position} belongs to {owner}", reason="unknown_position")
        size = amount(payload.liquidity, MAX_U128)
        moved = amount(payload.moved_a), amount(payload.moved_b)
        active = pool.liquidity + (sign * size if lower <= pool.tick < upper else 0)
        if not 0 <= active <= MAX_U128:
            raise ParseError(f"liquidity {pool.liquidity} cannot become {active}", reason="impossible_amount")
        exact = whirlpool.position_amounts(pool.sqrt_price, pool.tick, lower, upper, size, sign > 0) == moved
        try:
            pool.ticks.change(lower, upper, sign * size)
        except AmmError as wrong:
            raise ParseError(wrong.message, reason="impossible_amount") from wrong
        if not exact:
            _anchor_on_position(pool, lower, upper, size, sign > 0, moved)
        pool.liquidity = active
        pool.figures.changes += 1
        pool.figures.exact_changes += exact
        self._updates.add(
            **where.columns(),
            **self._columns(payload.pool, pool),
            kind=market.PoolUpdate.KIND_LIQUIDITY,
            tick_lower=lower,
            tick_upper=upper,
            liquidity_delta=i128(sign * size),
            reanchored=not exact,
        )

    def _open(self, payload: OpenPayload) -> None:
        pool = self._pool(payload.pool)
        public_key(payload.position)
        for tick in (payload.lower, payload.upper):
            if not tick_math.MIN_TICK <= tick <= tick_math.MAX_TICK or tick % pool.tick_spacing:
                raise ParseError(f"tick {tick} cannot bound a position of this pool")
        if payload.lower >= payload.upper:
            raise ParseError(f"a range is ascending, not [{payload.lower}, {payload.upper})")
        self._positions[payload.position] = payload.pool, payload.lower, payload.upper

    def _create(self, where: _Where, payload: PoolPayload) -> None:
        if payload.pool in self.pools:
            raise ParseError(f"pool {payload.pool} exists already", reason="impossible_pool")
        if payload.fee_tier not in self._start.fee_tiers:
            raise ParseError(f"fee tier {payload.fee_tier[:60]!r} is not known", reason="unknown_fee_tier")
        price = amount(payload.sqrt_price, MAX_U128)
        if not tick_math.MIN_SQRT_PRICE <= price <= tick_math.MAX_SQRT_PRICE or not 0 < payload.tick_spacing < 1 << 16:
            raise ParseError(
                f"a pool at {price} with spacing {payload.tick_spacing} is impossible", reason="impossible_pool"
            )
        mint_a, mint_b = self._mint(payload.mint_a), self._mint(payload.mint_b)
        pool = Pool(
            mint_a=public_key(payload.mint_a),
            mint_b=public_key(payload.mint_b),
            symbols=(mint_a.symbol, mint_b.symbol),
            decimals=(mint_a.decimals, mint_b.decimals),
            tick_spacing=payload.tick_spacing,
            fee_pips=self._start.fee_tiers[payload.fee_tier],
            protocol_fee_bps=self._start.protocol_fees_bps.get(payload.config, 0),
            sqrt_price=price,
            liquidity=0,
            tick=tick_math.tick_at(price),
            ticks=TickMap(),
        )
        columns = self._columns(payload.pool, pool)
        self.pools[payload.pool] = pool
        self._updates.add(**where.columns(), **columns, kind=market.PoolUpdate.KIND_CREATE)

    def _mint(self, address: str) -> Mint:
        if address not in self._start.mints:
            raise ParseError(f"mint {address[:60]!r} is not known", reason="unknown_mint")
        return self._start.mints[address]

    def _pool_at_start(self, start: PoolStart) -> Pool:
        mint_a, mint_b = self._mint(start.mint_a), self._mint(start.mint_b)
        return Pool(
            mint_a=public_key(start.mint_a),
            mint_b=public_key(start.mint_b),
            symbols=(mint_a.symbol, mint_b.symbol),
            decimals=(mint_a.decimals, mint_b.decimals),
            tick_spacing=start.tick_spacing,
            fee_pips=start.fee_pips,
            protocol_fee_bps=start.protocol_fee_bps,
            sqrt_price=amount(start.sqrt_price, MAX_U128),
            liquidity=amount(start.liquidity, MAX_U128),
            tick=start.tick,
            ticks=TickMap((t, net_liquidity(net), amount(gross, MAX_U128)) for t, net, gross in start.ticks),
        )

    def _columns(self, address: str, pool: Pool) -> dict[str, object]:
        """The columns that every update of a pool fills."""
        return {
            "pool": public_key(address),
            "mint_a": pool.mint_a,
            "mint_b": pool.mint_b,
            "symbol_a": pool.symbols[0],
            "symbol_b": pool.symbols[1],
            "decimals_a": pool.decimals[0],
            "decimals_b": pool.decimals[1],
            "fee_pips": pool.fee_pips,
            "tick_spacing": pool.tick_spacing,
            "sqrt_price_x64": u128(pool.sqrt_price),
            "liquidity": u128(pool.liquidity),
            "tick": pool.tick,
            "known_tick_lower": tick_math.MIN_TICK,
            "known_tick_upper": tick_math.MAX_TICK,
            "known_range_set": True,
        }

    def _snapshot(self, address: str, index: int) -> None:
        pool = self.pools[address]
        where = _Where(self._start.slot, 0, index, self._start.block_time * _US, b"", b"")
        self._updates.add(
            **where.columns(),
            **self._columns(address, pool),
            kind=market.PoolUpdate.KIND_SNAPSHOT,
            ticks=[
                {"tick": tick, "liquidity_net": i128(net), "liquidity_gross": u128(gross)}
                for tick, net, gross in pool.ticks
            ],
        )


def parse_whirlpool_day(
    lines: Iterable[bytes],
    start: StartState,
    file: str = "",
    on_error: OnError | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[pa.RecordBatch]:
    """Recorded lines -> batches; see :meth:`WhirlpoolDay.parse`. Raises ParseError unless ``on_error`` takes it."""
    return WhirlpoolDay(start, file, on_error).parse(lines, chunk_rows)


def _quote(state: ConcentratedState, a_to_b: bool, asked: int, exact_in: bool, limit: int | None) -> Quote | None:
    try:
        return whirlpool.swap(state, a_to_b, asked, exact_in, limit)
    except AmmError:
        return None


def _anchored(pool: Pool, a_to_b: bool, moved_in: int, moved_out: int) -> Quote | None:
    """Where a swap of the recorded amounts ends: from a nearby price that explains both, else by its output alone."""
    surplus = pool.liquidity - pool.ticks.active_at(pool.tick)
    pricing = Pricing(pool.ticks, pool.fee_pips, pool.tick_spacing, surplus)
    try:
        begin = price_explaining(pricing, pool.sqrt_price, a_to_b, moved_in, moved_out, pool.sqrt_price // _REACH)
        if begin is not None:
            return pricing.swap_from(begin, a_to_b, moved_in)
        return whirlpool.swap(pool.state(), a_to_b, moved_out, exact_in=False)
    except AmmError:
        return None


def _anchor_on_position(pool: Pool, lower: int, upper: int, size: int, round_up: bool, moved: tuple[int, int]) -> None:
    """Move the price to where the position is worth what moved, if such a price is near and in the same interval."""
    reach = pool.sqrt_price // _REACH
    low = max(pool.sqrt_price - reach, tick_math.price_at(lower), tick_math.MIN_SQRT_PRICE)
    high = min(pool.sqrt_price + reach, tick_math.price_at(upper) - 1)
    if not lower <= pool.tick < upper or low > high:
        return
    found = prices_moving((low, high), lower, upper, size, round_up, moved)
    if found is not None and tick_math.tick_at(sum(found) // 2) == pool.tick:
        pool.sqrt_price = sum(found) // 2
