"""Orca's off-chain quoter: its own results over a whole snapshot, both ways."""

from __future__ import annotations

import json

import base58
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mevflow.operators.accounts.snapshot import read_whirlpools
from mevflow.operators.amm.concentrated import whirlpool, whirlpool_quoter
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from tests.operators.amm.pools import states
from tests.operators.amm.recorded import SHARED, needs_shared

QUOTES = SHARED / "amm_vectors" / "orca_wasm_quotes_whirlpool-snapshot-139535179.json"
SNAPSHOT = SHARED / "whirlpool_snapshots" / "whirlpool-snapshot-139535179.csv.gz"


@needs_shared
def test_recorded_quotes() -> None:
    pools = read_whirlpools(SNAPSHOT)
    equal = refused = 0
    for entry in json.loads(QUOTES.read_text()):
        found = pools[base58.b58decode(entry["pool"])]
        assert found.tick_arrays == entry["tickArrays"]
        for case in entry["quotes"]:
            amount = int(case["amountIn"])
            if "error" in case:
                with pytest.raises(AmmError, match="leaves the five tick arrays"):
                    whirlpool_quoter.quote_exact_in(found.state, case["aToB"], amount)
                refused += 1
                continue
            quote = whirlpool_quoter.quote_exact_in(found.state, case["aToB"], amount)
            assert (quote.amount_out, quote.fee_amount) == (int(case["amountOut"]), int(case["fee"]))
            equal += 1
            if quote.filled and quote.amount_out:
                back = whirlpool_quoter.quote_exact_out(found.state, case["aToB"], quote.amount_out)
                assert back.amount_in <= amount
                assert back.amount_out == quote.amount_out
    assert (equal, refused) == (340, 68)


@given(states(whirlpool), st.booleans(), st.integers(1, 10**13), st.booleans())
def test_it_agrees_with_the_program_within_its_arrays(
    state: ConcentratedState, a_to_b: bool, amount: int, exact_in: bool
) -> None:
    quote = whirlpool_quoter.quote_exact_in if exact_in else whirlpool_quoter.quote_exact_out
    try:
        theirs = quote(state, a_to_b, amount)
    except AmmError:
        return
    try:
        ours = whirlpool.swap(state, a_to_b, amount, exact_in)
    except AmmError:
        return
    assume(ours.filled)
    assert (theirs.amount_in, theirs.amount_out, theirs.fee_amount) == (
        ours.amount_in,
        ours.amount_out,
        ours.fee_amount,
    )


@pytest.mark.parametrize("amount", [0, -5, 1 << 64])
def test_amounts_are_of_64_bits(amount: int) -> None:
    state = ConcentratedState(1 << 64, 10**9, 0, 3_000, 64)
    with pytest.raises(AmmError, match="amount"):
        whirlpool_quoter.quote_exact_in(state, True, amount)
