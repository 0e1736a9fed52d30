"""Uniswap v3 and v4 as venues: every recorded quote, both ways, and what a log does to the state."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated import uniswap_v3, uniswap_v3_venue, uniswap_v4
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState
from mevflow.operators.sizing.venues import concentrated_cost, concentrated_out
from mevflow.v1 import market_pb2 as market
from tests.operators.amm.pools import states
from tests.operators.amm.recorded import DATA, degenbot, results


def pool(name: str) -> ConcentratedState:
    recorded = degenbot(name)
    numbers = recorded["scalars"]
    ticks = sorted((int(tick), net) for tick, (_, net, _) in recorded["tick_data"].items())
    return ConcentratedState(
        sqrt_price=numbers["sqrt_price_x96"],
        liquidity=numbers["liquidity"],
        tick=numbers["tick"],
        fee_pips=numbers["fee"],
        tick_spacing=numbers["tick_spacing"],
        ticks=tuple(tick for tick, _ in ticks),
        liquidity_net=tuple(net for _, net in ticks),
    )


def test_recorded_v3_quotes() -> None:
    state = pool("uniswap_v3_state")
    recorded = results("uniswap_v3_quotes")
    assert len(recorded) == 80
    for (_, function, pair, amount), value in recorded:
        a_to_b = pair == "WBTC->WETH"
        if function == "quoteExactInputSingle":
            assert uniswap_v3_venue.quote_exact_in(state, a_to_b, int(amount)).amount_out == value
        else:
            assert uniswap_v3_venue.quote_exact_out(state, a_to_b, int(amount)).amount_in == value


def test_recorded_v4_quotes() -> None:
    state = pool("uniswap_v4_state")
    recorded = results("uniswap_v4_quotes")
    assert len(recorded) == 88
    reverted = 0
    for (_, function, pair, amount), value in recorded:
        a_to_b = pair == "ETH->USDC"
        exact_in = function == "quoteExactInputSingle"
        quote = (uniswap_v4.quote_exact_in if exact_in else uniswap_v4.quote_exact_out)(state, a_to_b, int(amount))
        # The quoter reverts when it cannot fill.
        assert quote.filled == (value is not None)
        reverted += value is None
        if value is not None:
            assert (quote.amount_out if exact_in else quote.amount_in) == value
    assert reverted == 16


def test_recorded_aerodrome_v3_quotes() -> None:
    """A fork with v3's arithmetic and another fee; one recorded call timed out and has no value."""
    state = pool("aerodrome_v3_state")
    recorded = [call for call in results("aerodrome_v3_quotes") if call[1] is not None]
    assert len(recorded) == 25
    for (_, _, pair, amount), value in recorded:
        assert uniswap_v3_venue.quote_exact_in(state, pair == "cbETH->WETH", int(amount)).amount_out == value


def test_every_swap_of_the_v4_manager_is_quoted_to_the_unit() -> None:
    """Tick spacings 1 to 200, the chain's own currency, with the protocol's fee and without; what the manager did."""
    with gzip.open(DATA / "uniswap_v4.json.gz", "rt") as file:
        cases = json.load(file)["cases"]
    counted = 0
    for case in cases:
        ticks, nets = zip(*case["ticks"], strict=True)
        state = ConcentratedState(
            case["price"], case["liquidity"], case["tick"], case["fee"], case["spacing"], ticks, nets
        )
        for up, amount, amount0, amount1 in case["swaps"]:
            paid, got = (-amount0, amount1) if up else (-amount1, amount0)
            quote, whole = (concentrated_out, got) if amount < 0 else (concentrated_cost, paid)
            filled = paid == -amount if amount < 0 else got == amount
            found = quote(market.VENUE_UNISWAP_V4, False, state, bool(up), abs(amount))
            assert found == (whole if filled else None)
            counted += 1
    assert counted == 184
    assert {case["fee"] for case in cases} == {100, 400, 500, 800, 3_000, 3_300, 12_345, 12_642}


def test_v4_fees_add_up() -> None:
    assert uniswap_v4.swap_fee(500, 0) == 500
    assert uniswap_v4.swap_fee(3_000, 1_000) == 3_997
    assert uniswap_v4.swap_fee(500, 999) == 1_499
    assert uniswap_v4.swap_fee(3_000, 300) == 3_300  # as the manager's own Swap logs it
    state = pool("uniswap_v4_state")
    dearer = uniswap_v4.quote_exact_in(state, True, 10**18, 1_000)
    assert dearer.amount_out < uniswap_v4.quote_exact_in(state, True, 10**18).amount_out
    assert uniswap_v4.marginal_price(state, True, 1_000) < uniswap_v4.marginal_price(state, True)


@given(states(uniswap_v3), st.booleans(), st.integers(1, 10**16))
def test_a_log_moves_the_state(state: ConcentratedState, a_to_b: bool, amount: int) -> None:
    quote = uniswap_v3_venue.quote_exact_in(state, a_to_b, amount)
    after = uniswap_v3_venue.after_swap(state, quote.sqrt_price_after, quote.liquidity_after, quote.tick_after)
    assert after == quote.applied_to(state)


@given(states(uniswap_v3), st.booleans())
def test_the_marginal_price_bounds_every_quote(state: ConcentratedState, a_to_b: bool) -> None:
    price = uniswap_v3_venue.marginal_price(state, a_to_b)
    if state.liquidity == 0:
        assert price == 0.0
        return
    quote = uniswap_v3_venue.quote_exact_in(state, a_to_b, 10**8)
    assert quote.amount_out <= quote.amount_in * price * (1 + 1e-9) + 1


def test_amounts_are_of_255_bits() -> None:
    with pytest.raises(AmmError, match="255 bits"):
        uniswap_v3_venue.quote_exact_in(pool("uniswap_v3_state"), True, 1 << 255)
