"""The best input of chains whose gain has more than one peak."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import example, given
from hypothesis import strategies as st

from mevflow.operators.sizing.legs.stretches import INF, StretchCurve
from mevflow.operators.sizing.peaks import best_on

#: Bins of ``(price, width)``: a constant price each, in any order, as a fee that falls on the way makes them.
Bins = list[tuple[float, float]]
BINS = st.lists(st.tuples(st.floats(0.8, 1.25), st.floats(10.0, 1e6)), min_size=1, max_size=8)


def curve(bins: Bins) -> StretchCurve:
    return StretchCurve(iter([(p**-0.5, p**-0.5, INF, width) for p, width in bins]), uneven=True)


def gain(chain: list[Bins], amount_in: float) -> float:
    amount = amount_in
    for bins in chain:
        out = 0.0
        for price, width in bins:
            part = min(amount, width)
            out, amount = out + part * price, amount - part
        amount = out
    return amount - amount_in


def input_for(chain: list[Bins], wanted: float) -> float:
    for bins in reversed(chain):
        given_in = 0.0
        for price, width in bins:
            part = min(wanted / price, width)
            given_in, wanted = given_in + part, wanted - part * price
        wanted = given_in
    return wanted


def most(chain: list[Bins]) -> float:
    """The gain is made of straight lines, so that it is greatest where one of them ends."""
    ends = [
        input_for(chain[:number], end)
        for number, bins in enumerate(chain)
        for end in accumulate(width for _, width in bins)
    ]
    return max(0.0, *(gain(chain, end) for end in ends))


@given(st.lists(BINS, min_size=1, max_size=3))
@example([[(1.1, 100.0), (0.9, 100.0), (1.2, 100.0)]])
@example([[(0.9, 100.0), (1.2, 300.0)], [(1.0, 150.0), (0.95, 50.0), (1.05, 1e6)]])
@example([[(0.9, 100.0)]])
def test_the_greatest_of_the_peaks_is_found(chain: list[Bins]) -> None:
    found = best_on([curve(bins) for bins in chain])
    best = most(chain)
    assert gain(chain, found) >= best - max(1e-6, 1e-6 * best)


@given(BINS)
def test_a_price_rises_where_a_bin_is_better_than_the_one_before(bins: Bins) -> None:
    ends = accumulate(width for _, width in bins)
    better = [
        end for end, (before, _), (after, _) in zip(ends, bins, bins[1:], strict=False) if after**-0.5 < before**-0.5
    ]
    assert curve(bins).rises == better
