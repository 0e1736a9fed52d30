"""Costs against the specifications' own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mevflow.operators.detect.costs import (
    CostModel,
    EthereumCosts,
    SolanaCosts,
    TipRule,
    next_base_fee,
    priority_fee_lamports,
)
from mevflow.v1 import market_pb2 as market

SOLANA, ETHEREUM = market.CHAIN_SOLANA, market.CHAIN_ETHEREUM
WHIRLPOOL, V2, V3 = market.VENUE_ORCA_WHIRLPOOL, market.VENUE_UNISWAP_V2, market.VENUE_UNISWAP_V3
GWEI = 10**9


def test_a_signature_costs_5000_lamports_and_nothing_else_by_default() -> None:
    cost = CostModel().cost_native(SOLANA, (WHIRLPOOL, WHIRLPOOL), 10**9)
    assert (cost.base, cost.priority, cost.tip, cost.total) == (5_000, 0, 0, 5_000)
    assert CostModel(solana=SolanaCosts(signatures=3)).cost_native(SOLANA, (), 0).total == 15_000


@pytest.mark.parametrize(
    ("price", "limit", "lamports"),
    [(1, 1, 1), (1_000_000, 200_000, 200_000), (1, 1_400_000, 2), (5_000, 200_000, 1_000), (0, 200_000, 0)],
)
def test_the_priority_fee_is_rounded_up(price: int, limit: int, lamports: int) -> None:
    assert priority_fee_lamports(price, limit) == lamports


def test_the_limit_is_what_the_swaps_use_up_to_that_of_a_transaction() -> None:
    rule = SolanaCosts(compute_units={"orca_whirlpool": 100_000}, overhead_units=10_000)
    assert rule.units((WHIRLPOOL, WHIRLPOOL)) == 210_000
    assert rule.units((WHIRLPOOL,) * 20) == 1_400_000
    priced = CostModel(solana=rule.model_copy(update={"compute_unit_price_micro_lamports": 10_000}))
    assert priced.cost_native(SOLANA, (WHIRLPOOL, WHIRLPOOL), 0).priority == 2_100


def test_an_account_that_is_opened_holds_its_rent() -> None:
    assert CostModel(solana=SolanaCosts(opened_accounts=2)).cost_native(SOLANA, (), 0).base == 5_000 + 2 * 2_039_280


def test_gas_is_intrinsic_calldata_and_swaps() -> None:
    rule = EthereumCosts(
        base_fee_wei=20 * GWEI,
        priority_fee_wei=GWEI,
        gas={"uniswap_v2": 90_000, "uniswap_v3": 130_000},
        overhead_gas=0,
        calldata_bytes=100,
        calldata_zero_bytes=10,
    )
    gas = 21_000 + 1_600 + 40 + 220_000
    cost = CostModel(ethereum=rule).cost_native(ETHEREUM, (V2, V3), 0)
    assert (cost.base, cost.priority) == (gas * 20 * GWEI, gas * GWEI)
    assert cost.total == gas * 21 * GWEI


@pytest.mark.parametrize(
    ("base", "used", "limit", "following"),
    [
        # The bounds of EIP-1559: an eighth up for a full block, an eighth down for an empty one.
        (GWEI, 30_000_000, 30_000_000, 1_125_000_000),
        (GWEI, 0, 30_000_000, 875_000_000),
        (GWEI, 15_000_000, 30_000_000, GWEI),
        # The cases of go-ethereum's own test (TestCalcBaseFee).
        (GWEI, 10_000_000, 20_000_000, GWEI),
        (GWEI, 9_000_000, 20_000_000, 987_500_000),
        (GWEI, 11_000_000, 20_000_000, 1_012_500_000),
        (1, 15_000_001, 30_000_000, 2),
        (7, 0, 30_000_000, 7),
    ],
)
def test_the_base_fee_follows_how_full_blocks_are(base: int, used: int, limit: int, following: int) -> None:
    assert next_base_fee(base, used, limit) == following


@given(st.integers(0, 10**15), st.integers(0, 30_000_000))
def test_the_base_fee_moves_by_an_eighth_at_most(base: int, used: int) -> None:
    after = next_base_fee(base, used, 30_000_000)
    assert base - base // 8 <= after <= base + max(base // 8, 1)
    assert (after > base) == (used > 15_000_000)


@given(st.integers(-(10**18), 10**18), st.integers(0, 10**9), st.integers(0, 10_000), st.integers(0, 10**6))
def test_tips(gross: int, absolute: int, share: int, least: int) -> None:
    tip = TipRule(absolute=absolute, share_bps=share, least=least).tip(gross)
    assert tip >= absolute
    if gross > 0 and share:
        assert tip * 10_000 > gross * share - 10_000
        assert tip <= max(absolute, least, gross * share // 10_000)
    if absolute or share:
        assert tip >= least
    else:
        assert tip == 0


@given(st.lists(st.sampled_from([WHIRLPOOL, V2, V3, 0, 99]), max_size=5), st.integers(0, 10**12), st.integers(0, 10**6))
def test_parts_add_up_and_more_swaps_cost_no_less(venues: list[int], gross: int, price: int) -> None:
    model = CostModel(
        solana=SolanaCosts(compute_unit_price_micro_lamports=price, tip=TipRule(share_bps=5_000, least=1_000)),
        ethereum=EthereumCosts(base_fee_wei=price, priority_fee_wei=1),
    )
    for chain in (SOLANA, ETHEREUM):
        cost = model.cost_native(chain, venues, gross)
        assert cost.total == cost.base + cost.priority + cost.tip
        assert model.cost_native(chain, tuple(venues), gross) == cost, "kept for the venues, the same again"
        assert model.cost_native(chain, [*venues, V3], gross).total >= cost.total


@pytest.mark.parametrize(
    "wrong",
    [
        {"solana": {"signatures": 0}},
        {"solana": {"compute_units": {"nowhere": 1}}},
        {"solana": {"compute_units": {"saber": -1}}},
        {"ethereum": {"tip": {"share_bps": 10_001}}},
        {"ethereum": {"gas_price": 1}},
        {"bitcoin": {}},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CostModel.model_validate(wrong)


def test_every_evm_chain_has_ethereums_rules_with_its_own_settings() -> None:
    model = CostModel(ethereum=EthereumCosts(base_fee_wei=10**9), evm={"base": EthereumCosts(base_fee_wei=7)})
    ethereum, base, unnamed = (model.cost_native(chain, (V2,), 0).total for chain in (ETHEREUM, 8453, 31337))
    assert ethereum == base // 7 * 10**9
    assert unnamed == 0, "another chain's fees are not taken for its own"
    for wrong in ({"solana": {}}, {"ethereum": {}}, {"nowhere": {}}):
        with pytest.raises(ValidationError):
            CostModel.model_validate({"evm": wrong})


def test_a_chain_without_a_rule() -> None:
    with pytest.raises(KeyError):
        CostModel().cost_native(0, (), 0)
