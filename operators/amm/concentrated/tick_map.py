"""The initialized ticks of one concentrated pool, changed by positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.curve import AmmError


class TickMap:
    """Net and gross liquidity by tick.

    A tick is initialized while its gross liquidity is above zero, even if its net is zero: a swap still stops
    there, and rounds there.
    """

    def __init__(self, ticks: Iterable[tuple[int, int, int]] = ()) -> None:
        """``ticks``: (tick, net, gross), in any order."""
        self._net: dict[int, int] = {}
        self._gross: dict[int, int] = {}
        for tick, net, gross in ticks:
            self._net[tick], self._gross[tick] = net, gross
        self._sorted: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._ticks: NDArray[np.int32] | None = None

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(tick, net, gross), ascending."""
        return ((tick, self._net[tick], self._gross[tick]) for tick in sorted(self._net))

    def __contains__(self, tick: int) -> bool:
        return tick in self._net

    def __len__(self) -> int:
        return len(self._net)

    def arrays(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(ticks, net) ascending, as :class:`ConcentratedState` wants them; the same objects until a change."""
        if self._sorted is None:
            ticks = tuple(sorted(self._net))
            self._sorted = ticks, tuple(self._net[tick] for tick in ticks)
        return self._sorted

    @property
    def ticks(self) -> NDArray[np.int32]:
        """The ticks, ascending; the same array until a change."""
        if self._ticks is None:
            self._ticks = np.array(sorted(self._net), np.int32)
        return self._ticks

    def change(self, lower: int, upper: int, delta: int) -> None:
        """A position's liquidity in [lower, upper) changes by ``delta``.

        Raises AmmError when a tick would hold less than nothing or more than 128 bits; the map is then unchanged.
        """
        _check_range(lower, upper)
        for tick in (lower, upper):
            if self._gross.get(tick, 0) + delta < 0:
                raise AmmError(f"tick {tick} holds {self._gross.get(tick, 0)}, not {-delta}")
            if self._gross.get(tick, 0) + delta >= 1 << 128:
                raise AmmError(f"tick {tick} would hold more than 128 bits")
        for tick, step in ((lower, delta), (upper, -delta)):
            net, gross = self.at(tick)
            self._state(tick, net + step, gross + delta)

    def change_known(self, lower: int, upper: int, delta: int) -> None:
        """The same of a map that is known in part: a tick that it does not hold may be initialized all the same.

        Its gross liquidity is then the least that its net implies. Raises AmmError when a tick would hold more than 128
        bits; the map is then unchanged.
        """
        _check_range(lower, upper)
        told = []
        for tick, step in ((lower, delta), (upper, -delta)):
            net, gross = self.at(tick)
            told.append((tick, net + step, max(gross + delta, abs(net + step))))
        for tick, _, gross in told:
            if gross >= 1 << 128:
                raise AmmError(f"tick {tick} would hold {gross}, more than 128 bits")
        for each in told:
            self._state(*each)

    def at(self, tick: int) -> tuple[int, int]:
        """Net and gross liquidity of a tick, 0 where it is not initialized."""
        return self._net.get(tick, 0), self._gross.get(tick, 0)

    def _state(self, tick: int, net: int, gross: int) -> None:
        if gross:
            self._net[tick], self._gross[tick] = net, gross
        else:
            self._net.pop(tick, None)
            self._gross.pop(tick, None)
        self._sorted = self._ticks = None

    def active_at(self, tick: int) -> int:
        """The liquidity of all positions around ``tick``."""
        return sum(net for at, net in self._net.items() if at <= tick)


def _check_range(lower: int, upper: int) -> None:
    if lower >= upper:
        raise AmmError(f"a range is ascending, not [{lower}, {upper})")
