"""A stretch of merged rows as the kernel reads it: one array a column, an order, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.codec import COORDINATES
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.detect.columns import Words, prices, words
from mevflow.operators.detect.market.validate import MAX_TICK, fault
from mevflow.operators.detect.screen.kernel import Columns
from mevflow.operators.detect.screen.pools import KIND_CONSTANT_PRODUCT
from mevflow.operators.merge import Stretch, distinct
from mevflow.operators.sizing.venues import concentrated_rules
from mevflow.operators.stage import StageContext
from mevflow.v1.market_pb2 import VENUE_CURVE_STABLE, VENUE_METEORA_DLMM, VENUE_SABER

if TYPE_CHECKING:
    from mevflow.operators.detect.market.market import Market

#: Inputs in the order that breaks ties: an update goes before a swap with the same coordinates.
PORTS = ("updates", "swaps")
UPDATES, SWAPS = 0, 1
_AMOUNTS = {"sqrt_price_x64": 16, "sqrt_price_x96": 20, "liquidity": 16, "reserve_a": 16, "reserve_b": 16}
_CHECKED = ("amount_in", "amount_out")
#: Venues whose swaps need not say what they leave: the rule says it of the amounts.
_BY_AMOUNTS = (VENUE_METEORA_DLMM, VENUE_CURVE_STABLE, VENUE_SABER)
#: What a swap is read for that the compiled loop does not apply.
_SWAPPED = (
    *("chain", "slot", "tx_index", "ix_index", "timestamp_us", "mint_in", "mint_out", "a_to_b", "tick", "fee_pips"),
    *("amount_in", "amount_out", "reserve_a", "reserve_b", "sqrt_price_x64", "sqrt_price_x96", "liquidity"),
)
#: What an event says of itself.
EVENT_FIELDS = ("chain", "slot", "tx_index", "ix_index", "timestamp_us")


class RefusedRow:
    """Input rows for the ``errors`` port, in the order in which they were refused."""

    def __init__(self) -> None:
        self._rows: list[tuple[pa.RecordBatch, int, str, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: pa.RecordBatch, row: int, reason: str, detail: str) -> None:
        """Row ``row`` of ``batch``, and why."""
        self._rows.append((batch, row, reason, detail))

    def letters(self, context: StageContext) -> Iterator[pa.RecordBatch]:
        """The dead letters: a batch for rows that stand together in one input."""
        for _, group in groupby(self._rows, key=lambda refused: id(refused[0])):
            batches, rows, reasons, details = zip(*group, strict=True)
            yield dead_letters(context, batches[0].take(pa.array(rows)), reasons, details)


class At(NamedTuple):
    """Where an event stands in chain order, and its pool's number (-1: rejected)."""

    chain: int
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int
    pool: int


class Events:
    """``source[i]`` and ``row[i]`` say which input row event ``i`` is; swap columns are indexed by row."""

    def __init__(self, stretch: Stretch) -> None:
        self.updates, self.swaps = stretch.batches
        self._places = [[batch.column(name).to_numpy() for name in EVENT_FIELDS] for batch in stretch.batches]
        self.source, self.row, self.late = stretch.source, stretch.row, stretch.late
        self.errors = RefusedRow()
        rows = self.swaps.num_rows
        #: The number of each swap's pool; -2: the row is in ``errors``.
        self.pool: NDArray[np.int32] = np.full(rows, -1, np.int32)
        #: The same of each update, by event, once it has been applied.
        self.update_pool: dict[int, int] = {}
        #: The pool of each event that is in ``errors``, where it is known: what the event did to it is not.
        self.doubted: dict[int, int] = {}
        #: Rows of swaps that the compiled loop does not apply.
        self.alone: NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self.tick = self.swaps.column("tick").to_numpy()
        self.fee = self.swaps.column("fee_pips").to_numpy()
        self.amounts: dict[str, Words] = {}
        self.price: Words = np.zeros((rows, 3), np.uint64)
        self.price_width: NDArray[np.int32] = np.zeros(rows, np.int32)

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def swap_columns(self) -> Columns:
        """The swaps as the kernel reads them."""
        amounts, (_, slot, tx_index, ix_index, time_us) = self.amounts, self._places[SWAPS]
        return Columns(
            self.row, self.late, self.pool, self.price, self.price_width,
            amounts["liquidity"], amounts["reserve_a"], amounts["reserve_b"],
            self.tick, self.fee, time_us, slot, tx_index, ix_index,
        )  # fmt: skip

    def is_update(self, event: int) -> bool:
        return bool(self.source[event] == UPDATES)

    def stands_alone(self, event: int) -> bool:
        """Whether an event is a swap that the compiled loop does not apply."""
        return not self.is_update(event) and bool(self.alone[self.row[event]])

    def runs(self) -> Iterator[tuple[int, int]]:
        """(begin, end) of each update and each swap that stands alone, and of the swaps between them."""
        at = 0
        single = self.source == UPDATES
        if self.alone.any():
            swaps = ~single
            single = single.copy()
            single[swaps] = self.alone[self.row[swaps]]
        for update in [*np.flatnonzero(single).tolist(), len(self)]:
            if update > at:
                yield at, update
            if update < len(self):
                yield update, update + 1
            at = update + 1

    def ordered(self, port: str) -> pa.RecordBatch:
        """One input's rows in chain order, without those in ``errors``."""
        source = PORTS.index(port)
        batch = self.swaps if source == SWAPS else self.updates
        rows = self.row[self.source == source]
        if source == SWAPS:
            rows = rows[self.pool[rows] >= 0]
        elif len(rows):
            rows = self.row[sorted(self.update_pool)]
        if len(rows) == batch.num_rows and (rows[1:] > rows[:-1]).all():
            return batch
        return batch.take(pa.array(rows))

    def at(self, event: int) -> At:
        """Where an event stands."""
        source, row = int(self.source[event]), int(self.row[event])
        pool = self.update_pool.get(event, -1) if source == UPDATES else int(self.pool[row])
        if pool < 0:
            pool = self.doubted.get(event, -1)
        return At._make([*(column.item(row) for column in self._places[source]), pool])

    def columns(self, events: list[int]) -> dict[str, pa.Array]:
        """EVENT_FIELDS and coordinates of ``events``, as columns."""
        source, row = self.source[events], self.row[events]
        names = [*EVENT_FIELDS, *COORDINATES.names]
        parts = [
            batch.select(names).take(pa.array(row[source == at])) for at, batch in enumerate((self.updates, self.swaps))
        ]
        if all(part.num_rows for part in parts):
            whole = pa.Table.from_batches(parts).unify_dictionaries().combine_chunks()
            back = np.empty(len(events), np.int64)
            back[np.concatenate([np.flatnonzero(source == UPDATES), np.flatnonzero(source == SWAPS)])] = np.arange(
                len(events)
            )
            taken = whole.take(pa.array(back))
            return {name: taken.column(name).combine_chunks() for name in names}
        part = parts[SWAPS] if parts[SWAPS].num_rows else parts[UPDATES]
        return {name: part.column(name) for name in names}

    def reject(self, batch: pa.RecordBatch, row: int, reason: str, detail: str) -> None:
        """Make a dead letter of an input row."""
        self.errors.add(batch, row, reason, detail)


def read(stretch: Stretch, market: Market, context: StageContext) -> Events:
    """Read a stretch: words of every amount, the pool of every swap; rows that make no sense become dead letters."""
    events = Events(stretch)
    swaps = events.swaps
    rows = swaps.num_rows
    if not rows:
        _add_pools(events, market, {}, np.zeros(0, np.bool_), np.zeros(0, np.int64))
        return events
    wrong = np.zeros(rows, np.bool_)
    lengths: dict[str, Any] = {}
    for name, width in _AMOUNTS.items():
        events.amounts[name], lengths[name] = words(swaps.column(name), width, wrong)
    for name in _CHECKED:
        size = pc.binary_length(swaps.column(name)).to_numpy()
        wrong |= (size != 0) & (size != 16)
    x64 = lengths["sqrt_price_x64"] > 0
    amounts = events.amounts
    events.price, events.price_width = prices(
        amounts["sqrt_price_x64"], amounts["sqrt_price_x96"], lengths["sqrt_price_x64"], lengths["sqrt_price_x96"]
    )
    stateless = (events.price_width == 0) & ((lengths["reserve_a"] == 0) | (lengths["reserve_b"] == 0))
    if stateless.any():
        stateless &= ~np.isin(swaps.column("venue").to_numpy(), _BY_AMOUNTS)
    both = x64 & (lengths["sqrt_price_x96"] > 0)
    events.alone = (events.price_width > 0) & (lengths["liquidity"] == 0)
    zero = (events.price_width > 0) & (events.tick == 0)
    if zero.any():
        # A tick of zero at another price was not told; a tick is one part in ten thousand.
        events.alone[zero] |= ~(np.abs(_roots(events.price[zero], events.price_width[zero]) - 1.0) < 0.75e-4)
    chain = swaps.column("chain").to_numpy()
    fee = events.fee >= 1_000_000
    nameless = pc.equal(pc.binary_length(swaps.column("pool")), 0).to_numpy(zero_copy_only=False)
    for mask, reason, detail in (
        (wrong, "bad_amount", "an amount is not as many bytes as its kind has"),
        (chain <= 0, "no_chain", "the chain is not set"),
        (nameless, "no_pool", "the pool is not set"),
        (stateless, "no_state", "neither a price nor both reserves after the swap"),
        (both, "two_prices", "a Q64.64 and a Q64.96 price"),
        (fee, "bad_fee", "a fee of 100 % or more"),
        (np.abs(events.tick.astype(np.int64)) > MAX_TICK, "bad_tick", "a tick that no venue has"),
    ):
        for row in np.flatnonzero(mask & (events.pool == -1)).tolist():
            events.reject(swaps, row, reason, detail)
            events.pool[row] = -2
    _find_pools(events, market, context)
    kind = market.book.pools["kind"][events.pool]
    width = np.array([0, 16, 20, 0, 0, 0], np.int32)[kind]  # of the price, by kind; what is not traded may have any
    unlike = (events.price_width != width) & (kind > 0)
    unlike |= (kind == KIND_CONSTANT_PRODUCT) & ((lengths["reserve_a"] == 0) | (lengths["reserve_b"] == 0))
    for row in np.flatnonzero((events.pool >= 0) & unlike).tolist():
        events.reject(swaps, row, "other_kind", "the state is not of the kind that the pool's venue has")
        events.pool[row] = -2
    for row in np.flatnonzero(events.alone & (events.pool >= 0)).tolist():
        info = market.book.info[int(events.pool[row])]
        rules, _ = concentrated_rules(info.venue, x64=bool(events.price_width[row] == 16))
        try:
            rules.tick_at(sum(int(word) << 64 * at for at, word in enumerate(events.price[row])))
        except AmmError as error:
            events.reject(swaps, row, "bad_price", error.message)
            events.pool[row] = -2
    _doubt(events, market)
    return events


def swap_of(swaps: pa.RecordBatch, row: int) -> dict[str, Any]:
    """A swap by field."""
    return {name: swaps.column(name)[row].as_py() for name in _SWAPPED}


def _roots(price: Words, width: NDArray[np.int32]) -> NDArray[np.float64]:
    """Square-root prices as floats."""
    root = (price[:, 2].astype(np.float64) * 2.0**64 + price[:, 1]) * 2.0**64 + price[:, 0]
    root *= np.where(width == 20, 2.0**-96, 2.0**-64)
    return root


def _doubt(events: Events, market: Market) -> None:
    """Rows that were rejected stand alone where their pool is known: they put it in doubt."""
    events.alone &= events.pool >= 0
    rejected = events.pool == -2
    if not rejected.any():
        return
    chains, pools = events.swaps.column("chain"), events.swaps.column("pool")
    for event in np.flatnonzero(events.source == SWAPS).tolist():
        row = int(events.row[event])
        if not rejected[row]:
            continue
        chain, pool = chains[row].as_py(), pools[row].as_py()
        number = market.book.index[chain].get(pool, -1) if chain > 0 else -1
        if number >= 0:
            events.doubted[event], events.alone[row] = number, True


def _find_pools(events: Events, market: Market, context: StageContext) -> None:
    """Number every swap's pool. A pool is known from the first row in chain order that names both of its mints."""
    swaps = events.swaps
    encoded = swaps.column("pool").dictionary_encode()
    chain = swaps.column("chain").to_numpy()
    codes = encoded.indices.to_numpy()
    keys = encoded.dictionary.to_pylist()
    good = events.pool == -1
    chains = distinct(chain[good])
    # A pool of this stretch is named by one number, chain * len(keys) + code.
    unknown = {}
    numbers = {one: _numbers(market, one, keys) for one in chains}
    for one in chains:
        new = numbers[one] == -1
        here = good & (chain == one)
        for code in np.unique(codes[here & new[codes]]).tolist() if new.any() else ():
            unknown[one * len(keys) + code] = (one, keys[code])
    if unknown or swaps.num_rows < len(events):
        _add_pools(events, market, unknown, good, chain.astype(np.int64) * len(keys) + codes)
        numbers = {one: _numbers(market, one, keys) for one in chains}
    for one in chains:
        here = good & (chain == one)
        events.pool[here] = numbers[one][codes[here]]
    for row in np.flatnonzero(events.pool == -1).tolist():
        events.reject(swaps, row, "unknown_pool", "the first row of a pool must name both mints")
        events.pool[row] = -2


def _numbers(market: Market, chain: int, keys: list[bytes]) -> NDArray[np.int32]:
    """The numbers of pools of a chain, -1 for one that is not known."""
    return np.fromiter(map(market.book.index[chain].get, keys, repeat(-1)), np.int32, len(keys))


def _add_pools(
    events: Events,
    market: Market,
    unknown: dict[int, tuple[int, bytes]],
    good: NDArray[np.bool_],
    names: NDArray[np.int64],
) -> None:
    """Make the stretch's new pools, in the order in which they appear.

    ``unknown`` are pools of swaps by their number in ``names``. Swaps from before a pool was known are not ``good``.
    """
    swaps, updates = events.swaps, events.updates
    is_swap = events.source == SWAPS
    place = np.empty(swaps.num_rows, np.int64)  # the event of each swap row
    place[events.row[is_swap]] = np.flatnonzero(is_swap)
    appear: dict[tuple[int, bytes], tuple[int, pa.RecordBatch, int]] = {}
    if unknown:
        rows = np.flatnonzero(good & _names_mints(swaps, "mint_in", "mint_out"))
        rows = rows[np.argsort(place[rows])]
        told, first = np.unique(names[rows], return_index=True)
        for name, row in zip(told.tolist(), rows[first].tolist(), strict=True):
            if name in unknown:
                appear[unknown[name]] = int(place[row]), swaps, row
    tells = _names_mints(updates, "mint_a", "mint_b")
    owners = list(zip(updates.column("chain").to_pylist(), updates.column("pool").to_pylist(), strict=True))
    for event in np.flatnonzero(~is_swap).tolist():
        row = int(events.row[event])
        key = owners[row]
        if not tells[row] or key in market or (key in appear and event > appear[key][0]):
            continue
        if fault(updates.slice(row, 1).to_pylist()[0]) is None:
            appear[key] = event, updates, row
    several = [(event, updates, int(events.row[event])) for event in _tell_coins(events) if _good(events, event)]
    for _, batch, row in sorted([*appear.values(), *several], key=lambda found: found[0]):
        market.add_from(batch, row)
    if unknown:
        numbers = np.array(sorted(unknown), np.int64)
        since = np.array([appear.get(unknown[number], (len(events),))[0] for number in numbers.tolist()], np.int64)
        at = np.minimum(np.searchsorted(numbers, names), len(numbers) - 1)
        good &= (numbers[at] != names) | (place >= since[at])


def _tell_coins(events: Events) -> list[int]:
    """The events that are updates of a stable-swap pool and name its coins: it may have more than two."""
    told = events.updates.column("stable").is_valid().to_numpy(zero_copy_only=False)
    if not told.any():
        return []
    updates = np.flatnonzero(events.source == UPDATES)
    return [int(event) for event in updates[told[events.row[updates]]].tolist()]


def _good(events: Events, event: int) -> bool:
    one = events.updates.slice(int(events.row[event]), 1).to_pylist()[0]
    coins = one["stable"]["coins"]
    return len(coins) > 2 and bool(one["mint_a"] and one["mint_b"]) and fault(one) is None


def _names_mints(batch: pa.RecordBatch, first: str, second: str) -> NDArray[np.bool_]:
    """Rows that name two different mints."""
    a, b = batch.column(first), batch.column(second)
    both = pc.and_(pc.greater(pc.binary_length(a), 0), pc.greater(pc.binary_length(b), 0))
    named: NDArray[np.bool_] = pc.and_(both, pc.not_equal(a, b)).to_numpy(zero_copy_only=False)
    return named
