"""All pools as they stand, and what an event does to them.

A pool's rule for an update is in :mod:`mevflow.operators.detect.market.apply`, or
:mod:`mevflow.operators.detect.market.curve.apply` where its state is beside the book; what an event makes payable is
found by :mod:`mevflow.operators.detect.screen.runner`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.chain_mark import SLOT_AHEAD, SLOT_AHEAD_DETAIL
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.journal import Journal
from mevflow.operators.detect.book.mints import Mints
from mevflow.operators.detect.book.pools import place_of
from mevflow.operators.detect.control import DetectPolicy
from mevflow.operators.detect.market import apply as applied
from mevflow.operators.detect.market import doubt
from mevflow.operators.detect.market import snapshot as market_state
from mevflow.operators.detect.market.curve import apply as curved
from mevflow.operators.detect.market.curve.updates import coins_of
from mevflow.operators.detect.market.snapshot import MarketState
from mevflow.operators.detect.market.validate import fault
from mevflow.operators.detect.screen import kernel
from mevflow.operators.detect.screen.events import Events
from mevflow.operators.detect.screen.runner import Hits, Screening
from mevflow.operators.detect.settings import DetectSettings, Registry
from mevflow.operators.detect.told import UpdateTold
from mevflow.operators.sizing.kinds import KIND_STABLE
from mevflow.operators.sizing.venues import kind_of


class NewPool(NamedTuple):
    """What a pool is made from: its first swap or update that names its two mints."""

    chain: int
    pool: bytes
    venue: int
    mints: tuple[bytes, bytes]
    x64: bool  # its price is Q64.64, or it has ticks without a price
    x96: bool
    coins: Sequence[bytes]


class Market:
    """The book, its mints, the notes of what can be taken back, and the screening of what changed."""

    def __init__(self, settings: DetectSettings, registry: Registry, policy: DetectPolicy) -> None:
        self._settings, self._registry, self._policy = settings, registry, policy
        self._clear()

    def _clear(self) -> None:
        self.book = Book(self._policy.max_hops, self._policy.hubs)
        self.mints = Mints(self._registry, self.book)
        self._journal = Journal(self._settings.reorg_slots)
        self._screening = Screening(self.book, self.mints, self._journal, self._settings.price_every_ms * 1000)

    # -- pools ----------------------------------------------------------------------------------------------

    def __contains__(self, key: tuple[int, bytes]) -> bool:
        """Whether a pool, by chain and address, is known."""
        return key[1] in self.book.index[key[0]]

    def add_from(self, batch: pa.RecordBatch, row: int) -> int:
        """A new pool, made from the first swap or update that names its two mints; gives its number."""
        one = batch.slice(row, 1)

        def told(name: str) -> Any:
            return one.column(name)[0].as_py()

        if "a_to_b" in one.schema.names:
            mints = told("mint_in"), told("mint_out")
            mints = mints if told("a_to_b") else mints[::-1]
            spacing, coins = 0, coins_of(None)
        else:
            mints = told("mint_a"), told("mint_b")
            spacing, coins = told("tick_spacing"), coins_of(told("stable"))
        x64, x96 = bool(told("sqrt_price_x64") or spacing), bool(told("sqrt_price_x96"))
        return self._make(NewPool(told("chain"), told("pool"), told("venue"), mints, x64, x96, coins))

    def _make(self, new: NewPool) -> int:
        number = self.book.index[new.chain].get(new.pool, -1)
        if number < 0:
            kind = kind_of(new.venue, not new.x96 and new.x64, new.x96)
            number = self._add(new.chain, new.pool, new.venue, kind, *new.mints)
        self._add_faces(number, new.coins)
        return number

    def _add_faces(self, first: int, coins: Sequence[bytes]) -> None:
        pool, key = self.book.pools[first], self.book.info[first].key
        chain, venue, kind = int(pool["chain"]), int(pool["venue"]), int(pool["kind"])
        for mint, other in curved.lacking(self.book, first, coins):
            self._add(chain, key, venue, kind, mint, other)

    def _add(self, chain: int, key: bytes, venue: int, kind: int, mint_a: bytes, mint_b: bytes) -> int:
        number = self.book.add(chain, key, venue, kind, mint_a, mint_b)
        self.book.pools[number]["denied"] = self._policy.denies(chain, key, (mint_a, mint_b))
        return number

    def moved(self, number: int) -> list[int]:
        """The pools of the book that an event on a pool changes: its faces."""
        return self.book.info[number].faces if number >= 0 else []

    # -- events ---------------------------------------------------------------------------------------------

    def runs(self, events: Events) -> Iterator[tuple[int, int]]:
        """(begin, end) of each event that :meth:`alone` takes, and of the swaps between them."""
        events.alone |= curved.swaps_of(self.book, events)
        return events.runs()

    def swaps(self, events: Events, begin: int, end: int, again: bool) -> tuple[int, Hits, Hits]:
        """Apply the swaps from ``begin`` on: (where it stopped, hits, their states).

        ``again``: ``begin`` is where the last call stopped.
        """
        self.mints.grow()
        return self._screening.swaps(events, begin, end, again)

    def alone(self, events: Events, event: int) -> tuple[Hits, Hits]:
        """Apply a swap that the compiled loop does not; give the cycles that screen above zero after it.

        It is of a pool that has a curve, or does not tell its pool's state whole, or was rejected.
        """
        row = int(events.row[event])
        number, late = int(events.pool[row]), bool(events.late[event])
        if number < 0:
            return self._in_doubt(events, event, None)
        self.mints.grow()
        one = events.swaps_told[row]
        if self.book.pools[number]["kind"] >= KIND_STABLE:
            changed = curved.swap(self.book, self._journal, number, one, late)
        else:
            changed = applied.swap(self.book, self._journal, number, one, late)
        if not changed:
            return self._screening.nothing()
        return self._screening.faces(events, event, number, one["timestamp_us"])

    def _in_doubt(self, events: Events, event: int, kind: int | None) -> tuple[Hits, Hits]:
        """A row was rejected: what it did to its pool is not known. ``kind`` is an update's."""
        number, at = events.doubted[event], events.at(event)
        place = at.slot, at.tx_index, at.ix_index
        if events.astray[event]:  # nor where it stands
            place = place_of(self.book.pools[number])
        if not doubt.lose(self.book, self._journal, number, place, kind):
            return self._screening.nothing()
        self.mints.grow()
        return self._screening.faces(events, event, number, at.timestamp_us)

    def update(self, events: Events, event: int) -> tuple[Hits, Hits]:
        """Apply a pool update; give the cycles that screen above zero after it, with their legs' states."""
        row = int(events.row[event])
        one = events.updates_told[row]
        wrong, number = (SLOT_AHEAD, SLOT_AHEAD_DETAIL) if events.astray[event] else fault(one), -1
        known = self.book.index[one["chain"]].get(one["pool"], -1) if one["chain"] > 0 else -1
        decimals = self.book.info[known].decimals if known >= 0 else (0, 0)
        if wrong is None and known >= 0:
            wrong = self._other_mints(known, one)
        if wrong is None:
            try:
                number = self._apply(one)
            except AmmError as error:
                wrong = "impossible", error.message
            else:
                if number < 0:
                    wrong = "unknown_pool", "its first update must name mints"
        if wrong is not None:
            events.reject(events.updates, row, *wrong)
            if known < 0:
                return self._screening.nothing()
            events.doubted[event] = known
            return self._in_doubt(events, event, one["kind"])
        events.update_pool[event] = number
        if self.book.info[number].decimals != decimals:
            events.retold[number].append((event, decimals))
        self.mints.grow()
        return self._screening.faces(events, event, number, one["timestamp_us"])

    def _other_mints(self, number: int, one: UpdateTold) -> tuple[str, str] | None:
        """Why an update that names other mints than its pool has, or these in the other order, is refused.

        Its A is not the pool's then. A curve takes what is told by the coins' names.
        """
        told = one["mint_a"], one["mint_b"]
        if not all(told) or self.book.pools[number]["kind"] >= KIND_STABLE:
            return None
        a, b = (self.book.mints[mint][1] for mint in self.book.info[number].mints)
        if told == (a, b):
            return None
        return "other_mints", f"the pool's mints are {a.hex()} and {b.hex()}, not {told[0].hex()} and {told[1].hex()}"

    def _apply(self, one: UpdateTold) -> int:
        """Change the pool; gives its number, -1 for a pool that is unknown and cannot be made. Raises AmmError."""
        number = self.book.index[one["chain"]].get(one["pool"], -1)
        if number < 0:
            if not one["mint_a"] or not one["mint_b"] or one["mint_a"] == one["mint_b"]:
                return -1
            x64, x96 = bool(one["sqrt_price_x64"] or one["tick_spacing"]), bool(one["sqrt_price_x96"])
            mints = one["mint_a"], one["mint_b"]
            new = NewPool(one["chain"], one["pool"], one["venue"], mints, x64, x96, coins_of(one["stable"]))
            number = self._make(new)
        has_curve = self.book.pools[number]["kind"] >= KIND_STABLE
        (curved.update if has_curve else applied.update)(self.book, self._journal, number, one)
        return number

    def take_prices(self) -> NDArray[np.void]:
        """The prices recorded since the last call."""
        return self._screening.take_prices()

    def tidy(self) -> None:
        """A stretch is over: notes that no fork can ask for may go."""
        self._journal.tidy(self.book)

    # -- what is taken back or set anew ---------------------------------------------------------------------

    def undo(self, chain: int, first: int, last: int) -> list[int]:
        """Take back what slots ``first`` to ``last`` did; gives the pools that it changed, to be screened."""
        book = self.book
        touched, notes = self._journal.undo(book, chain, first, last)
        firsts = sorted({book.info[number].first for number in touched})
        for number in firsts:
            if book.pools[number]["kind"] >= KIND_STABLE:
                curved.set_curve(book, number, book.info[number].curve)
        for note in notes:
            applied.take_back(book, note)
        view = book.view()
        for number in firsts:
            for face in self.moved(number):
                kernel.rerate(view, face)
        return firsts

    def screen_again(self, events: Events, event: int, number: int) -> tuple[Hits, Hits]:
        """The cycles that pay through a pool after it was taken back."""
        events.update_pool[event] = number
        return self._screening.faces(events, event, number, events.at(event).timestamp_us)

    def apply_policy(self) -> None:
        """The policy changed: look for its cycles, mark the pools that it leaves out."""
        book, policy = self.book, self._policy
        book.steer(policy.max_hops, policy.hubs)
        self.mints.grow()
        view = book.view()
        for number in range(book.count):
            pool = book.pools[number]
            info = book.info[number]
            mints = [book.mints[mint][1] for mint in info.mints]
            pool["denied"] = policy.denies(int(pool["chain"]), info.key, mints)
            pool["warm"] = True  # what pays by the new rules has not been looked for
            kernel.rerate(view, number)

    def snapshot(self) -> MarketState:
        """All state, with pools in their order."""
        return market_state.saved(self.book, self.mints, self._journal)

    def restore(self, state: MarketState) -> None:
        """Make the pools in their order, then put their state back."""
        self._clear()
        for pool in state.pools:
            self._add(*pool)
        market_state.put_back(state, self.book, self.mints, self._journal)
