"""From a hit of the kernel to a sized cycle: canonical start, legs with their exact states, amounts in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.amm.concentrated import ConcentratedState
from operators.amm.uniswap_v2 import PairState
from operators.detect.book import KIND_CONCENTRATED_X64, KIND_CONSTANT_PRODUCT, Book, PoolInfo
from operators.detect.columns import integer
from operators.detect.sizing import ConcentratedLeg, Leg, ReservesLeg, known_stretch

#: A directed cycle: (pool, goes from token A to token B) a leg, in canonical rotation.
Cycle = tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A cycle that screens above zero after an event, and its legs' states at that moment, in the cycle's rotation."""

    event: int
    cycle: Cycle
    rate: float
    states: list[np.void]


def canonical(book: Book, mints: NDArray[np.void], hit: np.void, states: NDArray[np.void]) -> Found:
    """Rotate a hit so that it starts with a numeraire, else a hub; ties go to the smaller address.

    One cycle thus has one form, whichever of its pools the event was on.
    """
    count = int(hit["legs"])
    numbers, along = hit["pool"][:count].tolist(), hit["along"][:count].tolist()
    legs = []
    for leg in range(count):
        pool = book.pools[numbers[leg]]
        a_to_b = bool(along[leg]) != bool(pool["flipped"])
        start = int(pool["mint_a"] if a_to_b else pool["mint_b"])
        legs.append((numbers[leg], a_to_b, start))
    first = min(range(count), key=lambda leg: (int(mints["level"][legs[leg][2]]), book.mints[legs[leg][2]]))
    turned = [(first + step) % count for step in range(count)]
    return Found(
        int(hit["event"]),
        tuple((legs[leg][0], legs[leg][1]) for leg in turned),
        float(hit["rate"]),
        [states[leg] for leg in turned],
    )


def legs_of(book: Book, found: Found) -> list[Leg]:
    """The legs as the exact venues quote them."""
    return [
        _leg(book.info[number], state, a_to_b)
        for (number, a_to_b), state in zip(found.cycle, found.states, strict=True)
    ]


def _leg(info: PoolInfo, pool: np.void, a_to_b: bool) -> Leg:
    fee_pips = int(pool["fee_pips"])
    if pool["kind"] == KIND_CONSTANT_PRODUCT:
        # The fee of a pair is one fraction, whatever its denominator.
        reserves = integer(pool["reserve_a"]), integer(pool["reserve_b"])
        return ReservesLeg(PairState(*reserves, fee_a=fee_pips, fee_b=fee_pips, fee_denominator=1_000_000), a_to_b)
    tick, spacing = int(pool["tick"]), int(pool["tick_spacing"])
    low, high = int(pool["known_lower"]), int(pool["known_upper"])
    near_low, near_high = known_stretch(tick, spacing)
    if low <= near_high and near_low <= high:  # the known range holds the price: both together are known
        low, high = min(low, near_low), max(high, near_high)
    else:
        low, high = near_low, near_high
    ticks, nets = info.ticks.arrays() if info.ticks is not None else ((), ())
    state = ConcentratedState(
        sqrt_price=integer(pool["price"]),
        liquidity=integer(pool["liquidity"]),
        tick=tick,
        fee_pips=fee_pips,
        tick_spacing=spacing,
        ticks=ticks,
        liquidity_net=nets,
        known_tick_lower=low,
        known_tick_upper=high,
    )
    return ConcentratedLeg(state, a_to_b, 1 << (64 if pool["kind"] == KIND_CONCENTRATED_X64 else 96))
