"""What an event does to a pool whose state is a curve beside the book, and to its faces' rows.

A pool of n coins is n (n - 1) / 2 faces with one state, which the first has; an event changes them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.detect.book import curves
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.curves import CoinCurve, Curve, SwapRow
from mevflow.operators.detect.book.journal import Journal
from mevflow.operators.detect.book.pools import place_of, set_words
from mevflow.operators.detect.market.curve import reserves
from mevflow.operators.detect.market.curve.updates import coins_of, updated
from mevflow.operators.detect.screen.events import Events
from mevflow.operators.detect.told import SwapTold, UpdateTold
from mevflow.operators.sizing.kinds import KIND_STABLE
from mevflow.operators.sizing.venues import RESERVE_CURVES


def swaps_of(book: Book, events: Events) -> NDArray[np.bool_]:
    """Which rows of the swaps are of a pool that has a curve."""
    if not book.has_curves:
        return np.zeros(len(events.pool), np.bool_)
    of: NDArray[np.bool_] = (book.pools["kind"][events.pool] >= KIND_STABLE) & (events.pool >= 0)
    return of


def lacking(book: Book, first: int, mints: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The mints of each face of a pool of more than two coins that is not there yet; add it at once."""
    chain = int(book.pools[first]["chain"])
    if book.pools[first]["kind"] != KIND_STABLE or len(mints) <= 2:
        return
    for i, mint in enumerate(mints):
        for other in mints[i + 1 :]:
            if book.face(first, book.mint(chain, mint), book.mint(chain, other)) < 0:
                yield mint, other


def swap(book: Book, journal: Journal, number: int, one: SwapTold, late: bool) -> bool:
    """Apply a swap; False where one that is late changes nothing."""
    info = book.info[number]
    place = one["slot"], one["tx_index"], one["ix_index"]
    if late and place < place_of(book.pools[number]):
        if curves.told_whole(info.curve) or info.curve is None:
            return False
        # What came after it was worked out without it.
        journal.forget_curves(number, one["slot"])
        set_curve(book, number, None)
    else:
        go_on(book, journal, number, place)
        if info.venue in RESERVE_CURVES:
            set_curve(book, number, reserves.after(book, number, one, None))
        else:
            row = _swapped(book, number, one)
            set_curve(book, number, None if row is None else curves.after_swap(info.curve, row))
    return True


def _swapped(book: Book, number: int, one: SwapTold) -> SwapRow | None:
    """A swap by the pool's coins; None where it names others, or none of more than two."""
    source, target = (book.mint_index.get((one["chain"], mint), -1) for mint in (one["mint_in"], one["mint_out"]))
    found = book.face(number, source, target)
    if found < 0 and (one["mint_in"] or one["mint_out"] or len(book.info[number].faces) > 1):
        return None
    face = book.info[max(found, number)]
    a_to_b = source == face.mints[0] if face.mints in ((source, target), (target, source)) else one["a_to_b"]
    i, j = face.coins if a_to_b else face.coins[::-1]
    # A and B of the row are those of its direction.
    reserves = (one["reserve_a"], one["reserve_b"])
    into, out = reserves if one["a_to_b"] else reserves[::-1]
    paid, got, balance_i, balance_j = (
        int.from_bytes(raw, "little") for raw in (one["amount_in"], one["amount_out"], into, out)
    )
    return SwapRow(i, j, paid, got, balance_i, balance_j, one["tick"], one["timestamp_us"])


def update(book: Book, journal: Journal, number: int, one: UpdateTold) -> None:
    """Apply a ``PoolUpdate``, a dict by field. Raises AmmError."""
    info = book.info[number]
    place = one["slot"], one["tx_index"], one["ix_index"]
    behind = place < place_of(book.pools[number])
    if info.venue in RESERVE_CURVES:
        book.name(number, one)
        if not behind:
            go_on(book, journal, number, place)
            set_curve(book, number, reserves.after(book, number, one, one["kind"]))
        return
    mints = [book.mint_index.get((one["chain"], mint), -1) for mint in coins_of(one["stable"])]
    if mints and not all(mint in mints for face in info.faces for mint in book.info[face].mints):
        raise AmmError("the coins are not those of the pool")
    named = tuple(book.mint_index.get((one["chain"], mint), -1) for mint in (one["mint_a"], one["mint_b"]))
    held = info.coins[::-1] if named == info.mints[::-1] else info.coins
    curve = updated(info.curve, one, info.venue, behind, held)
    if mints and isinstance(info.curve, CoinCurve) and len(mints) != len(info.curve.balances):
        raise AmmError("the coins are not those of the pool")
    book.name(number, one)
    if behind:
        if curve is not info.curve:
            journal.forget_curves(number, one["slot"])
            set_curve(book, number, curve)
        return
    for face in info.faces if mints else ():
        a, b = book.info[face].mints
        book.info[face].coins = mints.index(a), mints.index(b)
    go_on(book, journal, number, place)
    for face in info.faces:
        for name in ("fee_pips", "tick_spacing"):
            if one[name]:
                book.pools[face][name] = one[name]
        book.pools[face]["tick"] = curve.active_id if isinstance(curve, DlmmState) else 0
    set_curve(book, number, curve)


def go_on(book: Book, journal: Journal, number: int, place: tuple[int, int, int]) -> None:
    """An event that is not late is about to change a pool."""
    for face in book.info[number].faces:
        journal.note(book, face, place[0])
        pool = book.pools[face]
        pool["slot"], pool["tx_index"], pool["ix_index"] = place


def set_curve(book: Book, number: int, curve: Curve | None) -> None:
    """Give a pool its state, and every face its rates."""
    info = book.info[number]
    info.curve = curve
    for face in info.faces:
        pool, (i, j) = book.pools[face], book.info[face].coins
        told = curves.Rates() if pool["doubt"] and info.venue in RESERVE_CURVES else curves.rates(curve, i, j)
        pool["price"].view(np.float64)[:] = told
        for name, held in zip(("reserve_a", "reserve_b"), curves.holdings(curve, i, j), strict=True):
            set_words(pool[name], held.to_bytes(16, "little"))
