"""What the product says of a chain is what the chain does: states, quotes, and opportunities executed to the wei.

``MEVFLOW_TRUTH_BLOCKS`` makes it longer (``make test-truth``).
"""

from __future__ import annotations

import os
import random

import pytest

from tests.evm.chain import Chain
from tests.evm.world import World
from tests.truth.execution import Watched

BLOCKS = int(os.environ.get("MEVFLOW_TRUTH_BLOCKS", "20"))


@pytest.mark.parametrize(
    ("seed", "fees"), [(1, (500, 3000)), (2, (100, 10_000)), (3, (100, 500, 3000, 10_000))], ids=str
)
def test_states_quotes_and_executed_opportunities_are_the_chains(seed, fees, tmp_path, record_property) -> None:
    chain = Chain()
    try:
        watched = Watched(World(chain, fees), tmp_path, max_hops=3)
        chance = random.Random(seed)
        watched.observe()
        for _ in range(BLOCKS):
            for _ in range(chance.choice((1, 1, 1, 3))):
                watched.world.act(chance)
            chain.mine()
            found = watched.observe()
            watched.compare_states()
            watched.compare_quotes(int(10 ** chance.uniform(3, 23)))
            for row in found:
                watched.execute(row)
    finally:
        chain.close()
    figures = watched.figures
    for name in ("states", "quotes", "executed", "legs"):
        record_property(name, getattr(figures, name))
    assert not figures.different
    assert figures.executed > 0
    print(f"{figures.states} states, {figures.quotes} quotes, {figures.executed} executed, {figures.legs} legs")
