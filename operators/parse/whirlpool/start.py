"""Derive where a recorded Whirlpool day began, from the exact accounts at its end.

The day is run backwards. Undoing a liquidity change is exact once the position's range is known: from its account,
from the instruction that opened it, or, for positions that were open before and are closed after, from the one
range whose amounts at that price are the recorded ones. Undoing a swap gives the interval of prices that explain
it to the unit (:mod:`mevflow.operators.amm.inverse`). What is left at the start is, for each pool, an interval of
prices that all replay the day alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mevflow.operators.amm.concentrated import tick_math_x64 as tick_math
from mevflow.operators.amm.concentrated import whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.amm.inverse import Pricing, prices_before, prices_moving
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.numbers import MAX_U128, amount
from mevflow.operators.parse.whirlpool.accounts import Accounts
from mevflow.operators.parse.whirlpool.lines import (
    LiquidityPayload,
    OpenPayload,
    PoolPayload,
    SwapPayload,
    is_empty,
    read_payload,
    read_slot,
)
from mevflow.operators.parse.whirlpool.state import Mint, PoolStart, PositionStart, StartState

NOTE = (
    "Derived by `mevflow parse start-state`: the recorded day run backwards from the accounts at its end. "
    "Every price between sqrt_price_low and sqrt_price_high replays the day alike. Positions marked inferred were "
    "closed during the day: theirs is the only range that gives the recorded amounts."
)


@dataclass(slots=True)
class _Event:
    line: int
    name: str
    payload: SwapPayload | LiquidityPayload | PoolPayload


@dataclass(slots=True)
class _Pool:
    """A pool on its way back. ``within`` is the interval that holds its price."""

    address: str
    ticks: TickMap
    surplus: int
    within: tuple[int, int]
    fee_pips: int
    tick_spacing: int
    existed: bool = True
    pricing: Pricing | None = None

    def priced(self) -> Pricing:
        if self.pricing is None:
            self.pricing = Pricing(self.ticks, self.fee_pips, self.tick_spacing, self.surplus)
        return self.pricing


@dataclass(slots=True)
class _Position:
    pool: str
    lower: int
    upper: int
    liquidity: int
    inferred: bool = False


@dataclass(slots=True)
class _Ranges:
    """What is known of positions, and which were opened during the day."""

    known: dict[str, _Position]
    opened: set[str] = field(default_factory=set)


def derive_start_state(lines: Iterable[bytes], end: Accounts, mints: dict[str, Mint]) -> StartState:
    """The state before the first of ``lines``. Raises ParseError where the record contradicts itself."""
    first, events, ranges = _read(lines, end)
    touched: set[str] = set()
    starts: list[PoolStart] = []
    for address, history in events.items():
        pool = _at_end(address, end)
        for event in reversed(history):
            _undo(pool, event, ranges, end, touched)
        if pool.existed:
            starts.append(_start(pool, end))
    positions = [
        PositionStart(name, p.pool, p.lower, p.upper, str(p.liquidity), p.inferred)
        for name, p in ranges.known.items()
        if name in touched and name not in ranges.opened
    ]
    used = {mint for pool in end.pools.values() for mint in (pool.mint_a, pool.mint_b)}
    if unnamed := sorted(used - mints.keys()):
        raise ParseError(f"mint {unnamed[0]} is not known", reason="unknown_mint")
    return StartState(
        slot=first[0] - 1,
        block_time=first[1],
        note=NOTE,
        mints={mint: mints[mint] for mint in sorted(used)},
        fee_tiers=end.fee_tiers,
        protocol_fees_bps=end.configs,
        pools=starts,
        positions=positions,
    )


def _read(lines: Iterable[bytes], end: Accounts) -> tuple[tuple[int, int], dict[str, list[_Event]], _Ranges]:
    """(first slot, its time), every pool's events in order, and the ranges that are on record."""
    first: tuple[int, int] | None = None
    events: dict[str, list[_Event]] = {}
    ranges = _Ranges({k: _Position(p.pool, p.lower, p.upper, p.liquidity) for k, p in end.positions.items()})
    for number, line in enumerate(lines, 1):
        if first is not None and is_empty(line):
            continue
        slot = read_slot(line)
        first = first or (slot.slot, slot.block_time)
        for transaction in slot.transactions:
            for instruction in transaction.instructions:
                payload = read_payload(instruction)
                if isinstance(payload, OpenPayload):
                    ranges.opened.add(payload.position)
                    if payload.position not in ranges.known:
                        ranges.known[payload.position] = _Position(payload.pool, payload.lower, payload.upper, 0)
                elif isinstance(payload, SwapPayload | LiquidityPayload | PoolPayload):
                    events.setdefault(payload.pool, []).append(_Event(number, instruction.name, payload))
    if first is None:
        raise ParseError("no slots")
    return first, events, ranges


def _at_end(address: str, end: Accounts) -> _Pool:
    if address not in end.pools:
        raise ParseError(f"pool {address} has no account at the end of the day", reason="unknown_pool")
    account = end.pools[address]
    ticks = end.tick_map(address)
    return _Pool(
        address=address,
        ticks=ticks,
        surplus=account.liquidity - ticks.active_at(account.tick),
        within=(account.sqrt_price, account.sqrt_price),
        fee_pips=account.fee_pips,
        tick_spacing=account.tick_spacing,
    )


def _start(pool: _Pool, end: Accounts) -> PoolStart:
    account = end.pools[pool.address]
    price = sum(pool.within) // 2
    state = pool.priced().at(price)
    return PoolStart(
        pool=pool.address,
        mint_a=account.mint_a,
        mint_b=account.mint_b,
        tick_spacing=pool.tick_spacing,
        fee_pips=pool.fee_pips,
        protocol_fee_bps=account.protocol_fee_bps,
        sqrt_price=str(price),
        sqrt_price_low=str(pool.within[0]),
        sqrt_price_high=str(pool.within[1]),
        liquidity=str(state.liquidity),
        tick=state.tick,
        ticks=[(tick, str(net), str(gross)) for tick, net, gross in pool.ticks],
    )


def _undo(pool: _Pool, event: _Event, ranges: _Ranges, end: Accounts, touched: set[str]) -> None:
    match event.payload:
        case SwapPayload() as swap:
            moved = amount(swap.moved_in), amount(swap.moved_out)
            try:
                before = prices_before(pool.priced(), pool.within, bool(swap.a_to_b), *moved)
            except AmmError:
                before = None
            if before is None:
                raise ParseError("no price explains this swap", line=event.line)
            pool.within = before
        case LiquidityPayload() as change:
            touched.add(change.position)
            _undo_change(pool, event, change, ranges, end)
        case PoolPayload() as created:
            price = amount(created.sqrt_price, MAX_U128)
            if not pool.within[0] <= price <= pool.within[1] or len(pool.ticks):
                raise ParseError(f"pool {pool.address} was not created at {price}", line=event.line)
            pool.existed = False


def _undo_change(pool: _Pool, event: _Event, change: LiquidityPayload, ranges: _Ranges, end: Accounts) -> None:
    size = amount(change.liquidity, MAX_U128)
    added = event.name == "increaseLiquidity"
    moved = amount(change.moved_a), amount(change.moved_b)
    position = ranges.known.get(change.position)
    if position is None:
        lower, upper = _infer(pool, event, change, size, added, moved, end)
        position = ranges.known[change.position] = _Position(pool.address, lower, upper, 0, inferred=True)
    within = prices_moving(pool.within, position.lower, position.upper, size, added, moved)
    if within is None:
        raise ParseError(f"no price explains the amounts of {change.position}", line=event.line)
    pool.within = within
    position.liquidity += -size if added else size
    try:
        pool.ticks.change(position.lower, position.upper, -size if added else size)
    except AmmError as wrong:
        raise ParseError(f"{change.position} cannot be undone: {wrong.message}", line=event.line) from wrong
    pool.pricing = None


def _infer(
    pool: _Pool,
    event: _Event,
    change: LiquidityPayload,
    size: int,
    added: bool,
    moved: tuple[int, int],
    end: Accounts,
) -> tuple[int, int]:
    """The one range within the instruction's two tick arrays whose amounts are the recorded ones."""
    width = whirlpool.TICKS_PER_ARRAY * pool.tick_spacing
    arrays = change.array_lower, change.array_upper
    if not all(array in end.tick_arrays for array in arrays):
        raise ParseError(f"the tick arrays of {change.position} are not on record", line=event.line)
    lowers, uppers = (end.tick_arrays[array][1] for array in arrays)
    fitting = [
        (lower, upper)
        for lower in range(lowers, lowers + width, pool.tick_spacing)
        for upper in range(uppers, uppers + width, pool.tick_spacing)
        if tick_math.MIN_TICK <= lower < upper <= tick_math.MAX_TICK
        and prices_moving(pool.within, lower, upper, size, added, moved) is not None
    ]
    if len(fitting) != 1:
        raise ParseError(f"{len(fitting)} ranges explain {change.position}", line=event.line)
    return fitting[0]
