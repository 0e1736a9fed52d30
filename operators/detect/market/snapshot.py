"""The market in a snapshot: every pool in its order, with its names, ticks and curve, and the notes of forks."""

from __future__ import annotations

import msgspec
import numpy as np

from mevflow.operators.detect.book import curve_bytes
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal, JournalState, Ticks
from mevflow.operators.detect.book.mints import Mints
from mevflow.operators.detect.book.usd_price import MINT_DTYPE
from mevflow.operators.detect.market import ticks
from mevflow.operators.detect.screen import kernel


class MarketState(msgspec.Struct):
    """Pools by number: key and two mints; arrays as bytes; ticks as (tick, net, gross); curves as bytes."""

    pools: list[tuple[int, bytes, int, int, bytes, bytes]]
    coins: list[tuple[int, int]]
    curves: list[bytes]
    symbols: list[tuple[str, str, int, int]]
    ticks: list[Ticks | None]
    table: bytes
    mints: bytes
    journal: JournalState


def saved(book: Book, mints: Mints, journal: Journal) -> MarketState:
    """All state, with pools in their order."""
    pools = []
    for number, info in enumerate(book.info):
        pool = book.pools[number]
        mint_a, mint_b = (book.mints[int(pool[side])][1] for side in ("mint_a", "mint_b"))
        pools.append((int(pool["chain"]), info.key, int(pool["venue"]), int(pool["kind"]), mint_a, mint_b))
    return MarketState(
        pools=pools,
        coins=[info.coins for info in book.info],
        curves=[curve_bytes.saved(info.curve) for info in book.info],
        symbols=[(*info.symbols, *info.decimals) for info in book.info],
        ticks=[ticks.saved(info.ticks) for info in book.info],
        table=book.pools[: book.count].tobytes(),
        mints=mints.worth.tobytes(),
        journal=journal.snapshot(book),
    )


def put_back(state: MarketState, book: Book, mints: Mints, journal: Journal) -> None:
    """Give a book that has a snapshot's pools their state."""
    # As bytes: numpy copies fields and leaves rubbish between them, and equal states give equal snapshots.
    book.pools[: book.count].view(np.uint8)[:] = np.frombuffer(state.table, np.uint8)
    for info, (symbol_a, symbol_b, decimals_a, decimals_b), told in zip(
        book.info, state.symbols, state.ticks, strict=True
    ):
        info.symbols, info.decimals = (symbol_a, symbol_b), (decimals_a, decimals_b)
        info.ticks = ticks.loaded(told)
    for info, coins, raw in zip(book.info, state.coins, state.curves, strict=True):
        info.coins, info.curve = coins, curve_bytes.loaded(raw)
    journal.restore(state.journal)
    mints.grow()
    mints.worth = np.frombuffer(bytearray(state.mints), MINT_DTYPE)
    view = book.view()
    for number in range(book.count):
        kernel.rerate(view, number)
