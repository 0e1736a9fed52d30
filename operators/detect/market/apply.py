"""What a ``PoolUpdate``, or a swap that tells a price alone, does to a pool whose state is its row and its tick map.

An update is a dict by field that :func:`mevflow.operators.detect.market.validate.fault` has let pass.
"""

from __future__ import annotations

import numpy as np

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.detect.book import depth
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal, TickNote
from mevflow.operators.detect.book.pools import (
    DOUBT_DEPTH,
    DOUBT_FEE,
    DOUBT_STATE,
    LASTING_DOUBT,
    REMOVED,
    place_of,
    set_words,
)
from mevflow.operators.detect.market import ticks
from mevflow.operators.detect.market.doubt import forget_ticks
from mevflow.operators.detect.market.validate import MAX_TICK
from mevflow.operators.detect.told import SwapTold, UpdateTold
from mevflow.operators.sizing.kinds import (
    KIND_CONCENTRATED_X64,
    KIND_CONCENTRATED_X96,
    KIND_CONSTANT_PRODUCT,
    KIND_NOT_TRADED,
)
from mevflow.v1 import market_pb2 as market

_UNSPECIFIED = market.PoolUpdate.KIND_UNSPECIFIED
_CREATE, _LIQUIDITY, _FEE, _SNAPSHOT, _REMOVE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
    market.PoolUpdate.KIND_SNAPSHOT,
    market.PoolUpdate.KIND_REMOVE,
)


def update(book: Book, journal: Journal, number: int, one: UpdateTold) -> None:
    """Change a pool. Raises AmmError."""
    info, pool = book.info[number], book.pools[number]
    price = KIND_CONCENTRATED_X64 if one["sqrt_price_x64"] else KIND_CONCENTRATED_X96
    if (one["sqrt_price_x64"] or one["sqrt_price_x96"]) and pool["kind"] not in (price, KIND_NOT_TRADED):
        raise AmmError("the state is not of the kind that the pool's venue has")
    book.name(number, one)
    journal.note(book, number, one["slot"])
    if one["kind"] in (_CREATE, _SNAPSHOT):
        journal.note_ticks(TickNote(one["slot"], number, before=ticks.saved(info.ticks)))
        info.ticks = ticks.stated(one["ticks"])
    elif one["kind"] == _LIQUIDITY and info.ticks is not None and one["liquidity_delta"]:
        lower, upper, delta = one["tick_lower"], one["tick_upper"], ticks.signed(one["liquidity_delta"])
        ticks.change(info, pool, lower, upper, delta)
        journal.note_ticks(TickNote(one["slot"], number, lower, upper, ticks.raw(delta)))
    if one["tick_spacing"]:
        pool["tick_spacing"] = one["tick_spacing"]
    if one["fee_pips"] or one["kind"] == _FEE:
        pool["fee_pips"] = one["fee_pips"]
        pool["doubt"] &= ~DOUBT_FEE & 0xFF
    if one["known_range_set"]:
        pool["known_lower"], pool["known_upper"] = one["known_tick_lower"], one["known_tick_upper"]
    elif one["kind"] == _SNAPSHOT:
        pool["known_lower"], pool["known_upper"] = -MAX_TICK, MAX_TICK
    if one["kind"] == _REMOVE:
        pool["doubt"] |= REMOVED
    elif one["kind"] in (_CREATE, _SNAPSHOT):
        pool["doubt"] &= ~REMOVED & 0xFF
    place = one["slot"], one["tx_index"], one["ix_index"]
    # News that comes late changes what is known of the ticks, not the state that a later event told of.
    if place >= place_of(pool):
        pool["slot"], pool["tx_index"], pool["ix_index"] = place
        (_trade if pool["kind"] == KIND_CONSTANT_PRODUCT else _move)(book, number, one)
    elif pool["derived"] and one["kind"] in (_CREATE, _LIQUIDITY, _SNAPSHOT):
        pool["doubt"] |= DOUBT_STATE | DOUBT_DEPTH  # its liquidity was worked out without this row
    if one["kind"] == _LIQUIDITY and pool["kind"] != KIND_CONSTANT_PRODUCT and not one["liquidity_delta"]:
        forget_ticks(book, journal, number, one["slot"])


def _trade(book: Book, number: int, one: UpdateTold) -> None:
    """The reserves that an update states; without them only a fee leaves a pool of two reserves as it was."""
    pool = book.pools[number]
    if one["reserve_a"] and one["reserve_b"]:
        set_words(pool["reserve_a"], one["reserve_a"])
        set_words(pool["reserve_b"], one["reserve_b"])
        pool["doubt"] &= LASTING_DOUBT
    elif one["kind"] == _REMOVE:
        pool["reserve_a"], pool["reserve_b"] = 0, 0
    elif one["kind"] != _FEE:
        pool["doubt"] |= DOUBT_STATE


def _move(book: Book, number: int, one: UpdateTold) -> None:
    """Take the price and the depth that an update states, or what follows of them for a position's liquidity."""
    info, pool = book.info[number], book.pools[number]
    raw = one["sqrt_price_x64"] or one["sqrt_price_x96"]
    told = one["liquidity"]
    if raw:
        unsaid = depth.lies_elsewhere(one["tick"], _unsigned(raw), _one(pool))
        tick = depth.tick_of(info, pool, _unsigned(raw), False) if unsaid else one["tick"]
        if not told and one["kind"] == _CREATE:
            told = bytes(16)  # nothing has been put into it
        if not told and one["kind"] == _SNAPSHOT and (sum_ := depth.starting_depth(info, pool, tick)) is not None:
            told = sum_.to_bytes(16, "little")
        _stand(book, number, raw, tick, told)
    elif one["kind"] == _LIQUIDITY:
        _deposit(pool, one)
    elif one["kind"] == _REMOVE:
        pool["liquidity"] = 0
    elif one["kind"] != _FEE:
        # Without a kind: it was traded, and nobody knows how; its ticks are what they were.
        pool["doubt"] |= DOUBT_STATE if one["kind"] == _UNSPECIFIED else DOUBT_STATE | DOUBT_DEPTH


def _deposit(pool: np.void, one: UpdateTold) -> None:
    """A position's liquidity changed. The pool's tick and liquidity are true together, also while it is in doubt."""
    if not one["liquidity_delta"]:
        pool["doubt"] |= DOUBT_STATE | DOUBT_DEPTH  # nobody says how much
        return
    if pool["doubt"] & DOUBT_DEPTH or not one["tick_lower"] <= pool["tick"] < one["tick_upper"]:
        return
    active = _unsigned(pool["liquidity"].tobytes()) + ticks.signed(one["liquidity_delta"])
    if not 0 <= active < 1 << 128:
        raise AmmError(f"the active liquidity would be {active}")
    set_words(pool["liquidity"], active.to_bytes(16, "little"))


def swap(book: Book, journal: Journal, number: int, one: SwapTold, late: bool) -> bool:
    """Apply a swap that tells a price, but not the tick or the liquidity there; a dict by field.

    Gives False where one that is late changes nothing. Raises AmmError for a price that no tick has.
    """
    info, pool = book.info[number], book.pools[number]
    place = one["slot"], one["tx_index"], one["ix_index"]
    if late and place < place_of(pool):
        return False
    raw = one["sqrt_price_x64"] or one["sqrt_price_x96"]
    price = _unsigned(raw)
    unsaid = not one["liquidity"] or depth.lies_elsewhere(one["tick"], price, _one(pool))
    tick = depth.tick_of(info, pool, price, one["a_to_b"]) if unsaid and one["tick"] == 0 else one["tick"]
    journal.note(book, number, one["slot"])
    pool["slot"], pool["tx_index"], pool["ix_index"] = place
    if one["fee_pips"]:
        pool["fee_pips"] = one["fee_pips"]
        pool["doubt"] &= ~DOUBT_FEE & 0xFF
    _stand(book, number, raw, tick, one["liquidity"])
    return True


def _stand(book: Book, number: int, raw: bytes, tick: int, told: bytes) -> None:
    """A pool is at a price and a tick, with the liquidity that a row told (empty: with what follows of its ticks)."""
    info, pool = book.info[number], book.pools[number]
    set_words(pool["price"], raw)
    liquidity = _unsigned(told) if told else depth.depth_at(info, pool, tick)
    if liquidity is None:
        # The tick and the liquidity stay as they were true together: the price may come back to where more is known.
        pool["doubt"] |= DOUBT_STATE
        return
    set_words(pool["liquidity"], liquidity.to_bytes(16, "little"))
    pool["tick"], pool["derived"] = tick, not told
    pool["doubt"] &= LASTING_DOUBT


def _one(pool: np.void) -> int:
    return 1 << (64 if pool["kind"] == KIND_CONCENTRATED_X64 else 96)


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def take_back(book: Book, note: TickNote) -> None:
    """Undo a change of a pool's ticks."""
    info = book.info[note.pool]
    if note.delta:
        ticks.change(info, book.pools[note.pool], note.lower, note.upper, -ticks.signed(note.delta))
    else:
        info.ticks = ticks.loaded(note.before)
