"""The state of every pool, and what an event does to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from operators.amm.concentrated import AmmError
from operators.amm.dlmm import DlmmState
from operators.amm.stable_swap import StableState
from operators.amm.tick_map import TickMap
from operators.detect import curve_bytes, curves, kernel
from operators.detect.book import Book
from operators.detect.control import Policy
from operators.detect.curve_updates import coins_of, updated
from operators.detect.curves import Curve, SwapRow
from operators.detect.events import SWAPS, Events
from operators.detect.pools import (
    KIND_CONCENTRATED_X64,
    KIND_CONCENTRATED_X96,
    KIND_NOT_TRADED,
    KIND_STABLE,
    POOL_DTYPE,
    PoolInfo,
)
from operators.detect.screen import HIT_DTYPE, MAX_LEGS, Found
from operators.detect.settings import DetectSettings, Registry, address
from operators.detect.undo import Journal, JournalState, TickNote, Ticks
from operators.detect.updates import fault
from operators.detect.venues import kind_of
from operators.detect.worth import MINT_DTYPE, PRICE_DTYPE
from proto.mevflow.v1 import market_pb2 as market

_LEVELS = {"numeraire": 0, "hub": 1, "token": 2}
_NEVER_US = -(1 << 62)
#: A known range this wide is the whole of any venue's ticks.
_WHOLE_TICKS = 887_000
_CREATE, _LIQUIDITY, _FEE, _SNAPSHOT, _REMOVE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
    market.PoolUpdate.KIND_SNAPSHOT,
    market.PoolUpdate.KIND_REMOVE,
)
Hits = NDArray[np.void]


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


class Market:
    """The book with the kernel's arrays around it."""

    def __init__(self, settings: DetectSettings, registry: Registry, policy: Policy) -> None:
        self._settings, self._registry, self._policy = settings, registry, policy
        self._tokens = {token.key: token for token in registry.tokens}
        #: How often a pool's names for its mints have changed.
        self.named = 0
        self._clear()

    def _clear(self) -> None:
        self.book = Book(self._policy.max_hops, self._policy.hubs)
        self.mints: NDArray[np.void] = np.zeros(0, MINT_DTYPE)
        self._native: NDArray[np.int32] = np.full(max(_NATIVE) + 1, -1, np.int32)
        self._hits = np.zeros(256, HIT_DTYPE)
        self._states = np.zeros((256, MAX_LEGS), POOL_DTYPE)
        self._prices = np.zeros(0, PRICE_DTYPE)
        self._journal = Journal(self._settings.reorg_slots)
        self._priced = 0
        self._curved = False  # there is a pool whose state is beside the book
        for key in self._tokens:
            self.book.mint(*key)
        self._grow_mints()

    def _grow_mints(self) -> None:
        """Give mints that appeared their place in the array."""
        known = len(self.mints)
        if len(self.book.mints) == known:
            return
        self._native = np.full(max(_NATIVE) + 1, -1, np.int32)
        for key in _NATIVE.items():
            self._native[key[0]] = self.book.mint_index.get(key, -1)
        grown = np.zeros(len(self.book.mints), MINT_DTYPE)
        grown[:known] = self.mints
        self.mints = grown
        for number in range(known, len(grown)):
            token = self._tokens.get(self.book.mints[number])
            level = self.level(number)
            grown[number]["level"] = level
            grown[number]["usd"] = 10.0**-token.decimals if token and level == 0 else 0.0
            grown[number]["pool"], grown[number]["said_us"] = -1, _NEVER_US

    def level(self, mint: int) -> int:
        """0 for a numeraire, 1 for a hub, 2 for anything else."""
        token = self._tokens.get(self.book.mints[mint])
        return _LEVELS[token.role] if token else _LEVELS["token"]

    # -- events ---------------------------------------------------------------------------------------------

    def __contains__(self, key: tuple[int, bytes]) -> bool:
        """Whether a pool, by chain and address, is known."""
        return key[1] in self.book.index[key[0]]

    def add_from(self, batch: pa.RecordBatch, row: int) -> int:
        """A new pool, made from the first swap or update that names its two mints; gives its number."""
        return self._make({name: batch.column(name)[row].as_py() for name in batch.schema.names if name in _MAKING})

    def _make(self, one: dict[str, Any]) -> int:
        if "a_to_b" in one:
            mints = (one["mint_in"], one["mint_out"]) if one["a_to_b"] else (one["mint_out"], one["mint_in"])
        else:
            mints = one["mint_a"], one["mint_b"]
        known = self.book.index[one["chain"]].get(one["pool"], -1)
        if known >= 0:
            return self._add_faces(known, coins_of(one))
        x96 = bool(one["sqrt_price_x96"])
        kind = kind_of(one["venue"], not x96 and bool(one["sqrt_price_x64"] or one.get("tick_spacing")), x96)
        number = self._add(one["chain"], one["pool"], one["venue"], kind, *mints)
        return self._add_faces(number, coins_of(one))

    def _add_faces(self, first: int, mints: Sequence[bytes]) -> int:
        """The faces of a stable-swap pool of more than two coins that are not there yet; gives the pool's number."""
        book = self.book
        pool, key = book.pools[first], book.info[first].key
        chain, venue, kind = int(pool["chain"]), int(pool["venue"]), int(pool["kind"])
        if kind == KIND_STABLE and len(mints) > 2:
            for i, mint in enumerate(mints):
                for other in mints[i + 1 :]:
                    if book.face(first, book.mint(chain, mint), book.mint(chain, other)) < 0:
                        self._add(chain, key, venue, kind, mint, other)
        return first

    def _add(self, chain: int, key: bytes, venue: int, kind: int, mint_a: bytes, mint_b: bytes) -> int:
        number = self.book.add(chain, key, venue, kind, mint_a, mint_b)
        self.book.pools[number]["denied"] = self._policy.denies(chain, key, (mint_a, mint_b))
        self._curved |= kind >= KIND_STABLE
        return number

    def moved(self, number: int) -> list[int]:
        """The pools of the book that an event on a pool changes: its faces."""
        return self.book.info[number].faces if number >= 0 else []

    def runs(self, events: Events) -> Iterator[tuple[int, int]]:
        """(begin, end) of each update, of each swap of a pool that has a curve, and of the swaps between them."""
        if not self._curved:
            yield from events.runs()
            return
        alone = self._is_curved(events)
        for begin, end in events.runs():
            for single in (begin + np.flatnonzero(alone[begin:end])).tolist():
                if single > begin:
                    yield begin, single
                yield single, single + 1
                begin = single + 1
            if begin < end:
                yield begin, end

    def _is_curved(self, events: Events) -> NDArray[np.bool_]:
        """By event: a swap of a pool that has a curve."""
        alone = np.zeros(len(events), np.bool_)
        swaps = np.flatnonzero(events.source == SWAPS)
        pools = events.pool[events.row[swaps]]
        alone[swaps] = (self.book.pools["kind"][pools] >= KIND_STABLE) & (pools >= 0)
        return alone

    def has_curve(self, events: Events, event: int) -> bool:
        """Whether an event is a swap of a pool that has a curve."""
        number = -1 if events.is_update(event) else int(events.pool[events.row[event]])
        return number >= 0 and bool(self.book.pools[number]["kind"] >= KIND_STABLE)

    def update(self, events: Events, event: int) -> tuple[Hits, Hits]:
        """Apply a pool update; give the cycles that screen above zero after it, with their legs' states."""
        row = int(events.row[event])
        one = {
            name: column[row].as_py() for name, column in zip(events.updates.schema.names, events.updates, strict=True)
        }
        wrong = fault(one)
        if wrong is not None:
            events.reject(events.updates, row, *wrong, self._policy.context)
            return self._hits[:0], self._states[:0]
        try:
            number = self._apply(one)
        except AmmError as error:
            events.reject(events.updates, row, "impossible", error.message, self._policy.context)
            return self._hits[:0], self._states[:0]
        if number < 0:
            events.reject(events.updates, row, "unknown_pool", "its first update must name mints", self._policy.context)
            return self._hits[:0], self._states[:0]
        events.update_pool[event] = number
        self._grow_mints()
        return self._screen_faces(events, event, number, one["timestamp_us"])

    def curve_swap(self, events: Events, event: int) -> tuple[Hits, Hits]:
        """Apply a swap of a pool that has a curve; give the cycles that screen above zero after it."""
        row = int(events.row[event])
        one = {name: events.swaps.column(name)[row].as_py() for name in _SWAPPED}
        number = int(events.pool[row])
        self._grow_mints()
        info, pool = self.book.info[number], self.book.pools[number]
        place = one["slot"], one["tx_index"], one["ix_index"]
        if bool(events.late[event]) and place < tuple(pool[["slot", "tx_index", "ix_index"]].tolist()):
            if curves.told_whole(info.curve) or info.curve is None:
                return self._hits[:0], self._states[:0]
            # What came after it was worked out without it.
            self._journal.forget_curves(number, one["slot"])
            self._set_curve(number, None)
        else:
            self._go_on(number, place)
            self._set_curve(number, curves.after_swap(info.curve, self._swapped(number, one)))
        return self._screen_faces(events, event, number, one["timestamp_us"])

    def _swapped(self, number: int, one: dict[str, Any]) -> SwapRow:
        book = self.book
        source, target = (book.mint_index.get((one["chain"], one[name]), -1) for name in ("mint_in", "mint_out"))
        face = book.info[max(book.face(number, source, target), number)]
        a_to_b = source == face.mints[0] if face.mints in ((source, target), (target, source)) else one["a_to_b"]
        i, j = face.coins if a_to_b else face.coins[::-1]
        # A and B of the row are those of its direction.
        into, out = ("reserve_a", "reserve_b") if one["a_to_b"] else ("reserve_b", "reserve_a")
        paid, got, balance_i, balance_j = (
            int.from_bytes(one[name], "little") for name in ("amount_in", "amount_out", into, out)
        )
        return SwapRow(i, j, paid, got, balance_i, balance_j, one["tick"], one["timestamp_us"])

    def _go_on(self, number: int, place: tuple[int, int, int]) -> None:
        """An event that is not late is about to change a pool that has a curve."""
        for face in self.book.info[number].faces:
            self._journal.note(self.book, face, place[0])
            pool = self.book.pools[face]
            pool["slot"], pool["tx_index"], pool["ix_index"] = place

    def _set_curve(self, number: int, curve: Curve | None) -> None:
        """Give a pool its state, and every face its rates."""
        book, info = self.book, self.book.info[number]
        info.curve = curve
        for face in info.faces:
            pool, (i, j) = book.pools[face], book.info[face].coins
            pool["price"].view(np.float64)[:] = curves.rates(curve, i, j)
            for name, held in zip(("reserve_a", "reserve_b"), curves.holdings(curve, i, j), strict=True):
                _set(pool[name], held.to_bytes(16, "little"))

    def _screen_faces(self, events: Events, event: int, number: int, time_us: int) -> tuple[Hits, Hits]:
        """Price and screen all that an event changed."""
        faces = self.moved(number)
        if len(faces) == 1:
            return self._apart(*self._screen(events, event, number, time_us))
        for face in faces:
            kernel.rerate(self.book.view(), face)
        found = []
        for face in faces:
            hits, states = self._screen(events, event, face, time_us)
            if len(hits):
                found.append((hits.copy(), states.copy()))
        if not found:
            return self._hits[:0], self._states[:0]
        return self._apart(np.concatenate([hits for hits, _ in found]), np.concatenate([each for _, each in found]))

    def _apart(self, hits: Hits, states: Hits) -> tuple[Hits, Hits]:
        """Hits without those that go twice through one pool: its first swap would change what the second finds."""
        if not self.book.has_faces or not len(hits):
            return hits, states
        pools = hits["pool"]
        group = np.where(pools >= 0, self.book.group[pools], -1 - np.arange(pools.shape[1], dtype=np.int32))
        group.sort(axis=1)
        apart = (group[:, 1:] != group[:, :-1]).all(axis=1)
        return hits[apart], states[apart]

    def _screen(self, events: Events, event: int, number: int, time_us: int) -> tuple[Hits, Hits]:
        """Derive, price and screen a pool whose state was changed."""
        again = False
        while True:
            found, self._priced = kernel.run_update(
                self.book.view(), self._found(), number, event, time_us,
                self._settings.price_every_ms * 1000, self._room(events), self._priced, again,
            )  # fmt: skip
            if found <= len(self._hits):
                return self._hits[:found], self._states[:found]
            self._double()
            again = True

    def undo(self, chain: int, first: int, last: int) -> list[int]:
        """Take back what slots ``first`` to ``last`` did; gives the pools that it changed, to be screened."""
        touched, ticks = self._journal.undo(self.book, chain, first, last)
        firsts = sorted({self.book.info[number].first for number in touched})
        for number in firsts:
            if self.book.pools[number]["kind"] >= KIND_STABLE:
                self._set_curve(number, self.book.info[number].curve)
        for note in ticks:
            info, pool = self.book.info[note.pool], self.book.pools[note.pool]
            if note.delta:
                _change(info, note.lower, note.upper, -_signed(note.delta), _whole(pool))
            else:
                info.ticks = _ticks(note.before)
        view = self.book.view()
        for number in firsts:
            for face in self.moved(number):
                kernel.rerate(view, face)
        return firsts

    def screen_again(self, events: Events, event: int, number: int) -> tuple[Hits, Hits]:
        """The cycles that pay through a pool after it was taken back."""
        events.update_pool[event] = number
        return self._screen_faces(events, event, number, events.at(event).timestamp_us)

    def tidy(self) -> None:
        """A stretch is over: notes that no fork can ask for may go."""
        self._journal.tidy(self.book)

    def _apply(self, one: dict[str, Any]) -> int:
        """Change the pool; gives its number, -1 for a pool that is unknown and cannot be made. Raises AmmError."""
        book = self.book
        number = book.index[one["chain"]].get(one["pool"], -1)
        if number < 0:
            if not one["mint_a"] or not one["mint_b"] or one["mint_a"] == one["mint_b"]:
                return -1
            number = self._make(one)
        info, pool = book.info[number], book.pools[number]
        if pool["kind"] >= KIND_STABLE:
            self._update_curve(number, one)
            return number
        price = KIND_CONCENTRATED_X64 if one["sqrt_price_x64"] else KIND_CONCENTRATED_X96
        if (one["sqrt_price_x64"] or one["sqrt_price_x96"]) and pool["kind"] not in (price, KIND_NOT_TRADED):
            raise AmmError("the state is not of the kind that the pool's venue has")
        self._name(info, one)
        self._journal.note(book, number, one["slot"])
        if one["kind"] in (_CREATE, _SNAPSHOT):
            self._journal.note_ticks(TickNote(one["slot"], number, before=_saved(info)))
            info.ticks = TickMap((t["tick"], _signed(t["liquidity_net"]), _gross(t)) for t in one["ticks"])
        elif one["kind"] == _LIQUIDITY and info.ticks is not None:
            delta = _signed(one["liquidity_delta"])
            _change(info, one["tick_lower"], one["tick_upper"], delta, _whole(pool))
            raw = _bytes(delta)
            self._journal.note_ticks(TickNote(one["slot"], number, one["tick_lower"], one["tick_upper"], raw))
        for name in ("fee_pips", "tick_spacing"):
            if one[name]:
                pool[name] = one[name]
        place = one["slot"], one["tx_index"], one["ix_index"]
        # News that comes late changes what is known of the ticks, not the state that a later event told of.
        if place >= tuple(pool[["slot", "tx_index", "ix_index"]].tolist()):
            pool["slot"], pool["tx_index"], pool["ix_index"] = place
            _move(pool, one)
        if one["known_range_set"]:
            pool["known_lower"], pool["known_upper"] = one["known_tick_lower"], one["known_tick_upper"]
        elif one["kind"] == _SNAPSHOT:
            pool["known_lower"], pool["known_upper"] = -887_272, 887_272
        return number

    def _name(self, info: PoolInfo, one: dict[str, Any]) -> None:
        if one["symbol_a"] or one["symbol_b"]:
            symbols = one["symbol_a"], one["symbol_b"]
            self.named += info.symbols != symbols
            info.symbols = symbols
        if one["decimals_a"] or one["decimals_b"]:
            info.decimals = (one["decimals_a"], one["decimals_b"])

    def _update_curve(self, number: int, one: dict[str, Any]) -> None:
        """Change a pool that has a curve. Raises AmmError."""
        book, info, pool = self.book, self.book.info[number], self.book.pools[number]
        place = one["slot"], one["tx_index"], one["ix_index"]
        behind = place < tuple(pool[["slot", "tx_index", "ix_index"]].tolist())
        mints = [book.mint_index.get((one["chain"], mint), -1) for mint in coins_of(one)]
        if mints and not all(mint in mints for face in info.faces for mint in book.info[face].mints):
            raise AmmError("the coins are not those of the pool")
        curve = updated(info.curve, one, info.venue == market.VENUE_SABER, behind)
        if mints and isinstance(info.curve, StableState) and len(mints) != len(info.curve.balances):
            raise AmmError("the coins are not those of the pool")
        self._name(info, one)
        if behind:
            if curve is not info.curve:
                self._journal.forget_curves(number, one["slot"])
                self._set_curve(number, curve)
            return
        for face in info.faces if mints else ():
            a, b = book.info[face].mints
            book.info[face].coins = mints.index(a), mints.index(b)
        self._go_on(number, place)
        for face in info.faces:
            for name in ("fee_pips", "tick_spacing"):
                if one[name]:
                    book.pools[face][name] = one[name]
            book.pools[face]["tick"] = curve.active_id if isinstance(curve, DlmmState) else 0
        self._set_curve(number, curve)

    def swaps(self, events: Events, begin: int, end: int, again: bool) -> tuple[int, Hits, Hits, NDArray[np.bool_]]:
        """Apply the swaps from ``begin`` on: (where it stopped, hits, their states, events on warm pools).

        ``again``: ``begin`` is where the last call stopped.
        """
        self._grow_mints()
        touched = np.zeros(end, np.bool_)
        columns, view, journal = events.swap_columns, self.book.view(), self._journal
        while True:
            done, found, self._priced, journal.noted = kernel.run_swaps(
                view, self._found(), columns, begin, end, self._settings.price_every_ms * 1000, self._room(events),
                self._priced, touched, again, journal.room(end - begin), journal.noted,
            )  # fmt: skip
            if done > begin:
                return done, *self._apart(self._hits[:found].copy(), self._states[:found].copy()), touched
            self._double()
            again = True

    def _found(self) -> Found:
        return Found(self._hits, self._states, self.mints, self._native)

    def _double(self) -> None:
        """More cycles pay at one event than there is room for."""
        self._hits = np.zeros(2 * len(self._hits), HIT_DTYPE)
        self._states = np.zeros((2 * len(self._states), MAX_LEGS), POOL_DTYPE)

    def _room(self, events: Events) -> NDArray[np.void]:
        """Space for two prices an event."""
        if len(self._prices) < 2 * len(events) + self._priced:
            grown = np.zeros(2 * len(events) + self._priced, PRICE_DTYPE)
            grown[: self._priced] = self._prices[: self._priced]
            self._prices = grown
        return self._prices

    def take_prices(self) -> NDArray[np.void]:
        """The prices recorded since the last call."""
        taken = self._prices[: self._priced].copy()
        self._priced = 0
        return taken

    # -- names ---------------------------------------------------------------------------------------

    def decimals(self, mint: int) -> int:
        """Decimals of a mint: as the registry or a pool says; 0 when unknown."""
        token = self._tokens.get(self.book.mints[mint])
        if token:
            return token.decimals
        pool = int(self.mints["pool"][mint])
        if pool < 0:
            return 0
        return self.book.info[pool].decimals[0 if int(self.book.pools[pool]["mint_a"]) == mint else 1]

    def symbol(self, mint: int, pool: int) -> str:
        """A name for people: the registry's, the pool's, or the address's first characters."""
        token = self._tokens.get(self.book.mints[mint])
        if token:
            return token.symbol
        info = self.book.info[pool]
        return (
            info.symbols[0 if int(self.book.pools[pool]["mint_a"]) == mint else 1] or self.book.mints[mint][1].hex()[:8]
        )

    def apply_policy(self) -> None:
        """The policy changed: look for its cycles, mark the pools that it leaves out."""
        policy = self._policy
        self.book.steer(policy.max_hops, policy.hubs)
        self._grow_mints()
        view = self.book.view()
        for number in range(self.book.count):
            pool, (chain, key) = (
                self.book.pools[number],
                (int(self.book.pools[number]["chain"]), self.book.info[number].key),
            )
            mints = [self.book.mints[int(pool[side])][1] for side in ("mint_a", "mint_b")]
            pool["denied"] = self._policy.denies(chain, key, mints)
            pool["warm"] = True  # what pays by the new rules has not been looked for
            kernel.rerate(view, number)

    # -- state -----------------------------------------------------------------------------------------------

    def snapshot(self) -> MarketState:
        """All state, with pools in their order."""
        book = self.book
        pools, symbols, ticks = [], [], []
        coins, states = [info.coins for info in book.info], [curve_bytes.saved(info.curve) for info in book.info]
        for number, info in enumerate(book.info):
            pool = book.pools[number]
            mints = [book.mints[int(pool[side])][1] for side in ("mint_a", "mint_b")]
            pools.append((int(pool["chain"]), info.key, int(pool["venue"]), int(pool["kind"]), *mints))
            symbols.append((*info.symbols, *info.decimals))
            ticks.append(_saved(info))
        table, mint_table = book.pools[: book.count].tobytes(), self.mints.tobytes()
        journal = self._journal.snapshot(book)
        return MarketState(pools, coins, states, symbols, ticks, table, mint_table, journal)  # type: ignore[arg-type]

    def restore(self, saved: MarketState) -> None:
        """Make the pools in their order, then put their state back."""
        self._clear()
        for chain, key, venue, kind, mint_a, mint_b in saved.pools:
            self._add(chain, key, venue, kind, mint_a, mint_b)
        book = self.book
        # As bytes: numpy copies fields and leaves rubbish between them, and equal states give equal snapshots.
        book.pools[: book.count].view(np.uint8)[:] = np.frombuffer(saved.table, np.uint8)
        for info, (symbol_a, symbol_b, decimals_a, decimals_b), ticks in zip(
            book.info, saved.symbols, saved.ticks, strict=True
        ):
            info.symbols, info.decimals = (symbol_a, symbol_b), (decimals_a, decimals_b)
            info.ticks = _ticks(ticks)
        for info, coins, raw in zip(book.info, saved.coins, saved.curves, strict=True):
            info.coins, info.curve = coins, curve_bytes.loaded(raw)
        self._journal.restore(saved.journal)
        self._grow_mints()
        self.mints = np.frombuffer(bytearray(saved.mints), MINT_DTYPE)
        view = book.view()
        for number in range(book.count):
            kernel.rerate(view, number)


#: What a chain's fees are paid in.
_NATIVE: dict[int, bytes] = {
    market.CHAIN_SOLANA: address("So11111111111111111111111111111111111111112"),
    market.CHAIN_ETHEREUM: address("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
}
#: What a pool is made from, of a swap or of an update.
_MAKING = frozenset(
    (
        *("chain", "pool", "venue", "mint_in", "mint_out", "a_to_b", "mint_a", "mint_b"),
        *("sqrt_price_x64", "sqrt_price_x96", "tick_spacing", "stable"),
    )
)
#: What a swap of a pool that has a curve is read for.
_SWAPPED = (
    *("chain", "slot", "tx_index", "ix_index", "timestamp_us", "mint_in", "mint_out", "a_to_b", "tick"),
    *("amount_in", "amount_out", "reserve_a", "reserve_b"),
)


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _bytes(number: int) -> bytes:
    return number.to_bytes(17, "little", signed=True)


def _saved(info: PoolInfo) -> Ticks | None:
    return None if info.ticks is None else [(tick, _bytes(net), _bytes(gross)) for tick, net, gross in info.ticks]


def _ticks(saved: Ticks | None) -> TickMap | None:
    return None if saved is None else TickMap((tick, _signed(net), _signed(gross)) for tick, net, gross in saved)


def _whole(pool: np.void) -> bool:
    """Whether every tick of the pool is known."""
    return int(pool["known_upper"]) - int(pool["known_lower"]) >= _WHOLE_TICKS


def _gross(tick: dict[str, Any]) -> int:
    """Gross liquidity, or the least that the net implies where it is not stated."""
    raw = tick.get("liquidity_gross") or b""
    return int.from_bytes(raw, "little") if raw else abs(_signed(tick["liquidity_net"]))


def _change(info: PoolInfo, lower: int, upper: int, delta: int, whole: bool) -> None:
    """A position's liquidity changes. Raises AmmError when a map that is known whole would go below zero."""
    if info.ticks is None or not delta:
        return
    if whole:
        info.ticks.change(lower, upper, delta)
        return
    # A part of the map is known: a tick that it does not hold may be initialized all the same.
    ticks = {tick: (net, gross) for tick, net, gross in info.ticks}
    for tick, change in ((lower, delta), (upper, -delta)):
        net, gross = ticks.get(tick, (0, 0))
        gross = max(gross + delta, abs(net + change))
        if gross >= 1 << 128:
            raise AmmError(f"tick {tick} would hold {gross}, more than 128 bits")
        ticks[tick] = (net + change, gross)
    info.ticks = TickMap((tick, net, gross) for tick, (net, gross) in ticks.items() if gross)


def _move(pool: np.void, one: dict[str, Any]) -> None:
    """Take the price and the depth that an update states, or what follows of them for a position's liquidity."""
    if one["sqrt_price_x64"] or one["sqrt_price_x96"]:
        _set(pool["price"], one["sqrt_price_x64"] or one["sqrt_price_x96"])
        _set(pool["liquidity"], one["liquidity"])
        pool["tick"] = one["tick"]
    elif one["kind"] == _LIQUIDITY and pool["price"].any() and one["tick_lower"] <= pool["tick"] < one["tick_upper"]:
        active = int.from_bytes(pool["liquidity"].tobytes(), "little") + _signed(one["liquidity_delta"])
        if not 0 <= active < 1 << 128:
            raise AmmError(f"the active liquidity would be {active}")
        _set(pool["liquidity"], active.to_bytes(16, "little"))
    if one["reserve_a"] and one["reserve_b"]:
        _set(pool["reserve_a"], one["reserve_a"])
        _set(pool["reserve_b"], one["reserve_b"])
    if one["kind"] == _REMOVE:
        pool["liquidity"], pool["reserve_a"], pool["reserve_b"] = 0, 0, 0


def _set(words: NDArray[np.uint64], raw: bytes) -> None:
    words[:] = np.frombuffer(raw.ljust(8 * len(words), b"\0"), "<u8")
