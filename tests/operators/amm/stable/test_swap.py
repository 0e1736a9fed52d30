"""Curve plain pools: every recorded result of the tripool, and what must hold in any pool."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import invariant as stable_math
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.swap import StableState
from tests.operators.amm.recorded import DATA, coins, degenbot, results


def tripool() -> tuple[StableState, list[str]]:
    recorded = degenbot("curve_tripool_state")
    state = StableState(
        balances=tuple(recorded["balances"]),
        rates=tuple(10 ** (36 - token["decimals"]) for token in recorded["tokens"]),
        amp=recorded["a_coefficient"],
        amp_precision=1,
        fee=recorded["fee"],
        admin_fee=recorded["admin_fee"],
        lp_supply=recorded["lp_token_total_supply"],
        view_fee_after_scaling=True,
    )
    return state, [token["symbol"] for token in recorded["tokens"]]


def test_tripool_get_dy() -> None:
    state, symbols = tripool()
    recorded = results("curve_tripool_get_dy")
    assert len(recorded) == 18
    for (_, _, pair, amount), value in recorded:
        i, j = coins(pair, symbols)
        assert stable_swap.get_dy(state, i, j, int(amount)) == value
        # exchange() takes the fee before it scales: the same to the last unit but one.
        assert abs(stable_swap.quote_exact_in(state, i, j, int(amount)).amount_out - value) <= 1


def test_tripool_liquidity() -> None:
    state, _ = tripool()
    assert stable_swap.virtual_price(state) == degenbot("curve_tripool_state")["virtual_price"]
    seen = set()
    for key, value in results("curve_tripool_calc_withdraw_and_token_amount"):
        seen.add(key[1])
        if key[1] == "calc_token_amount":
            amounts = [0, 0, 0]
            amounts[int(key[3].removeprefix("i="))] = int(key[4])
            assert stable_swap.calc_token_amount(state, amounts) == value
        else:
            assert stable_swap.calc_withdraw_one_coin(state, int(key[3]), int(key[2].removeprefix("i="))) == value
    assert seen == {"calc_token_amount", "calc_withdraw_one_coin"}


def test_ng_pools_as_their_own_functions_say() -> None:
    """Two to eight coins, on and off the peg, the fee up to twenty times: NG's compiled code gave these."""
    cases = json.loads(gzip.decompress((DATA / "curve_ng.json.gz").read_bytes()))
    grew = 0
    for case in cases:
        state = StableState(
            balances=tuple(map(int, case["balances"])),
            rates=tuple(map(int, case["rates"])),
            amp=case["amp"],
            amp_precision=100,
            fee=case["fee"],
            admin_fee=5 * 10**9,
            offpeg_fee_multiplier=int(case["offpeg_fee_multiplier"]),
            one_division=True,
        )
        i, j, dx = case["i"], case["j"], int(case["dx"])
        assert stable_swap.get_dy(state, i, j, dx) == int(case["dy"])
        grew += stable_swap.get_dy(replace(state, offpeg_fee_multiplier=0), i, j, dx) > int(case["dy"])
    assert len(cases) == 60
    assert grew > 20


def test_what_a_contract_reverts_is_refused() -> None:
    """The invariant overflows, or does not settle: with that the first contracts go on."""
    steep = StableState(
        (13_614_085_485_760_250 * 10**12, 117_467_225_986_171_322_368), (10**18,) * 2, 20_000, 100, 1, 0
    )
    assert stable_swap.quote_exact_in(steep, 0, 1, 10**18).amount_out > 0
    for state in (replace(steep, one_division=True), replace(steep, balances=(10**45, 10**45))):
        with pytest.raises(AmmError):
            stable_swap.quote_exact_in(state, 0, 1, 10**18)


@st.composite
def pools(draw: st.DrawFn) -> StableState:
    decimals = draw(st.lists(st.sampled_from([6, 8, 18]), min_size=2, max_size=4))
    whole = draw(st.integers(1_000, 10**9))
    balances = tuple(whole * draw(st.integers(20, 500)) * 10**each // 100 for each in decimals)
    precision = draw(st.sampled_from([1, 100]))
    return StableState(
        balances=balances,
        rates=tuple(10 ** (36 - each) for each in decimals),
        amp=draw(st.integers(10, 5_000)) * precision,
        amp_precision=precision,
        fee=draw(st.integers(0, 10**8)),
        admin_fee=5 * 10**9,
        lp_supply=10**24,
    )


@given(pools(), st.integers(1, 10**6), st.data())
def test_an_exchange_never_takes_from_the_pool(state: StableState, share: int, data: st.DataObject) -> None:
    i, j = data.draw(st.permutations(range(len(state.balances))))[:2]
    amount = state.balances[i] * share // 10**6
    assume(amount > 0)
    before = stable_math.invariant(state.scaled(), state.amp, state.amp_precision)
    quote = stable_swap.quote_exact_in(state, i, j, amount)
    after = quote.applied_to(replace(state, admin_fee=0))
    assert 0 <= quote.amount_out < state.balances[j]
    # The invariant is known to within its own last steps: one part in 10**15 covers them.
    assert stable_math.invariant(after.scaled(), state.amp, state.amp_precision) >= before - before // 10**15 - 2
    kept = replace(state, balances=replace(quote, admin_fee_amount=0).applied_to(state).balances)
    if quote.amount_out:
        back = stable_swap.quote_exact_in(kept, j, i, quote.amount_out)
        assert back.amount_out <= amount


@given(pools(), st.integers(1, 3 * 10**5), st.data())
def test_exact_out_is_the_least_input(state: StableState, share: int, data: st.DataObject) -> None:
    i, j = data.draw(st.permutations(range(len(state.balances))))[:2]
    wanted = state.balances[j] * share // 10**6
    assume(wanted > 0)
    quote = stable_swap.quote_exact_out(state, i, j, wanted)
    assert quote.amount_out >= wanted
    if quote.amount_in > 1:
        assert stable_swap.quote_exact_in(state, i, j, quote.amount_in - 1).amount_out < wanted


@given(pools(), st.data())
def test_the_marginal_price_is_that_of_a_small_exchange(state: StableState, data: st.DataObject) -> None:
    i, j = data.draw(st.permutations(range(len(state.balances))))[:2]
    amount = state.balances[i] // 10**4
    out = stable_swap.quote_exact_in(state, i, j, amount).amount_out
    assume(out > 10**4)
    price = stable_swap.marginal_price(state, i, j)
    assert out / amount <= price * (1 + 1e-9)
    assert out / amount == pytest.approx(price, rel=3e-3)


def test_a_recorded_exchange_moves_the_state() -> None:
    state, _ = tripool()
    quote = stable_swap.quote_exact_in(state, 0, 1, 10**21)
    assert stable_swap.after_swap(state, 0, 1, 10**21, quote.amount_out) == quote.applied_to(state)
    with pytest.raises(AmmError, match="the chain gave"):
        stable_swap.after_swap(state, 0, 1, 10**21, quote.amount_out + 1)


@pytest.mark.parametrize(("i", "j", "amount"), [(0, 0, 1), (0, 3, 1), (-1, 0, 1), (0, 1, 0), (0, 1, -1)])
def test_what_the_contract_refuses(i: int, j: int, amount: int) -> None:
    with pytest.raises(AmmError):
        stable_swap.quote_exact_in(tripool()[0], i, j, amount)


def test_an_empty_side_has_no_price() -> None:
    empty = replace(tripool()[0], balances=(10**24, 0, 10**12))
    with pytest.raises(AmmError, match="empty"):
        stable_swap.quote_exact_in(empty, 0, 1, 10**18)
    with pytest.raises(AmmError, match="holds"):
        stable_swap.quote_exact_out(empty, 0, 1, 1)
