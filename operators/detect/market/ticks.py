"""A pool's tick map: as an update states it, as a position's liquidity changes it, and as bytes."""

from __future__ import annotations

import numpy as np

from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.detect.book.journal import Ticks
from mevflow.operators.detect.book.pools import PoolInfo
from mevflow.operators.detect.told import TickTold

#: A known range this wide is the whole of any venue's ticks.
_WHOLE_TICKS = 887_000


def stated(ticks: list[TickTold]) -> TickMap:
    """The map that an update lists, a dict a tick."""
    return TickMap((tick["tick"], signed(tick["liquidity_net"]), _gross(tick)) for tick in ticks)


def _gross(tick: TickTold) -> int:
    """Gross liquidity, or the least that the net implies where it is not stated."""
    raw = tick.get("liquidity_gross") or b""
    return int.from_bytes(raw, "little") if raw else abs(signed(tick["liquidity_net"]))


def change(info: PoolInfo, pool: np.void, lower: int, upper: int, delta: int) -> None:
    """A position's liquidity changes. Raises AmmError when a map that is known whole would go below zero."""
    if info.ticks is None or not delta:
        return
    if _whole(pool):
        info.ticks.change(lower, upper, delta)
    else:
        info.ticks.change_known(lower, upper, delta)


def _whole(pool: np.void) -> bool:
    """Whether every tick of the pool is known."""
    return int(pool["known_upper"]) - int(pool["known_lower"]) >= _WHOLE_TICKS


def saved(ticks: TickMap | None) -> Ticks | None:
    """A map as (tick, net, gross), the liquidities in bytes."""
    return None if ticks is None else [(tick, raw(net), raw(gross)) for tick, net, gross in ticks]


def loaded(ticks: Ticks | None) -> TickMap | None:
    """The map that :func:`saved` made bytes of."""
    return None if ticks is None else TickMap((tick, signed(net), signed(gross)) for tick, net, gross in ticks)


def signed(number: bytes) -> int:
    """A signed little-endian integer."""
    return int.from_bytes(number, "little", signed=True)


def raw(number: int) -> bytes:
    """The same as bytes: 128 bits and the sign."""
    return number.to_bytes(17, "little", signed=True)
