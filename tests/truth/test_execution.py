"""What the product says of a chain is what the chain does: states, quotes, and opportunities executed to the wei.

The short form; ``make test-truth`` is the long one.
"""

from __future__ import annotations

import pytest

from tests.truth.execution import WORLDS, watch


@pytest.mark.parametrize(("seed", "fees"), WORLDS, ids=str)
def test_states_quotes_and_executed_opportunities_are_the_chains(seed, fees, tmp_path) -> None:
    figures = watch(seed, fees, 12, tmp_path)
    assert not figures.different
    assert figures.executed > 0
