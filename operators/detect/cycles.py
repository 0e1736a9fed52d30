"""From hits of the kernel to sized cycles: canonical start, legs with their exact states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.amm.concentrated import ConcentratedState
from operators.detect.book import KIND_CONCENTRATED_X64, KIND_CONSTANT_PRODUCT, Book
from operators.detect.sizing import ConcentratedLeg, Leg, ReservesLeg, known_stretch

#: A directed cycle: (pool, goes from token A to token B) a leg, in canonical rotation.
Cycle = tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A cycle that screens above zero after an event. ``turn`` says which of the hit's legs each of its legs is.

    ``usd`` and ``native_usd`` are what a raw unit of its start token, and of the chain's fee token, was worth after
    that event; 0 when that was not known.
    """

    event: int
    cycle: Cycle
    rate: float
    hit: int
    turn: tuple[int, ...]
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
        self._known: dict[tuple[int, ...], tuple[Cycle, tuple[int, ...]]] = {}

    def found(self, hits: NDArray[np.void]) -> Iterator[Found]:
        """The hits in canonical form, in the kernel's order."""
        names = ("event", "legs", "pool", "along", "rate", "usd", "native_usd")
        rows = zip(*(hits[name].tolist() for name in names), strict=True)
        for number, (event, legs, pools, along, rate, usd, native_usd) in enumerate(rows):
            name = (*pools[:legs], *along[:legs])
            form = self._known.get(name)
            if form is None:
                form = self._known[name] = self._canonical(pools[:legs], along[:legs])
            yield Found(event, form[0], rate, number, form[1], usd[form[1][0]], native_usd)

    def _canonical(self, pools: list[int], along: list[int]) -> tuple[Cycle, tuple[int, ...]]:
        book, count = self.book, len(pools)
        legs, starts = [], []
        for number, with_pair in zip(pools, along, strict=True):
            pool = book.pools[number]
            a_to_b = bool(with_pair) != bool(pool["flipped"])
            legs.append((number, a_to_b))
            starts.append(int(pool["mint_a"] if a_to_b else pool["mint_b"]))
        first = min(range(count), key=lambda leg: (self._level(starts[leg]), book.mints[starts[leg]]))
        turn = tuple((first + step) % count for step in range(count))
        return tuple(legs[leg] for leg in turn), turn


class States:
    """The legs' states at the moment of each hit, as Python integers; columns are read once a stretch."""

    def __init__(self, book: Book, states: NDArray[np.void]) -> None:
        self._book = book
        for name in ("kind", "venue", "fee_pips", "tick", "tick_spacing", "known_lower", "known_upper"):
            setattr(self, f"_{name}", states[name].tolist())
        for name in ("price", "liquidity", "reserve_a", "reserve_b"):
            setattr(self, f"_{name}", states[name].tolist())

    _kind: list[list[int]]
    _venue: list[list[int]]
    _fee_pips: list[list[int]]
    _tick: list[list[int]]
    _tick_spacing: list[list[int]]
    _known_lower: list[list[int]]
    _known_upper: list[list[int]]
    _price: list[list[list[int]]]
    _liquidity: list[list[list[int]]]
    _reserve_a: list[list[list[int]]]
    _reserve_b: list[list[list[int]]]

    def legs(self, found: Found) -> list[Leg]:
        """The legs as the exact venues quote them."""
        hit = found.hit
        return [
            self._leg(hit, leg, number, a_to_b) for leg, (number, a_to_b) in zip(found.turn, found.cycle, strict=True)
        ]

    def _leg(self, hit: int, leg: int, number: int, a_to_b: bool) -> Leg:
        fee_pips = self._fee_pips[hit][leg]
        kind = self._kind[hit][leg]
        venue = self._venue[hit][leg]
        if kind == KIND_CONSTANT_PRODUCT:
            reserves = _integer(self._reserve_a[hit][leg]), _integer(self._reserve_b[hit][leg])
            return ReservesLeg(reserves, fee_pips, a_to_b, venue)
        tick, spacing = self._tick[hit][leg], self._tick_spacing[hit][leg]
        low, high = self._known_lower[hit][leg], self._known_upper[hit][leg]
        near_low, near_high = known_stretch(tick, spacing)
        if low <= near_high and near_low <= high:  # the known range holds the price: both together are known
            low, high = min(low, near_low), max(high, near_high)
        else:
            low, high = near_low, near_high
        info = self._book.info[number]
        ticks, nets = info.ticks.arrays() if info.ticks is not None else ((), ())
        state = ConcentratedState(
            sqrt_price=_integer(self._price[hit][leg]),
            liquidity=_integer(self._liquidity[hit][leg]),
            tick=tick,
            fee_pips=fee_pips,
            tick_spacing=spacing,
            ticks=ticks,
            liquidity_net=nets,
            known_tick_lower=low,
            known_tick_upper=high,
        )
        return ConcentratedLeg(state, a_to_b, 1 << (64 if kind == KIND_CONCENTRATED_X64 else 96), venue)


def _integer(words: list[int]) -> int:
    """The unsigned integer of little-endian 64-bit words."""
    value = 0
    for word in reversed(words):
        value = value << 64 | word
    return value
