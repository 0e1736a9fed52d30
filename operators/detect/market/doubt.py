"""A row that could not be taken: its pool changed, and nobody can say how. What it put in doubt has no rate."""

from __future__ import annotations

from mevflow.operators.detect.book import curves
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal, TickNote
from mevflow.operators.detect.book.pools import DOUBT_DEPTH, DOUBT_FEE, DOUBT_STATE, REMOVED, place_of
from mevflow.operators.detect.market import ticks
from mevflow.operators.detect.market.curve import apply as curved
from mevflow.operators.sizing.kinds import KIND_STABLE
from mevflow.v1 import market_pb2 as market

_FEE = market.PoolUpdate.KIND_FEE
#: What updates of a kind tell that outlasts the next row of a pool's state: its fee, and that nobody trades there.
_LOST: dict[int | None, int] = {
    market.PoolUpdate.KIND_CREATE: DOUBT_FEE,
    market.PoolUpdate.KIND_SNAPSHOT: DOUBT_FEE,
    _FEE: DOUBT_FEE,
    market.PoolUpdate.KIND_REMOVE: REMOVED,
}


def lose(book: Book, journal: Journal, number: int, place: tuple[int, int, int], kind: int | None) -> bool:
    """Put a pool in doubt after a rejected row at ``place``; ``kind`` is an update's, None of a swap.

    Gives False where nothing changes: no earlier row told of the pool, or one that is later told its state.
    """
    info, pool = book.info[number], book.pools[number]
    if place_of(pool) == (0, 0, 0):
        return False
    behind = place < place_of(pool)
    if pool["kind"] >= KIND_STABLE:
        if behind and curves.told_whole(info.curve):
            return False
        journal.forget_curves(number, place[0])
        if not behind:
            curved.go_on(book, journal, number, place)
            pool["doubt"] |= _LOST.get(kind, 0)
        curved.set_curve(book, number, None)
        return True
    if behind and kind is None and not pool["derived"]:
        return False
    journal.note(book, number, place[0])
    if not behind:
        pool["slot"], pool["tx_index"], pool["ix_index"] = place
    pool["doubt"] |= _LOST.get(kind, 0)
    if kind is None:
        pool["doubt"] |= DOUBT_STATE
    elif kind != _FEE:
        pool["doubt"] |= DOUBT_STATE | DOUBT_DEPTH
        forget_ticks(book, journal, number, place[0])
    return True


def forget_ticks(book: Book, journal: Journal, number: int, slot: int) -> None:
    """Liquidity moved in a pool and nobody says where: its ticks are no longer known."""
    info, pool = book.info[number], book.pools[number]
    if info.ticks is not None:
        journal.note_ticks(TickNote(slot, number, before=ticks.saved(info.ticks)))
        info.ticks = None
    pool["known_lower"], pool["known_upper"] = 1, 0
