"""Several pools of one pair as one leg, each filled to the same marginal price.

That is where the best split lies: Angeris et al., "Optimal Routing for Constant Function Market Makers" (2022); with
the price as the dual variable every pool's part is a problem of its own (Diamandis et al., "An Efficient Algorithm for
Optimal Routing Through Constant Function Market Makers", 2023). In the coordinate of
:mod:`mevflow.operators.sizing.legs.stretches` pools at one price stand at one ``s`` and their depths add up, so pools
with ticks, without, and bins together are a leg of stretches again, found by merging; no iteration is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mevflow.operators.sizing.legs.leg import Curve, Stretch
from mevflow.operators.sizing.legs.solve import rising_root
from mevflow.operators.sizing.legs.stretches import INF


class ParallelStretches:
    """Curves of stretches side by side: all that a walk asks of a leg."""

    uneven = False

    def __init__(self, pools: Sequence[Sequence[Stretch] | Iterator[Stretch]]) -> None:
        self._pools = [iter(pool) for pool in pools]

    def stretches(self) -> Iterator[Stretch]:
        """The merged stretches; what ends or begins in any pool ends one."""
        ahead: list[tuple[Stretch, Iterator[Stretch]]] = [
            (first, pool) for pool in self._pools if (first := next(pool, None)) is not None
        ]
        inside: list[tuple[Stretch, Iterator[Stretch]]] = []
        s = min((part[0] for part, _ in ahead), default=INF)
        while ahead or inside:
            if not inside:
                s = max(s, min(part[0] for part, _ in ahead))
            waiting = []
            for part, pool in ahead:
                if part[0] > s:
                    waiting.append((part, pool))
                elif part[2] == INF:
                    yield s, s, INF, part[3]
                    following = next(pool, None)
                    if following is not None:
                        waiting.append((following, pool))
                else:
                    inside.append((part, pool))
            ahead = waiting
            if any(part[0] <= s for part, _ in ahead):
                continue
            if not inside:
                continue
            until = min([part[1] for part, _ in inside] + [part[0] for part, _ in ahead])
            if until > s:
                depth = sum(part[2] for part, _ in inside)
                yield s, until, depth, (until - s) * depth
                s = until
            ended = [(part, pool) for part, pool in inside if part[1] <= s]
            inside = [(part, pool) for part, pool in inside if part[1] > s]
            for _, pool in ended:
                following = next(pool, None)
                if following is not None:
                    ahead.append((following, pool))


class ParallelCurve:
    """Any concave curves side by side."""

    rises: Sequence[float] = ()

    def __init__(self, curves: Sequence[Curve]) -> None:
        self._curves = curves

    @property
    def scale(self) -> float:
        """That of the largest."""
        return max(curve.scale for curve in self._curves)

    def at(self, amount_in: float) -> tuple[float, float]:
        """Output and marginal price when ``amount_in`` is split best."""
        parts = allocate(self._curves, amount_in)
        found = [curve.at(part) for curve, part in zip(self._curves, parts, strict=True)]
        # A pool that takes nothing is not at the common price, but below it.
        price = max((slope for _, slope in found), default=0.0)
        return sum(out for out, _ in found), price

    def taken(self, price: float) -> float:
        """The input up to which the marginal price is at least ``price``."""
        return sum(curve.taken(price) for curve in self._curves)


def allocate(curves: Sequence[Curve], amount_in: float) -> list[float]:
    """``amount_in`` split so that marginal prices are equal where a pool takes anything."""
    if len(curves) == 1 or amount_in <= 0.0:
        return [amount_in, *[0.0] * (len(curves) - 1)]
    starts = [curve.at(0.0)[1] for curve in curves]
    if not any(starts):
        return [amount_in / len(curves)] * len(curves)
    first = 1.0 / math.sqrt(max(starts))

    def over(beyond: float) -> float:
        price = 1.0 / (first * (1.0 + beyond)) ** 2
        return sum(curve.taken(price) for curve in curves) / amount_in - 1.0

    beyond = rising_root(over, 1e-3)
    at = 1.0 / (first * (1.0 + beyond)) ** 2
    parts = [curve.taken(at) for curve in curves]
    missing = amount_in - sum(parts)
    # A bin or an end of the known takes what is missing at one price: the root is where it jumps.
    after = 1.0 / (first * (1.0 + beyond) * (1.0 + 1e-9)) ** 2
    for number, curve in enumerate(curves):
        if missing > 0.0:
            more = min(max(curve.taken(after) - parts[number], 0.0), missing)
            parts[number] += more
            missing -= more
    total = sum(parts)
    return [part * amount_in / total for part in parts] if total > 0.0 else [amount_in, *[0.0] * (len(curves) - 1)]
