"""Uniswap v3 arithmetic against what its SDK computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mevflow.operators.amm.concentrated import tick_math_x96, uniswap_v3
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, swap_step

VECTORS = json.loads((Path(__file__).parent / "vectors" / "univ3_sdk_vectors.json").read_text())
STEPS = [vector for vector in VECTORS if vector["fn"] == "computeSwapStep"]
TICKS = [vector for vector in VECTORS if vector["fn"] == "getSqrtRatioAtTick"]


@pytest.mark.parametrize("vector", TICKS, ids=lambda vector: str(vector["tick"]))
def test_prices_of_ticks(vector: dict[str, str | int]) -> None:
    assert tick_math_x96.price_at(int(vector["tick"])) == int(vector["sqrtP"])


def test_there_are_vectors_of_every_kind() -> None:
    assert len(STEPS) == 72
    assert {int(vector["amt"]) > 0 for vector in STEPS} == {True, False}


@pytest.mark.parametrize("vector", STEPS, ids=lambda vector: f"{vector['amt']}-{vector['fee']}")
def test_steps(vector: dict[str, str | int]) -> None:
    current, target, amount = (int(vector[key]) for key in ("cur", "target", "amt"))
    step = swap_step(
        uniswap_v3.RULES,
        current,
        target,
        int(vector["L"]),
        abs(amount),
        int(vector["fee"]),
        a_to_b=current >= target,
        exact_in=amount >= 0,
    )
    expected = tuple(int(vector[key]) for key in ("next", "amountIn", "amountOut", "feeAmount"))
    assert (step.sqrt_price, step.amount_in, step.amount_out, step.fee_amount) == expected


def test_a_step_stops_at_the_edge_of_a_bitmap_word() -> None:
    """Without initialized ticks the contract still pauses, and rounds, every 256 spacings."""
    state = ConcentratedState(tick_math_x96.price_at(5), 10**18, 5, 3000, 10)
    assert uniswap_v3.RULES.next_target(state, 5, True) == 0
    assert uniswap_v3.RULES.next_target(state, -1, True) == -2560
    assert uniswap_v3.RULES.next_target(state, 5, False) == 2550
    assert uniswap_v3.RULES.next_target(state, 2550, False) == 5110


def test_amounts_that_overflow_take_the_contract_s_other_form() -> None:
    price, liquidity = tick_math_x96.MAX_SQRT_PRICE - 1, 10**30
    amount = (1 << 128) - 1
    after = uniswap_v3.next_price_a(price, liquidity, amount, True)
    shifted = liquidity << 96
    assert amount * price >= 1 << 256
    assert after == -(-shifted // (shifted // price + amount))


def test_what_is_not_there_cannot_be_had() -> None:
    with pytest.raises(AmmError, match="token0"):
        uniswap_v3.next_price_a(1 << 96, 10, 11, False)
    with pytest.raises(AmmError, match="token1"):
        uniswap_v3.next_price_b(1 << 96, 10, 11, False)
    with pytest.raises(AmmError, match="no liquidity"):
        uniswap_v3.next_price_b(1 << 96, 0, 1, True)
