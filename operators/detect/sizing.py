"""How much to put into a cycle, and what exactly comes out.

Within constant liquidity a pool's output is ``Y g x / (X + g x)`` (X, Y virtual reserves, g = 1 - fee), a Möbius
function; a chain of them is one again, ``a x / (b + c x)``, whose gain ``- x`` peaks at ``(sqrt(a b) - b) / c``
(Angeris, Chitra: Improved Price Oracles, 2020, for one pool). A concentrated pool is such a function from tick to tick.
:func:`best_input` walks the legs together: it goes to the peak, or to where the first leg meets a tick, and from there
on with the liquidity beyond, until the peak lies before the next tick or what is known ends.

The walk is in floats and only proposes an input; :func:`quote` then runs the venues' own integer arithmetic.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from operators.amm.concentrated import ConcentratedState
from operators.detect.venues import concentrated_out, reserves_out

_MAX_STEPS = 512
#: A profit is a signed number of 128 bits.
_MAX_AMOUNT = (1 << 127) - 1
_LOG_TICK = math.log(1.0001) / 2


@dataclass(frozen=True)
class ConcentratedLeg:
    """A swap through a concentrated pool; ``one`` is the fixed-point one of its square-root price."""

    state: ConcentratedState
    a_to_b: bool
    one: int
    venue: int = 0

    def quote(self, amount_in: int) -> int | None:
        """The exact output, or None when the pool cannot take all of it within what is known."""
        return concentrated_out(self.venue, self.one == 1 << 64, self.state, self.a_to_b, amount_in)

    @cached_property
    def keep(self) -> float:
        return 1.0 - self.state.fee_pips / 1e6

    def start(self) -> _Position:
        """Where a walk begins."""
        state = self.state
        at = bisect_right(state.ticks, state.tick)
        if self.a_to_b:
            at -= 1
        return _Position(self, state.sqrt_price / self.one, float(state.liquidity), at)


@dataclass(frozen=True)
class ReservesLeg:
    """A swap through a constant-product pool."""

    reserves: tuple[int, int]
    fee_pips: int
    a_to_b: bool
    venue: int = 0

    def quote(self, amount_in: int) -> int | None:
        """The exact output."""
        return reserves_out(self.venue, self.reserves, self.fee_pips, self.a_to_b, amount_in)

    @cached_property
    def keep(self) -> float:
        return 1.0 - self.fee_pips / 1e6

    def start(self) -> _Reserves:
        """Where a walk begins."""
        a, b = float(self.reserves[0]), float(self.reserves[1])
        return _Reserves(self.keep, *((a, b) if self.a_to_b else (b, a)))


Leg = ConcentratedLeg | ReservesLeg


class _Position:
    """A concentrated leg part of the way."""

    def __init__(self, leg: ConcentratedLeg, root: float, liquidity: float, at: int) -> None:
        self.leg, self.keep, self.root, self.liquidity, self.at = leg, leg.keep, root, liquidity, at
        self._aim()

    def _aim(self) -> None:
        """The square-root price of the next tick (or of the edge of the known) in our direction."""
        state = self.leg.state
        edge = state.known_tick_lower if self.leg.a_to_b else state.known_tick_upper
        inside = 0 <= self.at < len(state.ticks)
        tick = state.ticks[self.at] if inside else edge
        self.last = not inside or (tick <= edge if self.leg.a_to_b else tick >= edge)
        self.target = math.exp(_LOG_TICK * (edge if self.last else tick))

    @property
    def reserves(self) -> tuple[float, float]:
        """Virtual reserves of the input and of the output."""
        a, b = self.liquidity / self.root, self.liquidity * self.root
        return (a, b) if self.leg.a_to_b else (b, a)

    @property
    def room(self) -> float:
        """The input that takes the price to the target."""
        if self.leg.a_to_b:
            moved = self.liquidity * (1.0 / self.target - 1.0 / self.root)
        else:
            moved = self.liquidity * (self.target - self.root)
        return max(moved, 0.0) / self.keep

    def move(self, amount_in: float) -> None:
        """Go on by an input that stays within the room."""
        net = amount_in * self.keep
        if self.leg.a_to_b:
            self.root = self.liquidity / (self.liquidity / self.root + net)
        else:
            self.root += net / self.liquidity

    def cross(self) -> bool:
        """Step over the target into the liquidity beyond it; False at the edge of the known or where it is empty."""
        if self.last:
            return False
        net = float(self.leg.state.liquidity_net[self.at])
        self.root = self.target
        self.liquidity += -net if self.leg.a_to_b else net
        self.at += -1 if self.leg.a_to_b else 1
        self._aim()
        return self.liquidity > 0.0


class _Reserves:
    """A constant-product leg part of the way; it has no ticks."""

    room = math.inf

    def __init__(self, keep: float, x: float, y: float) -> None:
        self.keep, self.reserves = keep, (x, y)

    def move(self, amount_in: float) -> None:
        x, y = self.reserves
        net = amount_in * self.keep
        self.reserves = (x + net, y - y * net / (x + net))

    def cross(self) -> bool:
        return False


def best_input(legs: Sequence[Leg]) -> float:
    """The input that gains most, in raw units as a float; 0 when no input gains."""
    walk = [leg.start() for leg in legs]
    total = 0.0
    for _ in range(_MAX_STEPS):
        a, b, c = 1.0, 1.0, 0.0
        limit, first = math.inf, -1
        for number, position in enumerate(walk):
            x, y = position.reserves
            room = position.room
            if room < math.inf:
                # The input of the whole chain at which this leg's room is used up.
                left = a - c * room
                reach = b * room / left if left > 0.0 else math.inf
                if reach < limit:
                    limit, first = reach, number
            a, b, c = a * y * position.keep, b * x, c * x + position.keep * a
        if not a > b:
            return total
        step = (math.sqrt(a) * math.sqrt(b) - b) / c
        if step <= limit:
            return total + step
        amount = limit
        total += limit
        for position in walk:
            x, y = position.reserves
            out = y * position.keep * amount / (x + position.keep * amount)
            position.move(amount)
            amount = out
        if not walk[first].cross():
            return total
    return total


def quote(legs: Sequence[Leg], amount_in: int) -> list[int] | None:
    """Exact amounts along the cycle, ``[in, out of leg 1, ...]``; None when a leg cannot take all that comes.

    Too little to bring a unit out of a leg is 0 from there on.
    """
    amounts = [amount_in]
    for leg in legs:
        out = leg.quote(amounts[-1]) if amounts[-1] else 0
        if out is None or out > _MAX_AMOUNT:
            return None
        amounts.append(out)
    return amounts


def size(legs: Sequence[Leg]) -> list[int] | None:
    """The best input quoted exactly; None when nothing is gained in whole units."""
    proposed = best_input(legs)
    if not proposed >= 1.0 or proposed > 1e38:
        return None
    amounts = quote(legs, int(proposed)) or _largest(legs, int(proposed))
    return amounts if amounts[-1] > amounts[0] else None


def _largest(legs: Sequence[Leg], too_much: int) -> list[int]:
    """The largest input that every leg can take, quoted; at least all but a 2**-30 of it.

    The walk knows neither a venue's rounding at the edge of the known nor that a Whirlpool swap ends with its third
    tick array. A gain rises up to the best input, so below it more is better.
    """
    low, high = 0, too_much
    best = [0] * (len(legs) + 1)
    while high - low > 1 + (low >> 30):
        middle = (low + high) // 2
        amounts = quote(legs, middle)
        if amounts is None:
            high = middle
        else:
            low, best = middle, amounts
    return best


def known_stretch(tick: int, spacing: int) -> tuple[int, int]:
    """The ticks between which liquidity is constant whatever the map: the tick's own multiple of the spacing."""
    low = tick // spacing * spacing
    return low, low + spacing
