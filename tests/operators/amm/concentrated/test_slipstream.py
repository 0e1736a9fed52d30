"""Aerodrome's and Velodrome's concentrated pools: what the compiled contracts did, in both directions."""

from __future__ import annotations

import gzip
import json

from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.sizing.venues import concentrated_cost, concentrated_out
from mevflow.v1 import market_pb2 as market
from tests.operators.amm.recorded import DATA


def test_every_swap_of_the_contract_is_quoted_to_the_unit() -> None:
    """Tick spacings 1, 50 and 200, fees of the spacing and of the module, none among them."""
    with gzip.open(DATA / "slipstream.json.gz", "rt") as file:
        cases = json.load(file)["cases"]
    counted = 0
    for case in cases:
        ticks, nets = zip(*case["ticks"], strict=True)
        state = ConcentratedState(
            case["price"], case["liquidity"], case["tick"], case["fee"], case["spacing"], ticks, nets
        )
        for up, amount, amount0, amount1, *_ in case["swaps"]:
            paid, got = (amount0, -amount1) if up else (amount1, -amount0)
            quote, whole = (concentrated_out, got) if amount > 0 else (concentrated_cost, paid)
            # Where the contract stops at its last price, not all of it is filled: no quote.
            filled = paid == amount if amount > 0 else got == -amount
            found = quote(market.VENUE_SLIPSTREAM, False, state, bool(up), abs(amount))
            assert found == (whole if filled else None)
            counted += 1
    assert counted == 240
    assert {case["fee"] for case in cases} >= {0, 777, 100, 500, 3000}
