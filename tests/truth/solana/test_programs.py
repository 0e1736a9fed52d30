"""Swaps of the real programs are what the product says: amounts, price, tick or bin, liquidity, fees, refusals.

The short form; ``make test-truth`` is the long one. Without the programs these are skipped, and say what is missing.
"""

from __future__ import annotations

import pytest

from tests.operators.amm.recorded import needs_shared
from tests.truth.solana.dlmm import swap_pairs
from tests.truth.solana.programs import DLMM, WHIRLPOOL, Program, Wanted
from tests.truth.solana.whirlpool import swap_whirlpools

SWAPS = 400


def _program(wanted: Wanted) -> Program:
    found = wanted.found()
    if found is None:
        pytest.skip(wanted.missing())
    return found


def test_whirlpool_swaps_are_what_the_product_says() -> None:
    figures = swap_whirlpools(_program(WHIRLPOOL), SWAPS, seed=1)
    assert not figures.different
    assert figures.executed > SWAPS / 2
    assert figures.refused > 0


@needs_shared
def test_dlmm_swaps_are_what_the_product_says() -> None:
    figures = swap_pairs(_program(DLMM), SWAPS, seed=1)
    assert not figures.different
    assert figures.executed > SWAPS / 2
    assert figures.refused > 0
