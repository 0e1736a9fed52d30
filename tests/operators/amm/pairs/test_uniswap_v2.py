"""Uniswap v2 and Camelot: recorded results, and the pair's own check of the product."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from tests.operators.amm.recorded import degenbot, results

reserves = st.integers(10**3, 2**112 - 1)


def test_recorded_pair() -> None:
    recorded = degenbot("uniswap_v2_pool_17600000")
    state = PairState(recorded["reserves_token0"], recorded["reserves_token1"])
    quote = uniswap_v2.quote_exact_in(state, True, 8_000_000_000)
    assert quote.amount_out == 847228560678214929944
    assert uniswap_v2.quote_exact_out(state, True, quote.amount_out).amount_in in (8_000_000_000, 7_999_999_999)


def test_recorded_camelot() -> None:
    ((_, _, _, amount), value) = results("camelot_v2_get_amount_out")[0]
    state = PairState(41_955_211_741_551_457_825, 66_259_753_282, split_fee=True)
    assert uniswap_v2.quote_exact_in(state, False, int(amount)).amount_out == value


@pytest.mark.parametrize(
    ("venue", "calls"), [("pancakeswap_v2", "get_amounts_out"), ("aerodrome_v2", "get_amount_out")]
)
def test_recorded_forks(venue: str, calls: str) -> None:
    pool = degenbot(f"{venue}_state")
    fee, split = (pool["fee_raw"], True) if "fee_raw" in pool else (pool["fee_numer"], False)
    state = PairState(pool["reserves_token0"], pool["reserves_token1"], fee, fee, 10_000, split)
    recorded = results(f"{venue}_{calls}")
    assert len(recorded) >= 24
    for (_, _, pair, amount), value in recorded:
        a_to_b = pair.startswith(pool["token0"]["symbol"])
        assert uniswap_v2.quote_exact_in(state, a_to_b, int(amount)).amount_out == value


def keeps_product(state: PairState, a_to_b: bool, amount_in: int, amount_out: int) -> bool:
    """The check of ``UniswapV2Pair.swap``: balances less the fee hold at least the product."""
    x, y = (state.reserve_a, state.reserve_b) if a_to_b else (state.reserve_b, state.reserve_a)
    fee, of = (state.fee_a if a_to_b else state.fee_b), state.fee_denominator
    return ((x + amount_in) * of - amount_in * fee) * (y - amount_out) >= x * y * of


@given(reserves, reserves, st.integers(0, 50), st.booleans(), st.integers(1, 2**112))
def test_exact_in_is_the_most_the_pair_allows(a: int, b: int, fee: int, a_to_b: bool, amount: int) -> None:
    state = PairState(a, b, fee, fee + 1, 1000)
    quote = uniswap_v2.quote_exact_in(state, a_to_b, amount)
    assert keeps_product(state, a_to_b, amount, quote.amount_out)
    assert not keeps_product(state, a_to_b, amount, quote.amount_out + 1)


@given(reserves, reserves, st.booleans(), st.booleans(), st.data())
def test_exact_out_is_enough_and_at_most_a_unit_too_much(
    a: int, b: int, a_to_b: bool, split: bool, data: st.DataObject
) -> None:
    state = PairState(a, b, 3, 5, 1000, split)
    wanted = data.draw(st.integers(1, (b if a_to_b else a) - 1))
    quote = uniswap_v2.quote_exact_out(state, a_to_b, wanted)
    assert uniswap_v2.quote_exact_in(state, a_to_b, quote.amount_in).amount_out >= wanted
    if quote.amount_in > 2:
        assert uniswap_v2.quote_exact_in(state, a_to_b, quote.amount_in - 2).amount_out < wanted or split


@given(reserves, reserves, st.booleans(), st.integers(1, 2**100))
def test_logs_move_the_state(a: int, b: int, a_to_b: bool, amount: int) -> None:
    state = PairState(a, b)
    quote = uniswap_v2.quote_exact_in(state, a_to_b, amount)
    assume(max(quote.reserve_a_after, quote.reserve_b_after) < 2**112)
    moved = (amount, 0, 0, quote.amount_out) if a_to_b else (0, amount, quote.amount_out, 0)
    after = uniswap_v2.after_swap(state, *moved)
    assert (after.reserve_a, after.reserve_b) == (quote.reserve_a_after, quote.reserve_b_after)


def test_marginal_price() -> None:
    state = PairState(10**12, 4 * 10**18, 3, 5)
    assert uniswap_v2.marginal_price(state, True) == pytest.approx(4e6 * 0.997)
    assert uniswap_v2.marginal_price(state, False) == pytest.approx(2.5e-7 * 0.995)


def test_what_cannot_be() -> None:
    state = PairState(10**6, 10**6)
    for attempt in (
        lambda: uniswap_v2.quote_exact_in(state, True, 0),
        lambda: uniswap_v2.quote_exact_out(state, True, 10**6),
        lambda: uniswap_v2.quote_exact_in(PairState(0, 5), True, 1),
        lambda: uniswap_v2.after_swap(state, 0, 0, 10**6, 0),
        lambda: uniswap_v2.after_swap(state, 2**112, 0, 0, 0),
    ):
        with pytest.raises(AmmError):
            attempt()
