"""One call of a venue's program to the ``PoolUpdate`` that it made: what the instruction asked, what the program said.

Where both tell, the program's event wins. Reasons of refusal beside the parser's own: ``unknown_position`` (liquidity
moved in a position whose opening was not seen and whose range no event names), ``unknown_liquidity`` (a position
opened by amounts, whose liquidity no event names), ``no_outcome`` (a deposit whose amounts are not in the record),
``unknown_pool`` (a fee whose meaning depends on a pair that was not seen created).
"""

from __future__ import annotations

from typing import Any

from mevflow.operators.accounts.registry import METEORA_DLMM, RAYDIUM_AMM_V4, RAYDIUM_CLMM, RAYDIUM_CPMM, WHIRLPOOL
from mevflow.operators.amm.concentrated import tick_math_raydium, tick_math_x64
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amounts import i128, u128
from mevflow.operators.parse.changes import FeeTerms, Memory, PoolInstruction, StateChange
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.dlmm_calls import base_fee, base_fee_pips
from mevflow.operators.parse.solana.events import SELF_CALL
from mevflow.operators.parse.solana.instructions import is_swap, pool_places, runs_order_book, sets_config, sets_terms
from mevflow.operators.parse.solana.logs import DATA, RAY_LOG, log_data
from mevflow.operators.parse.solana.terms import CONFIG_PLACE, of_config
from mevflow.operators.parse.solana.trace import ProgramCall
from mevflow.operators.parse.solana.update_calls import CREATE, FEE, LIQUIDITY, REMOVE, change_of, checked
from mevflow.operators.parse.solana.update_events import decode_change, decode_ray_change
from mevflow.v1 import market_pb2 as market

VENUE_OF = {
    WHIRLPOOL: market.VENUE_ORCA_WHIRLPOOL,
    RAYDIUM_CLMM: market.VENUE_RAYDIUM_CLMM,
    RAYDIUM_CPMM: market.VENUE_RAYDIUM_CPMM,
    RAYDIUM_AMM_V4: market.VENUE_RAYDIUM_V4,
    METEORA_DLMM: market.VENUE_METEORA_DLMM,
}
_TICK_AT = {WHIRLPOOL: tick_math_x64.tick_at, RAYDIUM_CLMM: tick_math_raydium.tick_at}
_RESERVES = ("reserve_a", "reserve_b")
_UNSIGNED = ("sqrt_price_x64", "liquidity", "reserve_a", "reserve_b")


def updates_of(
    call: ProgramCall, trace: list[ProgramCall], keys: list[bytes], memory: Memory, now_s: int = 0
) -> list[dict[str, Any]]:
    """The updates' own fields (venue, pool, kind, state); none where no pool changed. Raises ParseError.

    A pool that opens after ``now_s`` (0: not known) has no reserves to trade on until its first swap states them.
    """
    if call.program not in VENUE_OF or (call.data or b"")[:8] == SELF_CALL:
        return []
    change = None
    if call.data is not None:
        accounts = [keys[place] if place < len(keys) else b"" for place in call.accounts]
        if runs_order_book(call.program, call.data):
            kind = market.PoolUpdate.KIND_UNSPECIFIED
            return [
                {"venue": venue, "pool": pool, "kind": kind} for pool, venue in memory.pools_among(accounts).items()
            ]
        change = change_of(call.program, PoolInstruction(call.data, accounts))
    for event in _events(call, trace):
        if change is None:
            change = event
        elif event.pool and change.pool and event.pool != change.pool:
            raise ParseError("an event names another pool than its instruction")
        else:
            change = change.told(event)
    if change is not None and change.needs_outcome:
        raise ParseError("a change of liquidity whose amounts are not in the record", reason="no_outcome")
    if change is not None and change.kind == FEE and change.config:
        return of_config(VENUE_OF[call.program], checked(change), memory)
    rows = []
    refused = change.pool if change is not None and change.refused else b""
    while change is not None:
        found = _complete(call.program, change, memory)
        if found is not None:
            if found.open_s > now_s > 0:
                found.fields = {name: one for name, one in found.fields.items() if name not in _RESERVES}
            rows.append(_fields(call.program, checked(found)))
        change = change.then
    if refused:
        rows.append({"venue": VENUE_OF[call.program], "pool": refused, "kind": REMOVE})
    return rows


def lost_of(call: ProgramCall, keys: list[bytes], memory: Memory) -> list[dict[str, Any]]:
    """After a call that could not be read: its pools changed and nobody knows how.

    Which they are its accounts tell, by their places or, where those are not known (a router's, an unknown
    instruction's), because rows of them have been given. A fee that is not known is one that no row can carry.
    """
    data, venue = call.data or b"", VENUE_OF[call.program]
    accounts = [keys[place] for place in call.accounts if place < len(keys)]
    if sets_config(call.program, data):
        named = accounts[CONFIG_PLACE : CONFIG_PLACE + 1]
        pools = [pool for pool, _ in memory.pools_of(named[0], venue)] if named else memory.pools_in(venue)
        return [{"venue": venue, "pool": pool, "kind": REMOVE} for pool in pools]
    if sets_terms(call.program, data):
        kind = REMOVE
    else:
        kind = market.PoolUpdate.KIND_UNSPECIFIED if is_swap(call.program, data) else LIQUIDITY
    places = pool_places(call.program, data)
    named = [keys[call.accounts[at]] for at in places if at < len(call.accounts) and call.accounts[at] < len(keys)]
    known = [] if places else [key for key, one in memory.pools_among(accounts).items() if one == venue]
    return [{"venue": venue, "pool": pool, "kind": kind} for pool in named or known]


def _events(call: ProgramCall, trace: list[ProgramCall]) -> list[StateChange]:
    found = []
    for line in call.logged:
        if line.startswith(DATA):
            found.append(decode_change(call.program, log_data(line, DATA)))
        elif call.program == RAYDIUM_AMM_V4 and line.startswith(RAY_LOG):
            found.append(decode_ray_change(log_data(line, RAY_LOG)))
    for other in trace[call.ordinal + 1 :]:
        if other.parent == call.ordinal and other.program == call.program and other.data is not None:
            found.append(decode_change(other.program, other.data[8:]) if other.data[:8] == SELF_CALL else None)
    return [event for event in found if event is not None]


def _complete(program: bytes, change: StateChange, memory: Memory) -> StateChange | None:
    """The change with what was remembered; None if no pool is meant, or nothing changed. Raises ParseError."""
    fields = change.fields
    if change.kind == LIQUIDITY and change.position:
        if change.opens:
            memory.keep_range(change.position, change.pool, fields["tick_lower"], fields["tick_upper"])
        elif change.resized:
            memory.forget_range(change.position)
        elif (known := memory.range_of(change.position)) is not None:
            pool, lower, upper = known
            change.pool = change.pool or pool
            fields = change.fields = {"tick_lower": lower, "tick_upper": upper, **fields}
    if not change.pool:
        return None
    if program in _TICK_AT and change.kind == LIQUIDITY:
        if "tick_lower" not in fields:
            if fields.get("liquidity_delta") == 0:
                return None
            raise ParseError("a position whose range is not known", reason="unknown_position")
        if "liquidity_delta" not in fields:
            raise ParseError("a position whose liquidity is not told", reason="unknown_liquidity")
    if change.kind == CREATE:
        _created(program, change, memory)
    if change.kind == FEE and "dlmm_base" in fields:
        step = memory.step_of(change.pool)
        if step is None:
            raise ParseError("the fee of a pair whose bin step is not known", reason="unknown_pool")
        change.fields = {
            "fee_pips": base_fee_pips(step, *fields["dlmm_base"]),
            "tick_spacing": step,
            "bin_fees": base_fee(*fields["dlmm_base"]),
        }
    return change


def _created(program: bytes, change: StateChange, memory: Memory) -> None:
    fields = change.fields
    if program in _TICK_AT and "sqrt_price_x64" in fields:
        try:
            fields.setdefault("tick", _TICK_AT[program](fields["sqrt_price_x64"]))
        except AmmError as wrong:
            raise ParseError(f"a pool cannot begin there: {wrong.message}", reason="value") from wrong
        fields.setdefault("liquidity", 0)
    if change.config and not change.refused:
        memory.keep_pool(change.pool, VENUE_OF[program])
        memory.keep_config(change.pool, change.config, FeeTerms.FOR_EVER)
    if program == METEORA_DLMM and "tick_spacing" in fields:
        memory.keep_step(change.pool, fields["tick_spacing"])


def _fields(program: bytes, change: StateChange) -> dict[str, Any]:
    fields = dict(change.fields)
    for name in _UNSIGNED:
        if name in fields:
            fields[name] = u128(fields[name])
    if "liquidity_delta" in fields:
        fields["liquidity_delta"] = i128(fields["liquidity_delta"])
    return {"venue": VENUE_OF[program], "pool": change.pool, "kind": change.kind, **fields}
