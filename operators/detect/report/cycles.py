"""From hits of the kernel to cycles in canonical form, as columns; their legs' exact states."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.pools import POOL_DTYPE
from mevflow.operators.detect.screen.cycles import MAX_LEGS
from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64, KIND_CONSTANT_PRODUCT, KIND_STABLE
from mevflow.operators.sizing.legs import BinsLeg, SaberLeg, SolidlyLeg, StableLeg, WeightedLeg
from mevflow.operators.sizing.size import ConcentratedLeg, Leg, ReservesLeg, known_stretch

#: A directed cycle in canonical form. A leg is twice its pool's number, and one more where it goes from token A to B.
Cycle = tuple[int, ...]
NO_LEG = -1


class FoundCycles(NamedTuple):
    """Cycles that screen above zero after an event, in the kernel's order: a row each, of MAX_LEGS legs.

    ``cycle`` has NO_LEG where there is no leg; ``turn`` says which of the hit's legs each of its legs is. ``usd`` and
    ``native_usd`` are what a raw unit of its start token, and of the chain's fee token, was worth after that event; 0
    when that was not known.
    """

    event: NDArray[np.int64]
    legs: NDArray[np.int64]
    cycle: NDArray[np.int32]
    turn: NDArray[np.uint8]
    rate: NDArray[np.float64]
    usd: NDArray[np.float64]
    native_usd: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FoundCycles:
        """Some of the rows."""
        return FoundCycles._make(column[rows] for column in self)

    def tuples(self) -> list[Cycle]:
        """The cycles, each without the legs that it does not have."""
        return [tuple(cycle[:legs]) for cycle, legs in zip(self.cycle.tolist(), self.legs.tolist(), strict=True)]


def in_canonical_form(hits: NDArray[np.void], book: Book, levels: NDArray[np.int8]) -> FoundCycles:
    """The kernel's hits (HIT_DTYPE) as cycles that start with a numeraire, else a hub; ties go to the smaller address.

    A cycle thus has one form, whichever of its pools the event was on. ``levels`` of the mints: 0 a numeraire, 1 a hub,
    2 anything else.
    """
    count = len(hits)
    cycle, turn, usd = np.empty((count, MAX_LEGS), np.int32), np.empty((count, MAX_LEGS), np.uint8), np.empty(count)
    _turn(hits, book.pools, levels, book.mint_keys.starts, book.mint_keys.data, cycle, turn, usd)
    legs = hits["legs"].astype(np.int64)
    return FoundCycles(hits["event"].copy(), legs, cycle, turn, hits["rate"].copy(), usd, hits["native_usd"].copy())


@njit(cache=True, nogil=True)
def _before(one, other, levels, starts, data):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Whether a cycle starts with the mint ``one`` rather than with ``other``."""
    if levels[one] != levels[other]:
        return levels[one] < levels[other]
    a, b = starts[one], starts[other]
    of_a, of_b = starts[one + 1] - a, starts[other + 1] - b
    for at in range(min(of_a, of_b)):
        if data[a + at] != data[b + at]:
            return data[a + at] < data[b + at]
    return of_a < of_b


@njit(cache=True, nogil=True)
def _turn(hits, pools, levels, starts, data, cycle, turn, usd):  # type: ignore[no-untyped-def]  # pragma: no cover
    legs = np.empty(MAX_LEGS, np.int32)
    for number in range(len(hits)):
        hit = hits[number]
        count, first, least = hit["legs"], 0, np.int64(-1)
        for leg in range(count):
            pool = pools[hit["pool"][leg]]
            a_to_b = (hit["along"][leg] != 0) != pool["flipped"]
            start = np.int64(pool["mint_a"] if a_to_b else pool["mint_b"])
            legs[leg] = 2 * hit["pool"][leg] + a_to_b
            if leg == 0 or _before(start, least, levels, starts, data):
                first, least = leg, start
        for leg in range(MAX_LEGS):
            at = (first + leg) % count
            turn[number, leg] = at if leg < count else 0
            cycle[number, leg] = legs[at] if leg < count else NO_LEG
        usd[number] = hit["usd"][first]


class _State(NamedTuple):
    """What a leg needs of a row of POOL_DTYPE, in the order in which it lies there."""

    venue: int
    kind: int
    fee_pips: int
    tick_spacing: int
    tick: int
    price: bytes
    liquidity: bytes
    reserve_a: bytes
    reserve_b: bytes
    known_lower: int
    known_upper: int


_CODES = {"i1": "b", "i4": "i", "u4": "I"}


def _layout(dtype: np.dtype[np.void], names: Sequence[str]) -> struct.Struct:
    """How these fields of a row are unpacked: numbers as they are, amounts of several words as bytes."""
    assert dtype.fields is not None
    text, end = "<", 0
    for kind, offset, *_ in (dtype.fields[name] for name in names):
        text += f"{offset - end}x" + (f"{kind.itemsize}s" if kind.subdtype else _CODES[kind.str[1:]])
        end = offset + kind.itemsize
    return struct.Struct(text + f"{dtype.itemsize - end}x")


_ROW = _layout(POOL_DTYPE, _State._fields)


class States:
    """The legs' states at the moment of each hit, read from the kernel's ``(hits, MAX_LEGS)`` rows when asked for."""

    def __init__(self, book: Book, states: NDArray[np.void]) -> None:
        self._book, self._raw, self._legs = book, states.tobytes(), states.shape[1]

    def legs(self, found: FoundCycles, hit: int, time_us: int) -> list[Leg]:
        """The legs of a hit as the exact venues quote them at chain time ``time_us``."""
        count = int(found.legs[hit])
        ways = zip(found.turn[hit, :count].tolist(), found.cycle[hit, :count].tolist(), strict=True)
        return [self._leg(hit, turn, leg >> 1, bool(leg & 1), time_us) for turn, leg in ways]

    def _leg(self, hit: int, turn: int, number: int, a_to_b: bool, time_us: int) -> Leg:
        now = _State._make(_ROW.unpack_from(self._raw, (hit * self._legs + turn) * _ROW.size))
        if now.kind == KIND_CONSTANT_PRODUCT:
            return ReservesLeg((_integer(now.reserve_a), _integer(now.reserve_b)), now.fee_pips, a_to_b, now.venue)
        if now.kind >= KIND_STABLE:
            return self._curved(number, a_to_b, time_us)
        low, high = known_range(now.tick, now.tick_spacing, now.known_lower, now.known_upper)
        info = self._book.info[number]
        ticks, nets = info.ticks.arrays() if info.ticks is not None else ((), ())
        state = ConcentratedState(
            sqrt_price=_integer(now.price),
            liquidity=_integer(now.liquidity),
            tick=now.tick,
            fee_pips=now.fee_pips,
            tick_spacing=now.tick_spacing,
            ticks=ticks,
            liquidity_net=nets,
            known_tick_lower=low,
            known_tick_upper=high,
        )
        return ConcentratedLeg(state, a_to_b, 1 << (64 if now.kind == KIND_CONCENTRATED_X64 else 96), now.venue)

    def _curved(self, number: int, a_to_b: bool, time_us: int) -> Leg:
        """A leg by the pool's curve, which is still that of the hit: a change of it ends a run of events."""
        info = self._book.info[number]
        curve = self._book.info[info.first].curve
        if isinstance(curve, DlmmState):
            return BinsLeg(curve, a_to_b, time_us // 1_000_000)
        i, j = info.coins if a_to_b else info.coins[::-1]
        if isinstance(curve, SaberState):
            return SaberLeg(curve, i == 0)
        if isinstance(curve, SolidlyState):
            return SolidlyLeg(curve, i == 0)
        if isinstance(curve, WeightedState):
            return WeightedLeg(curve, i, j)
        assert curve is not None, "a pool without a state has no rate"
        return StableLeg(curve, i, j)


def known_range(tick: int, spacing: int, lower: int, upper: int) -> tuple[int, int]:
    """The ticks between which a pool's liquidity is known, of which the price's own stretch always is."""
    near_low, near_high = known_stretch(tick, spacing)
    if lower <= near_high and near_low <= upper:  # the known range holds the price: both together are known
        return min(lower, near_low), max(upper, near_high)
    return near_low, near_high


def _integer(words: bytes) -> int:
    """The unsigned integer of little-endian words."""
    return int.from_bytes(words, "little")
