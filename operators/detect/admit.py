"""A stretch of rows admitted to the market: amounts as words, every row's pool by number, what makes no sense refused.

Pools and mints that appear for the first time are named here, above the market that they join.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.chain_mark import SLOT_AHEAD, SLOT_AHEAD_DETAIL
from mevflow.operators.detect.columns import Words, prices, words
from mevflow.operators.detect.market.market import Market
from mevflow.operators.detect.market.validate import MAX_TICK, fault
from mevflow.operators.detect.screen.events import SWAPS, UPDATES, Events
from mevflow.operators.merge import Stretch, distinct
from mevflow.operators.sizing.kinds import KIND_CONSTANT_PRODUCT
from mevflow.operators.sizing.venues import concentrated_rules
from mevflow.operators.stage import StageContext
from mevflow.v1.market_pb2 import VENUE_BALANCER_WEIGHTED, VENUE_CURVE_STABLE, VENUE_METEORA_DLMM, VENUE_SABER

_AMOUNTS = {"sqrt_price_x64": 16, "sqrt_price_x96": 20, "liquidity": 16, "reserve_a": 16, "reserve_b": 16}
_CHECKED = ("amount_in", "amount_out")
#: Venues whose swaps need not say what they leave: the rule says it of the amounts.
_BY_AMOUNTS = (VENUE_METEORA_DLMM, VENUE_CURVE_STABLE, VENUE_SABER, VENUE_BALANCER_WEIGHTED)


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
    astray = np.zeros(rows, np.bool_)
    astray[events.row[events.astray & (events.source == SWAPS)]] = True
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
        (astray, SLOT_AHEAD, SLOT_AHEAD_DETAIL),
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
        if not tells[row] or events.astray[event] or key in market or (key in appear and event > appear[key][0]):
            continue
        if fault(events.updates_told[row]) is None:
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
    one = events.updates_told[int(events.row[event])]
    if events.astray[event] or one["stable"] is None:
        return False
    return len(one["stable"]["coins"]) > 2 and bool(one["mint_a"] and one["mint_b"]) and fault(one) is None


def _names_mints(batch: pa.RecordBatch, first: str, second: str) -> NDArray[np.bool_]:
    """Rows that name two different mints."""
    a, b = batch.column(first), batch.column(second)
    both = pc.and_(pc.greater(pc.binary_length(a), 0), pc.greater(pc.binary_length(b), 0))
    named: NDArray[np.bool_] = pc.and_(both, pc.not_equal(a, b)).to_numpy(zero_copy_only=False)
    return named
