"""``examples/collect_and_verify.py`` against a node with Uniswap's contracts: found, and executed to the unit."""

from __future__ import annotations

import random

import pytest

from mevflow.examples import collect_and_verify
from tests.evm.chain import Chain
from tests.evm.world import World
from tests.sources.evm.test_source import CHAIN, busy


def test_every_opportunity_of_the_example_is_executed(
    chain: Chain, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    busy(world, random.Random(21), 14)
    count = collect_and_verify.main(
        [
            *(chain.url, "--chain", f"evm-{CHAIN}", "--blocks", "14"),
            *("--pairs", f"0x{world.v2.hex()}:3000", "--concentrated", "0x" + world.v3.hex()),
        ]
    )
    said = capsys.readouterr().out.splitlines()
    assert count == len(said) - 1 > 0
    assert all("executed" in line and "DIFFERENT" not in line and "not executed" not in line for line in said[:-1])
