"""PumpSwap: what eleven swaps on chain paid, as their events state it, and what must hold in any pool."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.pairs import pump_swap
from mevflow.operators.amm.pairs.pump_swap import PumpSwapState

#: Swaps on Solana mainnet: reserves before (base, quote), fees in basis points (of the liquidity providers, the
#: protocol, the creator, cashback); then base out and quote paid by the buyer.
BOUGHT = [
    ((28_406_490_689_612, 795_711_325_323), (20, 5, 0, 0), 37_368_000_000, 1_050_736_624),
    ((51_069_729_277_308, 656_973_136_556), (20, 5, 0, 0), 32_556_578_918, 420_130_440),
    ((1_039_714_530_341, 905_764_238_318_645), (25, 5, 0, 0), 3_196_010_968, 2_801_220_511_879),
    ((72_733_296_097_610, 507_116_588_655), (20, 5, 0, 0), 224_164_147_200, 1_571_685_498),
    ((148_617_625_980, 344_034_375_969_831_999), (25, 5, 0, 0), 201_692_493, 468_934_276_696_458),
]
#: The same of sales: base in, and quote given to the seller.
SOLD = [
    ((37_341_779_224_049, 1_001_203_836_819), (20, 5, 0, 55), 111_914_692_932, 2_967_745_311),
    ((208_937_776_660_080, 86_106_293_205), (2, 93, 0, 30), 572_130_724_175, 232_200_259),
    ((38_896_104_996_620, 718_214_085_022), (20, 5, 0, 0), 2_362_629_325, 43_514_090),
    ((120_213_720_596, 205_195_781_936_274), (20, 5, 0, 0), 96_623_111, 164_383_938_805),
    ((1_035_583_742_759, 909_368_127_118_120), (25, 5, 0, 0), 4_130_787_582, 3_602_082_338_923),
    ((222_398_710_005_666, 79_114_125_035), (20, 5, 0, 0), 24_280_378_766, 8_614_749),
]


def _state(reserves: tuple[int, int], fees: tuple[int, int, int, int]) -> PumpSwapState:
    return PumpSwapState(*reserves, *fees)


@pytest.mark.parametrize(("reserves", "fees", "base_out", "paid"), BOUGHT)
def test_recorded_purchases(reserves, fees, base_out: int, paid: int) -> None:
    state = _state(reserves, fees)
    quote = pump_swap.quote_exact_out(state, False, base_out)
    assert quote.amount_in == paid
    # The same sum buys as much, or more of units that cost nothing.
    assert pump_swap.quote_exact_in(state, False, paid).amount_out >= base_out
    after = pump_swap.after_swap(state, False, paid, base_out)
    assert after.reserve_a == reserves[0] - base_out
    with pytest.raises(AmmError, match="on chain"):
        pump_swap.after_swap(state, False, paid + 1, base_out)


@pytest.mark.parametrize(("reserves", "fees", "base_in", "given_out"), SOLD)
def test_recorded_sales(reserves, fees, base_in: int, given_out: int) -> None:
    state = _state(reserves, fees)
    quote = pump_swap.quote_exact_in(state, True, base_in)
    assert quote.amount_out == given_out
    least = pump_swap.quote_exact_out(state, True, given_out)
    assert least.amount_in <= base_in
    assert least.amount_out >= given_out
    after = pump_swap.after_swap(state, True, base_in, given_out)
    assert after.reserve_a == reserves[0] + base_in
    # The liquidity providers' fee is what stays of the quote token.
    gross = given_out + quote.fee_amount
    assert reserves[1] - after.reserve_b == gross - -(-gross * fees[0] // 10_000)


pools = st.builds(
    _state,
    st.tuples(st.integers(1, 10**15), st.integers(1, 10**15)),
    st.tuples(st.integers(0, 30), st.integers(0, 95), st.integers(0, 95), st.integers(0, 95)),
)


@given(pools, st.booleans(), st.integers(1, 10**14))
def test_exact_out_gives_what_it_says_and_a_unit_less_does_not(state: PumpSwapState, a_to_b: bool, wanted: int) -> None:
    try:
        quote = pump_swap.quote_exact_out(state, a_to_b, wanted)
    except AmmError:
        return
    assert quote.amount_out >= wanted
    if a_to_b:
        assert pump_swap.quote_exact_in(state, True, quote.amount_in).amount_out == quote.amount_out
    if quote.amount_in > 1:
        try:
            less = pump_swap.quote_exact_in(state, a_to_b, quote.amount_in - 1)
        except AmmError:
            return
        assert less.amount_out < wanted


@given(pools, st.booleans(), st.integers(1, 10**14))
def test_an_input_is_never_overspent_and_the_product_never_falls(
    state: PumpSwapState, a_to_b: bool, amount: int
) -> None:
    try:
        quote = pump_swap.quote_exact_in(state, a_to_b, amount)
    except AmmError:
        return
    assert quote.amount_in <= amount
    assert quote.amount_out <= quote.amount_in * pump_swap.marginal_price(state, a_to_b) * (1 + 1e-9) + 1
    assert quote.reserve_a_after * quote.reserve_b_after >= state.reserve_a * state.reserve_b


@given(pools, st.integers(1, 10**12))
def test_there_and_back_never_pays(state: PumpSwapState, amount: int) -> None:
    try:
        there = pump_swap.quote_exact_in(state, False, amount)
        after = pump_swap.after_swap(state, False, there.amount_in, there.amount_out)
        back = pump_swap.quote_exact_in(after, True, there.amount_out)
    except AmmError:
        assume(False)
    assert back.amount_out <= there.amount_in


def test_what_a_pool_does_not_hold_is_refused() -> None:
    state = _state((1_000, 1_000), (20, 5, 0, 0))
    with pytest.raises(AmmError, match="holds"):
        pump_swap.quote_exact_out(state, True, 1_000)
    with pytest.raises(AmmError, match="holds"):
        pump_swap.quote_exact_out(state, False, 1_000)
    for amount in (0, 1 << 64):
        with pytest.raises(AmmError):
            pump_swap.quote_exact_in(state, True, amount)
    with pytest.raises(AmmError, match="leave nothing"):
        pump_swap.quote_exact_out(_state((10**9, 10**9), (5_000, 5_000, 0, 0)), True, 1)
