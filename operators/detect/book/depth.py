"""What follows of a concentrated pool's price where a row tells no more: the tick, and the liquidity there.

The pool's row holds a tick and the liquidity at it that were true together. Ticks crossed since then add or take their
net; where one of them may not be known, no liquidity follows.
"""

from __future__ import annotations

import numpy as np

from mevflow.operators.detect.book.pools import DOUBT_DEPTH, PoolInfo
from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64
from mevflow.operators.sizing.venues import concentrated_rules


def tick_of(info: PoolInfo, pool: np.void, sqrt_price: int, a_to_b: bool) -> int:
    """The pool's tick after a swap that ended at ``sqrt_price``. Raises AmmError for a price that no tick has.

    A swap from A to B that ends on the price of a tick at which its program stops has gone below that tick.
    """
    rules, stride = concentrated_rules(info.venue, bool(pool["kind"] == KIND_CONCENTRATED_X64))
    tick = rules.tick_at(sqrt_price)
    if not a_to_b or rules.price_at(tick) != sqrt_price:
        return tick
    stops = info.ticks is not None and tick in info.ticks
    edge = stride * int(pool["tick_spacing"])
    return tick - 1 if tick > rules.min_tick and (stops or (edge and tick % edge == 0)) else tick


def depth_at(info: PoolInfo, pool: np.void, tick: int) -> int | None:
    """The liquidity at ``tick``; None where it does not follow from what is known."""
    if pool["doubt"] & DOUBT_DEPTH:
        return None
    before, liquidity = int(pool["tick"]), int.from_bytes(pool["liquidity"].tobytes(), "little")
    low, high, spacing = min(before, tick), max(before, tick), max(int(pool["tick_spacing"]), 1)
    if low // spacing == high // spacing:
        return liquidity
    first, last = (low // spacing + 1) * spacing, high // spacing * spacing  # of the ticks that may lie between
    if info.ticks is None or first < int(pool["known_lower"]) or last > int(pool["known_upper"]):
        return None
    crossed = info.ticks.active_at(high) - info.ticks.active_at(low)
    liquidity += crossed if tick > before else -crossed
    return liquidity if 0 <= liquidity < 1 << 128 else None


def starting_depth(info: PoolInfo, pool: np.void, tick: int) -> int | None:
    """The liquidity at ``tick`` of a pool whose ticks were just told whole, by their sum; None where they were not."""
    rules, _ = concentrated_rules(info.venue, bool(pool["kind"] == KIND_CONCENTRATED_X64))
    whole = int(pool["known_lower"]) <= rules.min_tick and int(pool["known_upper"]) >= rules.max_tick
    if info.ticks is None or not len(info.ticks) or not whole:
        return None
    return info.ticks.active_at(tick)


def lies_elsewhere(tick: int, sqrt_price: int, one: int) -> bool:
    """Whether a tick of zero beside this price (of which ``one`` is 1.0) says that nobody told the tick."""
    return tick == 0 and not -1.5e-4 < 2 * (sqrt_price / one - 1) < 1.5e-4
