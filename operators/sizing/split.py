"""A cycle whose hops may each go through several pools at once.

Floats propose how much goes where (:mod:`mevflow.operators.sizing.parallel`); exact quotes decide. A pool is used only
where what it brings is above what one more swap costs, and never is a split reported that gains less, net of that
cost, than the best cycle of one pool a hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

from mevflow.operators.sizing.legs.bins import BinsLeg
from mevflow.operators.sizing.legs.leg import Curve, Leg, StretchLeg
from mevflow.operators.sizing.legs.stretches import StretchCurve, falling
from mevflow.operators.sizing.parallel import ParallelCurve, ParallelStretches, allocate
from mevflow.operators.sizing.peaks import best_on
from mevflow.operators.sizing.size import best_walk, size

#: So many single cycles are tried each; beyond that the hops' pools are chosen by what a small input buys.
_MAX_SINGLES = 256
_HALVINGS = 24


@dataclass(frozen=True, slots=True)
class SplitSize:
    """Exact amounts by hop and pool, in the order given; a pool that is not used has 0 and 0.

    ``swaps`` is how many are used, ``extra_cost`` what those beyond one a hop cost, ``profit`` is net of it.
    ``single_profit`` is that of the best cycle without a split.
    """

    amounts_in: tuple[tuple[int, ...], ...]
    amounts_out: tuple[tuple[int, ...], ...]
    swaps: int
    extra_cost: int
    profit: int
    single_profit: int

    @property
    def amount_in(self) -> int:
        """What goes into the first hop."""
        return sum(self.amounts_in[0])

    @property
    def amount_out(self) -> int:
        """What comes out of the last hop."""
        return sum(self.amounts_out[-1])


def split(legs_by_hop: Sequence[Sequence[Leg]], cost_per_swap: int = 0) -> SplitSize | None:
    """The best split found; None when nothing gains. ``cost_per_swap``: raw units of the start token.

    Which pools are worth a fixed cost is a choice among subsets; the pool with the least part is dropped first, and
    the best of all steps on the way to one pool a hop is taken. Each hop names at least one pool.
    """
    best = _single(legs_by_hop)
    single = best.profit if best else 0
    used = [list(range(len(hop))) for hop in legs_by_hop]
    while any(len(hop) > 1 for hop in used):
        found = _solve(legs_by_hop, used)
        if found is None:
            break
        amounts_in, amounts_out = found
        taken = [[number for number in hop if amounts[number]] for hop, amounts in zip(used, amounts_in, strict=True)]
        swaps = sum(map(len, taken))
        extra = max(swaps - len(taken), 0) * cost_per_swap
        gained = sum(amounts_out[-1]) - sum(amounts_in[0])
        if gained - extra > (best.profit if best else 0):
            best = SplitSize(amounts_in, amounts_out, swaps, extra, gained - extra, single)
        if taken == used:
            taken = _without_least(used, amounts_in)
        used = [kept or hop for kept, hop in zip(taken, used, strict=True)]
        if sum(amounts_in[0]) == 0:
            break
    return best


def _single(hops: Sequence[Sequence[Leg]]) -> SplitSize | None:
    """The best cycle of one pool a hop."""
    choices = 1
    for hop in hops:
        choices *= len(hop)
    best: tuple[int, tuple[int, ...], list[int]] | None = None
    if choices > _MAX_SINGLES:
        prices = [[leg.curve().at(0.0)[1] for leg in hop] for hop in hops]
        tried = [tuple(at.index(max(at)) for at in prices)]
    else:
        tried = list(product(*(range(len(hop)) for hop in hops)))
    for chosen in tried:
        amounts = size([hop[number] for hop, number in zip(hops, chosen, strict=True)])
        if amounts is not None and (best is None or amounts[-1] - amounts[0] > best[0]):
            best = amounts[-1] - amounts[0], chosen, amounts
    if best is None:
        return None
    profit, chosen, amounts = best
    ins = [[0] * len(hop) for hop in hops]
    outs = [[0] * len(hop) for hop in hops]
    for number, pool in enumerate(chosen):
        ins[number][pool], outs[number][pool] = amounts[number], amounts[number + 1]
    return SplitSize(tuple(map(tuple, ins)), tuple(map(tuple, outs)), len(hops), 0, profit, profit)


Amounts = tuple[tuple[int, ...], ...]


def _solve(hops: Sequence[Sequence[Leg]], used: list[list[int]]) -> tuple[Amounts, Amounts] | None:
    """The best input for these pools, split and quoted; None when no input gains or a pool cannot take its part."""
    chosen = [[hop[number] for number in numbers] for hop, numbers in zip(hops, used, strict=True)]
    if all(hasattr(leg, "stretches") for hop in chosen for leg in hop):
        walked = [ParallelStretches([falling(cast(StretchLeg, leg).stretches()) for leg in hop]) for hop in chosen]
        proposed = best_walk(walked)
    else:
        proposed = best_on([ParallelCurve([_concave(leg) for leg in hop]) for hop in chosen])
    if not 1.0 <= proposed <= 1e38:
        return None
    amount = int(proposed)
    found = _quoted(hops, used, amount)
    step = amount // 2
    for _ in range(_HALVINGS if found is None else 0):
        # Some pool does not take its part: the largest input that all take.
        tried = _quoted(hops, used, amount - step)
        if tried is None:
            amount -= step
        else:
            found = tried
        step //= 2
    return found


def _quoted(hops: Sequence[Sequence[Leg]], used: list[list[int]], amount_in: int) -> tuple[Amounts, Amounts] | None:
    """``amount_in`` through all hops, exactly."""
    ins, outs, amount = [], [], amount_in
    for hop, numbers in zip(hops, used, strict=True):
        into, out = [0] * len(hop), [0] * len(hop)
        if amount:
            parts = allocate([_concave(hop[number]) for number in numbers], float(amount))
            for number, part in zip(numbers, _whole(parts, amount), strict=True):
                given = hop[number].quote(part) if part else 0
                if given is None:
                    return None
                # What buys nothing is better kept for the largest; here it is only dust.
                into[number], out[number] = part, given
        ins.append(tuple(into))
        outs.append(tuple(out))
        amount = sum(out)
    return tuple(ins), tuple(outs)


def _concave(leg: Leg) -> Curve:
    """A curve that a split can be found on: where a price would rise, it stays."""
    return StretchCurve(falling(leg.stretches())) if isinstance(leg, BinsLeg) else leg.curve()


def _whole(parts: Sequence[float], amount: int) -> list[int]:
    """Whole units in these proportions that add up to ``amount``; the largest part takes what rounding leaves."""
    total = sum(parts)
    whole = [min(int(part / total * amount), amount) for part in parts]
    largest = max(range(len(parts)), key=lambda number: parts[number])
    whole[largest] += amount - sum(whole)
    return whole


def _without_least(used: list[list[int]], amounts_in: Amounts) -> list[list[int]]:
    """The pools without the one that takes the least of its hop."""
    shares = [
        (amounts_in[hop][number] / max(sum(amounts_in[hop]), 1), hop, number)
        for hop, numbers in enumerate(used)
        if len(numbers) > 1
        for number in numbers
    ]
    _, least_hop, least = min(shares)
    return [[number for number in numbers if (hop, number) != (least_hop, least)] for hop, numbers in enumerate(used)]
