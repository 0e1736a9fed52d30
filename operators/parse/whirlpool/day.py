"""Recorded Whirlpool instructions -> ``Swap`` and ``PoolUpdate`` messages.

A pool's price, liquidity and ticks are carried forward by the program's own integer arithmetic. What the vaults saw
checks every step: where the arithmetic does not give the recorded amounts, the price is re-anchored on them and the
row says so. Amounts in the messages are always the recorded ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from mevflow.operators.amm.concentrated import tick_math_x64 as tick_math
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.amounts import i128, u128
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.numbers import MAX_U128, amount, net_liquidity, public_key, signature
from mevflow.operators.parse.output import CHUNK_ROWS, Output
from mevflow.operators.parse.whirlpool.lines import (
    ClosePayload,
    LiquidityPayload,
    OpenPayload,
    PoolPayload,
    RecordedInstruction,
    Slot,
    SwapPayload,
    Transaction,
    is_empty,
    read_payload,
    read_slot,
)
from mevflow.operators.parse.whirlpool.pool import Pool
from mevflow.operators.parse.whirlpool.state import Mint, PoolStart, StartState
from mevflow.v1 import market_pb2 as market

_US = 1_000_000


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
    """Replays recorded lines from a start state. ``pools`` (with their figures) may be read at any time."""

    def __init__(self, start: StartState, file: str = "", on_error: OnError | None = None) -> None:
        """``file`` names the lines in errors; without ``on_error`` the first bad line raises ParseError."""
        self.pools: dict[str, Pool] = {}
        self._start = start
        self._file = file
        self._positions = {p.position: (p.pool, p.lower, p.upper) for p in start.positions}
        self._output = Output(on_error)
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
                self._output.reject(error, self._file, number, self._block_time * _US)
            if self._output.full(chunk_rows):
                yield from self._output.flush()
        yield from self._output.flush()

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
                    self._output.reject(error, self._file, line, self._block_time * _US)

    def _instruction(self, slot: Slot, transaction: Transaction, index: int, instruction: RecordedInstruction) -> None:
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
        exact = pool.swap(a_to_b, asked, bool(payload.exact_in), limit or None, moved)
        self._output.swaps.add(
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
        try:
            exact = pool.change(lower, upper, sign * size, moved)
        except AmmError as wrong:
            raise ParseError(wrong.message, reason="impossible_amount") from wrong
        self._output.updates.add(
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
        self._output.updates.add(**where.columns(), **columns, kind=market.PoolUpdate.KIND_CREATE)

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
        self._output.updates.add(
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
