"""Cycles through PumpSwap, against a search over exact quotes alone."""

from __future__ import annotations

import pytest

from mevflow.operators.amm.pairs.pump_swap import PumpSwapState
from mevflow.operators.sizing.legs import PumpSwapLeg, ReservesLeg
from mevflow.operators.sizing.size import size_to_the_unit
from mevflow.v1 import market_pb2 as market
from tests.operators.sizing.cases import searched


@pytest.mark.parametrize("fees", [(20, 5, 0, 0), (2, 93, 30, 0), (20, 5, 0, 55)])
@pytest.mark.parametrize("sells", [True, False])
@pytest.mark.parametrize("depth", [10**7, 10**12])
def test_the_best_input_is_found(fees: tuple[int, int, int, int], sells: bool, depth: int) -> None:
    """The other pool's price is five percent apart, in favour of a sale or of a purchase here."""
    pump = PumpSwapLeg(PumpSwapState(depth * 10, depth, *fees), sells)
    other_a = depth * 30 * (105 if sells else 95) // 100
    other = ReservesLeg((other_a, depth * 3), 2_500, not sells, market.VENUE_RAYDIUM_CPMM)
    cycle = [other, pump] if sells else [pump, other]
    amount, best = searched(cycle, depth * 10)
    found = size_to_the_unit(cycle)
    assert found is not None, (amount, best)
    assert found[-1] - found[0] >= best - max(4, best * 1e-6)
    assert best > 0


def test_what_the_program_cannot_hold_is_not_quoted() -> None:
    leg = PumpSwapLeg(PumpSwapState(10**12, 10**12, 20, 5), True)
    assert leg.quote((1 << 64) - 10**11) is None
    assert leg.quote(1) == 0
    assert leg.cost(10**12) is None
