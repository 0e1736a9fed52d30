"""What a ``PoolUpdate`` does to a pool whose state is its row of the book and its tick map.

An update is a dict by field that :func:`mevflow.operators.detect.market.validate.fault` has let pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.detect.market import ticks
from mevflow.operators.detect.market.journal import Journal, TickNote
from mevflow.operators.detect.market.validate import MAX_TICK
from mevflow.operators.detect.screen.book import Book
from mevflow.operators.detect.screen.pools import (
    KIND_CONCENTRATED_X64,
    KIND_CONCENTRATED_X96,
    KIND_NOT_TRADED,
    place_of,
    set_words,
)
from mevflow.v1 import market_pb2 as market

_CREATE, _LIQUIDITY, _SNAPSHOT, _REMOVE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_SNAPSHOT,
    market.PoolUpdate.KIND_REMOVE,
)


def update(book: Book, journal: Journal, number: int, one: dict[str, Any]) -> None:
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
    elif one["kind"] == _LIQUIDITY and info.ticks is not None:
        lower, upper, delta = one["tick_lower"], one["tick_upper"], ticks.signed(one["liquidity_delta"])
        ticks.change(info, pool, lower, upper, delta)
        journal.note_ticks(TickNote(one["slot"], number, lower, upper, ticks.raw(delta)))
    for name in ("fee_pips", "tick_spacing"):
        if one[name]:
            pool[name] = one[name]
    place = one["slot"], one["tx_index"], one["ix_index"]
    # News that comes late changes what is known of the ticks, not the state that a later event told of.
    if place >= place_of(pool):
        pool["slot"], pool["tx_index"], pool["ix_index"] = place
        _move(pool, one)
    if one["known_range_set"]:
        pool["known_lower"], pool["known_upper"] = one["known_tick_lower"], one["known_tick_upper"]
    elif one["kind"] == _SNAPSHOT:
        pool["known_lower"], pool["known_upper"] = -MAX_TICK, MAX_TICK


def _move(pool: np.void, one: dict[str, Any]) -> None:
    """Take the price and the depth that an update states, or what follows of them for a position's liquidity."""
    if one["sqrt_price_x64"] or one["sqrt_price_x96"]:
        set_words(pool["price"], one["sqrt_price_x64"] or one["sqrt_price_x96"])
        set_words(pool["liquidity"], one["liquidity"])
        pool["tick"] = one["tick"]
    elif one["kind"] == _LIQUIDITY and pool["price"].any() and one["tick_lower"] <= pool["tick"] < one["tick_upper"]:
        active = int.from_bytes(pool["liquidity"].tobytes(), "little") + ticks.signed(one["liquidity_delta"])
        if not 0 <= active < 1 << 128:
            raise AmmError(f"the active liquidity would be {active}")
        set_words(pool["liquidity"], active.to_bytes(16, "little"))
    if one["reserve_a"] and one["reserve_b"]:
        set_words(pool["reserve_a"], one["reserve_a"])
        set_words(pool["reserve_b"], one["reserve_b"])
    if one["kind"] == _REMOVE:
        pool["liquidity"], pool["reserve_a"], pool["reserve_b"] = 0, 0, 0


def take_back(book: Book, note: TickNote) -> None:
    """Undo a change of a pool's ticks."""
    info = book.info[note.pool]
    if note.delta:
        ticks.change(info, book.pools[note.pool], note.lower, note.upper, -ticks.signed(note.delta))
    else:
        info.ticks = ticks.loaded(note.before)
