"""From hits of the kernel to sized cycles: canonical start, legs with their exact states."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.amm.bins.dlmm import DlmmState
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.book.pools import POOL_DTYPE
from mevflow.operators.detect.screen.cycles import MAX_LEGS
from mevflow.operators.sizing.kinds import KIND_CONCENTRATED_X64, KIND_CONSTANT_PRODUCT, KIND_STABLE
from mevflow.operators.sizing.legs import BinsLeg, SaberLeg, SolidlyLeg, StableLeg
from mevflow.operators.sizing.size import ConcentratedLeg, Leg, ReservesLeg, known_stretch

#: A directed cycle: (pool, goes from token A to token B) a leg, in canonical rotation.
Cycle = tuple[tuple[int, bool], ...]


class SizedCycle(NamedTuple):
    """A cycle that screens above zero after an event. ``turn`` says which of the hit's legs each of its legs is;
    ``packed`` has that and the legs' directions, a byte each, of MAX_LEGS legs.

    ``usd`` and ``native_usd`` are what a raw unit of its start token, and of the chain's fee token, was worth after
    that event; 0 when that was not known.
    """

    event: int
    cycle: Cycle
    rate: float
    hit: int
    turn: tuple[int, ...]
    packed: bytes
    usd: float
    native_usd: float


class Rotations:
    """Canonical forms of the kernel's cycles: each is worked out once.

    A cycle starts with a numeraire, else a hub; ties go to the smaller address. It thus has one form, whichever of its
    pools the event was on.
    """

    def __init__(self, book: Book, level: Callable[[int], int]) -> None:
        """``level`` of a mint: 0 a numeraire, 1 a hub, 2 anything else."""
        self.book, self._level = book, level
        self._known: dict[tuple[int, ...], tuple[Cycle, tuple[int, ...], bytes]] = {}

    def found(self, hits: NDArray[np.void]) -> Iterator[SizedCycle]:
        """The hits in canonical form, in the kernel's order."""
        names = ("event", "legs", "pool", "along", "rate", "usd", "native_usd")
        rows = zip(*(hits[name].tolist() for name in names), strict=True)
        for number, (event, legs, pools, along, rate, usd, native_usd) in enumerate(rows):
            name = (*pools[:legs], *along[:legs])
            form = self._known.get(name)
            if form is None:
                form = self._known[name] = self._canonical(pools[:legs], along[:legs])
            yield SizedCycle(event, form[0], rate, number, form[1], form[2], usd[form[1][0]], native_usd)

    def _canonical(self, pools: list[int], along: list[int]) -> tuple[Cycle, tuple[int, ...], bytes]:
        book, count = self.book, len(pools)
        legs, starts = [], []
        for number, with_pair in zip(pools, along, strict=True):
            a, b = book.info[number].mints
            a_to_b = bool(with_pair) != (a > b)
            legs.append((number, a_to_b))
            starts.append(a if a_to_b else b)
        first = min(range(count), key=lambda leg: (self._level(starts[leg]), book.mints[starts[leg]]))
        turn = tuple((first + step) % count for step in range(count))
        cycle = tuple(legs[leg] for leg in turn)
        packed = bytes(turn).ljust(MAX_LEGS, b"\0") + bytes(a_to_b for _, a_to_b in cycle).ljust(MAX_LEGS, b"\0")
        return cycle, turn, packed


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

    def legs(self, found: SizedCycle, time_us: int) -> list[Leg]:
        """The legs as the exact venues quote them at chain time ``time_us``."""
        hit = found.hit
        return [
            self._leg(hit, leg, number, a_to_b, time_us)
            for leg, (number, a_to_b) in zip(found.turn, found.cycle, strict=True)
        ]

    def _leg(self, hit: int, leg: int, number: int, a_to_b: bool, time_us: int) -> Leg:
        now = _State._make(_ROW.unpack_from(self._raw, (hit * self._legs + leg) * _ROW.size))
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
