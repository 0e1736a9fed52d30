"""DLMM: recorded quotes of Meteora's own SDK, and what must hold in any pair."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from mevflow.operators.accounts import registry
from mevflow.operators.accounts.dlmm import BinArrayAccount, LbPairAccount
from mevflow.operators.accounts.states import dlmm_state
from mevflow.operators.amm.bins import dlmm, dlmm_math
from mevflow.operators.amm.bins.dlmm import Bin, DlmmQuote, DlmmState, FeeRule, Volatility
from mevflow.operators.amm.concentrated.curve import AmmError
from tests.operators.amm.recorded import SHARED, needs_shared

RECORDED = SHARED / "amm_vectors" / "meteora_dlmm_reference.json"


@needs_shared
def test_recorded_quotes() -> None:
    recorded = json.loads(RECORDED.read_text())
    pair = registry.decode(registry.METEORA_DLMM, base64.b64decode(recorded["lbPairB64"]))
    assert isinstance(pair, LbPairAccount)
    sdk = recorded["sdk"]
    assert (pair.active_id, pair.bin_step_bps, pair.base_factor) == (sdk["activeId"], sdk["binStep"], sdk["baseFactor"])
    assert pair.volatility_accumulator == sdk["volatilityAccumulator"]
    assert pair.last_update_s == sdk["lastUpdateTimestamp"]
    arrays = []
    for account in recorded["binArraysB64"]:
        array = registry.decode(registry.METEORA_DLMM, base64.b64decode(account["data"]))
        assert isinstance(array, BinArrayAccount)
        arrays.append(array)
    state = dlmm_state(pair, arrays)
    for bin_id, found in state.bins.items():
        assert found.price == dlmm_math.price_of(bin_id, state.bin_step_bps)
    for result in recorded["results"]:
        quote = dlmm.quote_exact_in(state, recorded["swapForY"], int(result["inAmount"]), int(recorded["clockTs"]))
        assert quote.amount_out == int(result["outAmount"])
    # The last result is a partial fill: the arrays at hand end before its input does.
    assert not quote.filled


def test_prices_are_inverse_and_ascending() -> None:
    for step in (1, 20, 400):
        # Far out a price has few digits left in 64 bits after the point; near one it has all of them.
        ids = range(-20_000 // step, 20_000 // step, 7)
        prices = [dlmm_math.price_of(bin_id, step) for bin_id in ids]
        assert prices == sorted(prices)
        for bin_id, price in zip(ids, prices, strict=True):
            assert price / 2**64 == pytest.approx((1 + step / 10_000) ** bin_id, rel=1e-9)
    with pytest.raises(AmmError, match="no price"):
        dlmm_math.price_of(-400_000, 400)
    with pytest.raises(AmmError, match="beyond"):
        dlmm_math.price_of(1 << 19, 1)


RULE = FeeRule(10_000, 0, 30, 600, 5_000, 40_000, 350_000, 1_000)


@st.composite
def pairs(draw: st.DrawFn) -> DlmmState:
    step = draw(st.sampled_from([1, 10, 25, 100]))
    active = draw(st.integers(-500, 500))
    amounts = st.one_of(st.just(0), st.integers(1, 10**12))
    bins = {}
    for bin_id in draw(st.sets(st.integers(active - 20, active + 20), min_size=3, max_size=12)):
        bins[bin_id] = Bin(
            price=0,
            amount_a=draw(amounts) if bin_id >= active else 0,
            amount_b=draw(amounts) if bin_id <= active else 0,
            open_order=draw(amounts),
            processed_order=draw(amounts),
            order_is_ask=bin_id > active,
        )
    return dlmm.state_of(
        bin_step_bps=step,
        active_id=active,
        fees=replace(RULE, variable_fee_control=draw(st.sampled_from([0, 40_000]))),
        volatility=Volatility(draw(st.integers(0, 100_000)), draw(st.integers(0, 50_000)), active, 1_000),
        bins=bins,
        limit_orders=draw(st.booleans()),
        fee_in_b_only=draw(st.booleans()),
        known=(active - 20, active + 20),
    )


moments = st.integers(1_000, 2_000)


def bought(state: DlmmState, a_to_b: bool, amount: int, now: int) -> DlmmQuote:
    """What an amount buys that is not too little to buy anything."""
    try:
        return dlmm.quote_exact_in(state, a_to_b, amount, now)
    except AmmError:
        reject()


def sold(state: DlmmState, a_to_b: bool, amount: int, now: int) -> DlmmQuote:
    """What an output costs that rounding does not make impossible."""
    try:
        return dlmm.quote_exact_out(state, a_to_b, amount, now)
    except AmmError:
        reject()


@given(pairs(), st.booleans(), st.integers(1, 10**13), moments)
def test_a_swap_takes_no_more_than_there_is(state: DlmmState, a_to_b: bool, amount: int, now: int) -> None:
    quote = bought(state, a_to_b, amount, now)
    assert quote.amount_in <= amount
    assert quote.filled == (quote.amount_in == amount)
    assert 0 <= quote.protocol_fee <= quote.fee_amount
    for _, found in quote.changed:
        assert min(found.amount_a, found.amount_b, found.open_order, found.processed_order) >= 0
    after = quote.applied_to(state)
    assert after.bin_ids == state.bin_ids
    if quote.filled:
        assert dlmm.after_swap(state, a_to_b, amount, quote.amount_out, now) == after
        with pytest.raises(AmmError, match="the chain gave"):
            dlmm.after_swap(state, a_to_b, amount, quote.amount_out + 1, now)
    elif quote.amount_out:
        rest = dlmm.quote_exact_in(after, a_to_b, amount, now)
        assert (rest.amount_in, rest.amount_out) == (0, 0)


@given(pairs(), st.booleans(), st.integers(1, 10**12), moments)
def test_there_and_back_never_pays(state: DlmmState, a_to_b: bool, amount: int, now: int) -> None:
    there = bought(state, a_to_b, amount, now)
    assume(there.amount_out > 0)
    back = bought(there.applied_to(state), not a_to_b, there.amount_out, now)
    assert back.amount_out <= there.amount_in


@given(pairs(), st.booleans(), st.integers(1, 10**12), moments)
def test_exact_out_pays_for_what_it_gets(state: DlmmState, a_to_b: bool, amount: int, now: int) -> None:
    quote = sold(state, a_to_b, amount, now)
    assert quote.amount_out <= amount
    assert quote.filled == (quote.amount_out == amount)
    assume(quote.amount_in > 0)
    again = bought(state, a_to_b, quote.amount_in, now)
    # The program tops up each bin's input by rounding, so the same input buys the same to within a unit a bin.
    assert again.amount_out >= quote.amount_out - len(quote.changed)


@given(pairs(), st.booleans(), st.integers(1, 10**11), st.integers(1, 10**11), moments)
def test_more_in_is_more_out(state: DlmmState, a_to_b: bool, amount: int, more: int, now: int) -> None:
    first = bought(state, a_to_b, amount, now)
    assert dlmm.quote_exact_in(state, a_to_b, amount + more, now).amount_out >= first.amount_out


@given(pairs(), st.booleans(), moments)
def test_the_marginal_price_bounds_every_quote(state: DlmmState, a_to_b: bool, now: int) -> None:
    price = dlmm.marginal_price(state, a_to_b, now)
    quote = dlmm.quote_exact_in(state, a_to_b, 10**9, now)
    if price == 0.0:
        assert quote.amount_out == 0
    else:
        assert quote.amount_out <= quote.amount_in * price * (1 + 1e-9) + 1


def test_volatility_decays() -> None:
    volatility = Volatility(accumulator=40_000, reference=10_000, index_reference=7, last_update_s=100)
    assert volatility.at(129, 9, RULE) == volatility
    assert volatility.at(130, 9, RULE) == replace(volatility, reference=20_000, index_reference=9)
    assert volatility.at(700, 9, RULE) == replace(volatility, reference=0, index_reference=9)
    assert volatility.in_bin(9, RULE).accumulator == 30_000
    assert volatility.in_bin(1_000, RULE).accumulator == RULE.max_volatility_accumulator


def test_fees_grow_with_volatility_up_to_a_tenth() -> None:
    rates = [dlmm_math.fee_rate(25, 10_000, 0, 40_000, volatility) for volatility in (0, 10_000, 100_000, 10**7)]
    assert rates == [2_500_000, 2_525_000, 5_000_000, 100_000_000]


@pytest.mark.parametrize("amount", [0, -1, 1 << 64])
def test_amounts_are_of_64_bits(amount: int) -> None:
    state = dlmm.state_of(10, 0, RULE, Volatility(0, 0, 0, 0), {0: Bin(0, 5, 5)})
    with pytest.raises(AmmError, match="amount"):
        dlmm.quote_exact_in(state, True, amount, 10)


#: What the program lb_clmm does (tests/truth runs it): a price of 0.079 Y, 2 units of makers and an order of others.
PRICE = 1_459_530_368_389_230_837


def _one_bin(makers_a: int, processed: int, opened: int) -> DlmmState:
    held = Bin(PRICE, makers_a, 0, open_order=opened, processed_order=processed, order_is_ask=True)
    return dlmm.state_of(1, -25_369, RULE, Volatility(9_000, 5_000, -25_370, 100), {-25_369: held}, limit_orders=True)


def test_a_swap_that_stays_in_its_bin_leaves_the_time_of_the_last_move() -> None:
    after = dlmm.quote_exact_in(_one_bin(10**9, 0, 0), False, 1_000, 200).volatility_after
    assert after == Volatility(4_500, 4_500, -25_369, 100)
    # The next one decays the references once more.
    assert after.at(300, -25_369, RULE) == replace(after, reference=2_250)


def test_too_little_to_buy_anything_is_refused() -> None:
    with pytest.raises(AmmError, match="too little"):
        dlmm.quote_exact_in(_one_bin(10**9, 0, 0), False, 1, 200)


def test_what_is_left_of_open_orders_is_processed_next() -> None:
    state = _one_bin(2, 1_000, 5_000)
    ((_, after),) = dlmm.quote_exact_in(state, False, 200, 200).changed
    assert (after.amount_a, after.open_order) == (0, 0)
    assert 0 < after.processed_order < 5_000
    ((_, after),) = dlmm.quote_exact_in(state, False, 20, 200).changed
    assert (after.open_order, 0 < after.processed_order < 1_000) == (5_000, True)


def test_an_output_that_rounding_cannot_leave_is_refused() -> None:
    with pytest.raises(AmmError, match="rounding"):
        dlmm.quote_exact_out(_one_bin(2, 2_949_235, 0), False, 600_772, 200)
    # Of one layer it can, and what it buys beyond that is owed to nobody.
    quote = dlmm.quote_exact_out(_one_bin(2_949_235, 0, 0), False, 600_772, 200)
    assert (quote.amount_out, quote.protocol_fee) == (600_772, quote.fee_amount * RULE.protocol_share_bps // 10_000)
