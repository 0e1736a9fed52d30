"""The hot loop: after every event, in order, update the pool, take its price, and screen the cycles through it.

The event columns are read as numpy arrays. The steps are compiled into the loop (``forceinline``) and are given the
arrays that they read one by one: handing over a tuple of all of them costs more than they have to do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mevflow.operators.detect.book.book import View
from mevflow.operators.detect.book.pools import DOUBT_FEE, LASTING_DOUBT
from mevflow.operators.detect.book.routes import set_best
from mevflow.operators.detect.book.usd_price import observe_price
from mevflow.operators.detect.screen.cycles import ScreenHits, may_pay, screen_pool
from mevflow.operators.detect.screen.rates import log_of_keep, log_rates


class Columns(NamedTuple):
    """Swaps by row; ``row`` has the row of each event, -1 for what is not a swap.

    ``price`` has three words a row, the other amounts two. A row of these tells its pool's state whole: price,
    liquidity and tick where ``price_width`` is above zero, else both reserves. A fee of zero leaves the pool's own.
    """

    row: NDArray[np.int64]
    late: NDArray[np.bool_]
    pool: NDArray[np.int32]
    price: NDArray[np.uint64]
    price_width: NDArray[np.int32]
    liquidity: NDArray[np.uint64]
    reserve_a: NDArray[np.uint64]
    reserve_b: NDArray[np.uint64]
    tick: NDArray[np.int32]
    fee: NDArray[np.uint32]
    time_us: NDArray[np.int64]
    slot: NDArray[np.uint64]
    tx_index: NDArray[np.uint32]
    ix_index: NDArray[np.uint32]


@njit(cache=True, nogil=True, forceinline=True)
def _settle(  # type: ignore[no-untyped-def]
    pair, along, against, old_along, old_against, rate, best, pool_start, pool_count, pool_of,
    tree, tree_base, tree_room, part_start, part_count, part_of,
):  # fmt: skip  # pragma: no cover - compiled
    """A pool's rates, written already, are no longer the old ones: bring its pair's best rates up to date."""
    for side in range(2):
        new, old = (along, old_along) if side == 0 else (against, old_against)
        edge = 2 * pair + side
        if new >= best[edge]:
            if new > best[edge]:
                set_best(edge, new, best, tree, tree_base, tree_room, part_start, part_count, part_of)
        elif old == best[edge]:
            most = -np.inf
            start = pool_start[pair]
            for at in range(start, start + pool_count[pair]):
                most = max(most, rate[pool_of[at, 0], side])
            if most != old:
                set_best(edge, most, best, tree, tree_base, tree_room, part_start, part_count, part_of)


@njit(cache=True, nogil=True)
def rerate(view: View, number: int) -> float:  # pragma: no cover - compiled
    """Derive a pool's rates from its state; gives its price."""
    old_along, old_against = view.rate[number, 0], view.rate[number, 1]
    view.log_keep[number] = log_of_keep(view.pools[number])
    along, against, price = log_rates(view.pools[number], view.log_keep[number])
    view.rate[number, 0], view.rate[number, 1] = along, against
    _settle(
        view.pools[number]["pair"], along, against, old_along, old_against, view.rate, view.best,
        view.pool_start, view.pool_count, view.pool_of,
        view.tree, view.tree_base, view.tree_room, view.part_start, view.part_count, view.part_of,
    )  # fmt: skip
    return price


@njit(cache=True, nogil=True, forceinline=True)
def _behind(pool, slot, tx_index, ix_index):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    if slot != pool["slot"]:
        return slot < pool["slot"]
    if tx_index != pool["tx_index"]:
        return tx_index < pool["tx_index"]
    return ix_index < pool["ix_index"]


@njit(cache=True, nogil=True)
def run_swaps(  # type: ignore[no-untyped-def]
    view: View, out: ScreenHits, swaps: Columns, begin, end, every_us, prices, priced, touched, again, notes, noted
):  # pragma: no cover - compiled
    """Events ``begin`` to ``end``: update the pool, price, screen. Stops early when there is no room for more hits.

    A late swap of a pool that has gone on changes nothing. ``touched[event]`` is set where a pool was warm before its
    event. ``again``: the first event is the one that the last call stopped at; its price has been taken.
    A side is screened where its rate rose or a cycle through the pool paid before: else what did not pay does not now.
    The first time that a slot changes a pool it is written to ``notes`` as it was, where that has room for anything.
    Gives (events done, hits found, prices recorded, notes written).
    """
    found = np.int64(0)
    # Taken out of their tuples once: in the loop that would count references at every event.
    pools, rate, best, back, tree, tree_base = view.pools, view.rate, view.best, view.back, view.tree, view.tree_base
    log_keep, four = view.log_keep, view.max_hops > 3
    pool_start, pool_count, pool_of = view.pool_start, view.pool_count, view.pool_of
    part_start, part_count, part_of, tree_room = view.part_start, view.part_count, view.part_of, view.tree_room
    way_start, way_count, ways = view.way_start, view.way_count, view.ways
    quad_start, quad_count, quads = view.quad_start, view.quad_count, view.quads
    row, late, pool, price, price_width = swaps.row, swaps.late, swaps.pool, swaps.price, swaps.price_width
    liquidity, reserve_a, reserve_b = swaps.liquidity, swaps.reserve_a, swaps.reserve_b
    tick, fee, time_us, slot = swaps.tick, swaps.fee, swaps.time_us, swaps.slot
    tx_index, ix_index, mints = swaps.tx_index, swaps.ix_index, out.mints
    for event in range(begin, end):
        r = row[event]
        number = np.int64(pool[r])
        if number < 0:
            continue
        one = pools[number]
        if late[event] and _behind(one, slot[r], tx_index[r], ix_index[r]):
            continue
        if len(notes) > 0 and slot[r] > one["slot"]:
            note = notes[noted]
            note["slot"], note["pool"] = slot[r], number
            note["before"] = one
            noted += 1
        one["slot"], one["tx_index"], one["ix_index"] = slot[r], tx_index[r], ix_index[r]
        if price_width[r] > 0:
            words = one["price"]
            words[0], words[1], words[2] = price[r, 0], price[r, 1], price[r, 2]
            depth = one["liquidity"]
            depth[0], depth[1] = liquidity[r, 0], liquidity[r, 1]
            one["tick"] = tick[r]
            one["derived"] = False
        else:
            a, b = one["reserve_a"], one["reserve_b"]
            a[0], a[1] = reserve_a[r, 0], reserve_a[r, 1]
            b[0], b[1] = reserve_b[r, 0], reserve_b[r, 1]
        doubt = one["doubt"]
        if doubt != 0 or (fee[r] != 0 and fee[r] != one["fee_pips"]):
            if fee[r] != 0:
                one["fee_pips"] = fee[r]
                doubt &= ~DOUBT_FEE
            one["doubt"] = doubt & LASTING_DOUBT
            log_keep[number] = log_of_keep(one)
        pair, old_along, old_against = one["pair"], rate[number, 0], rate[number, 1]
        along, against, now = log_rates(one, log_keep[number])
        rate[number, 0], rate[number, 1] = along, against
        _settle(
            pair, along, against, old_along, old_against, rate, best, pool_start, pool_count, pool_of,
            tree, tree_base, tree_room, part_start, part_count, part_of,
        )  # fmt: skip
        stopped = again and event == begin
        if not stopped:
            priced = observe_price(pools, number, now, event, time_us[r], mints, every_us, prices, priced)
        touched[event] = one["warm"]
        one["warm"] = False
        open_to = stopped or touched[event]
        if (
            (open_to or along > old_along) and may_pay(
                2 * pair, along, four, best, back, way_start, way_count, ways,
                quad_start, quad_count, quads, tree, tree_base,
            )
        ) or (
            (open_to or against > old_against) and may_pay(
                2 * pair + 1, against, four, best, back, way_start, way_count, ways,
                quad_start, quad_count, quads, tree, tree_base,
            )
        ):  # fmt: skip
            before = found
            found = screen_pool(view, out, found, number, event)
            if found > len(out.hits):
                one["warm"] = touched[event] or one["warm"]
                return event, before, priced, noted
    return end, found, priced, noted


@njit(cache=True, nogil=True)
def run_update(view: View, out: ScreenHits, number, event, time_us, every_us, prices, priced, again):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A pool changed other than by a swap: derive, price (unless ``again``), screen.

    Gives (hits found, prices recorded).
    """
    price = rerate(view, number)
    if not again:
        priced = observe_price(view.pools, number, price, event, time_us, out.mints, every_us, prices, priced)
    view.pools[number]["warm"] = False
    return screen_pool(view, out, np.int64(0), number, event), priced
